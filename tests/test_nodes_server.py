"""The nodes in the real server: what they declare and what they make."""

import ast
import struct
from fractions import Fraction

import pytest
import torch
from node_graphs import (
    FACE,
    FRAMES,
    LONG_SPEECH,
    PREDICTOR,
    RENDERER,
    SPEECH,
    Graph,
    clip,
    drawn_crops,
    lip_sync,
    made,
    output,
    predictor,
    provide_files,
    renderer,
    save_video,
    speech,
    track,
    video,
)
from test_nodes import NODE_CLASSES, method
from tiny_models import save_tiny_style, write_talking_face

from lipsync_core.checkpoint import read_metadata
from lipsync_core.media.audio_file import read_audio
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.fingerprint import named_fingerprint
from tools.hosting.server import ComfyServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def host(comfyui: ComfyServer) -> ComfyServer:
    """The server with tiny models and small clips in its folders."""
    return provide_files(comfyui)


# What the nodes declare


@pytest.fixture(scope="module")
def declared(comfyui: ComfyServer) -> dict[str, dict]:
    return {name: info for name, info in comfyui.object_info().items() if name in NODE_CLASSES}


def inputs(info: dict) -> dict[str, list]:
    return {**info["input"].get("required", {}), **info["input"].get("optional", {})}


def test_every_node_is_offered(declared):
    assert set(declared) == set(NODE_CLASSES)


def test_every_node_and_input_explains_itself(declared):
    for name, info in declared.items():
        assert info["category"] == "LipStyle", name
        assert len(info["description"]) > 30, name
        for field, spec in inputs(info).items():
            assert len(spec[1].get("tooltip", "")) > 10, f"{name}.{field}"


def test_execute_takes_exactly_the_inputs_that_are_declared(declared):
    for name, info in declared.items():
        execute = method(NODE_CLASSES[name], "execute")
        assert execute is not None
        assert [argument.arg for argument in execute.args.args[1:]] == list(inputs(info)), name
        optional = len(info["input"].get("optional", {}))
        assert [ast.unparse(d) for d in execute.args.defaults] == ["None"] * optional, name


def test_every_type_of_ours_is_made_by_a_node_and_used_by_one(declared):
    produced = {t for info in declared.values() for t in info["output"]}
    used = {spec[0] for info in declared.values() for spec in inputs(info).values() if spec}
    ours = {t for t in produced | used if isinstance(t, str) and t.startswith("LIPSTYLE_")}
    assert len(ours) == 6
    assert ours <= produced and ours <= {t for t in used if isinstance(t, str)}


def test_loaders_list_the_files_of_their_kind_only(host):
    def offered(name: str) -> list[str]:
        spec = host.object_info(name)[name]["input"]["required"]["file"]
        return spec[1]["options"] if spec[0] == "COMBO" else spec[0]

    assert PREDICTOR in offered("LipStyleLoadMotionPredictor")
    assert RENDERER not in offered("LipStyleLoadMotionPredictor")
    assert RENDERER in offered("LipStyleLoadLipRenderer")
    assert FACE in offered("LipStyleLoadReferenceClip")
    assert SPEECH not in offered("LipStyleLoadReferenceClip")


def test_help_pages_are_served(comfyui):
    import urllib.request

    for name in NODE_CLASSES:
        page = f"{comfyui.url}/extensions/lipstyle/docs/{name}.md"
        with urllib.request.urlopen(page, timeout=30) as answer:
            assert answer.read().startswith(b"# ")


def test_the_pack_loads_no_heavy_library_and_takes_no_time(comfyui):
    """The log tells how long each pack took: what is heavy is imported when it is used."""
    (line,) = [
        x for x in comfyui.log.read_text().splitlines() if " seconds" in x and "lipstyle" in x
    ]
    assert float(line.split()[0]) < 3, line


# Clips


def test_a_reference_clip_is_trimmed_to_the_frame_and_keeps_its_sound(host):
    graph = Graph()
    path = made(host, save_video(graph, clip(graph, start=0.4, duration=0.8)))
    part, whole = open_clip(path), open_clip(host.input / FACE)
    assert (part.frame_count, part.fps) == (20, Fraction(25))
    difference = (part.frames(0, 20) - whole.frames(10, 30)).abs().mean(dim=(1, 2, 3))
    shifted = (part.frames(0, 20) - whole.frames(11, 31)).abs().mean(dim=(1, 2, 3))
    assert difference.max() < 0.02
    assert difference.mean() < shifted.mean()
    heard, original = part.audio(), whole.audio()
    assert heard is not None and original is not None
    expected = original.waveform[6400 : 6400 + 12800]
    assert torch.corrcoef(torch.stack([heard.waveform[:12800], expected]))[0, 1] > 0.99


def test_a_reference_clip_gives_its_sound_as_audio(host):
    graph = Graph()
    sound = output(clip(graph, start=0.4, duration=0.8), 1)
    graph.add("SaveAudio", audio=sound, filename_prefix="test")
    heard = read_audio(made(host, graph))
    assert heard.sample_rate == 16000
    assert len(heard.waveform) == 12800


def test_a_clip_gives_its_frames_to_any_node_of_the_core(host):
    """Get Video Components decodes it, Create Video makes another VIDEO, which we read back."""
    graph = Graph()
    parts = graph.add("GetVideoComponents", video=clip(graph, duration=0.4))
    again = graph.add("CreateVideo", images=parts, audio=output(parts, 1), fps=25.0)
    fitted = graph.add("LipStyleFitClipToSpeech", video=again, audio=speech(graph), policy="freeze")
    result = open_clip(made(host, save_video(graph, fitted)))
    assert result.frame_count == 30
    held = (result.frames(9, 10) - result.frames(29, 30)).abs().mean()
    assert held < 0.005, "the last frame must stay"


def test_a_changed_file_is_read_again(host):
    name = "changing.mp4"
    for count in (6, 9):
        write_talking_face(host.input / name, count)
        graph = Graph()
        result = open_clip(made(host, save_video(graph, clip(graph, name))))
        assert result.frame_count == count


@pytest.mark.parametrize(("policy", "frames"), [("cut", FRAMES), ("loop", 75), ("ping-pong", 75)])
def test_a_clip_is_fitted_to_speech(host, policy, frames):
    graph = Graph()
    fitted = graph.add(
        "LipStyleFitClipToSpeech",
        video=video(graph),
        audio=speech(graph, LONG_SPEECH),
        policy=policy,
    )
    assert open_clip(made(host, save_video(graph, fitted))).frame_count == frames


# The method


def test_lip_sync_gives_a_video_of_the_speech(host):
    graph = Graph()
    path = made(host, save_video(graph, lip_sync(graph, video(graph), speech(graph))))
    result, source = open_clip(path), open_clip(host.input / FACE)
    assert (result.frame_count, result.fps) == (30, source.fps)
    assert (result.height, result.width) == (source.height, source.width)
    heard, said = read_audio(path), read_audio(host.input / SPEECH)
    count = len(said.waveform)
    assert abs(len(heard.waveform) - count) <= 1024
    at_same_time = torch.corrcoef(torch.stack([heard.waveform[:count], said.waveform]))[0, 1]
    assert at_same_time > 0.9, "noise that is one sample off would not correlate at all"
    changed = (result.frames(0, 30) - source.frames(0, 30)).abs().mean(dim=(0, 3))
    assert changed[:20].max() < 0.03, "far above the face nothing but the coding changes"
    assert changed.max() > 0.1, "random weights draw another mouth"


def test_the_video_says_that_it_was_edited(host):
    import av

    graph = Graph()
    path = made(host, save_video(graph, lip_sync(graph, video(graph), speech(graph))))
    with av.open(str(path)) as container:
        assert "AI-edited" in container.metadata["comment"]


def test_the_steps_give_what_lip_sync_gives(host):
    """All of the method's nodes one by one, against the one node; both are coded once."""
    graph = Graph()
    loaded, drawing, said = predictor(graph), renderer(graph), speech(graph)
    style = graph.add("LipStyleStyleReference", predictor=loaded, video=clip(graph))
    fitted = graph.add(
        "LipStyleFitClipToSpeech", video=video(graph), audio=said, policy="ping-pong"
    )
    face = track(graph, fitted)
    heard = graph.add("LipStyleEncodeSpeech", predictor=loaded, audio=said)
    motion = graph.add(
        "LipStylePredictLipMotion", predictor=loaded, speech=heard, strength=1.0, style=style
    )
    crops = drawn_crops(graph, drawing, fitted, face, motion)
    composed = graph.add(
        "LipStyleCompositeFace", video=fitted, face_track=face, crops=crops, audio=said
    )
    steps = open_clip(made(host, save_video(graph, composed)))

    graph = Graph()
    style = graph.add("LipStyleStyleReference", predictor=predictor(graph), video=clip(graph))
    whole = lip_sync(graph, video(graph), speech(graph), style=style)
    at_once = open_clip(made(host, save_video(graph, whole)))
    assert steps.frame_count == at_once.frame_count
    assert (steps.frames(0, 30) - at_once.frames(0, 30)).abs().mean() < 0.004


def test_only_the_frames_asked_for_are_drawn(host):
    graph = Graph()
    loaded, target = predictor(graph), video(graph)
    heard = graph.add("LipStyleEncodeSpeech", predictor=loaded, audio=speech(graph, LONG_SPEECH))
    motion = graph.add("LipStylePredictLipMotion", predictor=loaded, speech=heard, strength=1.0)
    face = track(graph, target)
    crops = drawn_crops(
        graph, renderer(graph), target, face, motion, start_frame=10, frame_count=12
    )
    larger = graph.add("ImageScaleBy", image=crops, upscale_method="bicubic", scale_by=2.0)
    composed = graph.add("LipStyleCompositeFace", video=target, face_track=face, crops=larger)
    path = made(host, save_video(graph, composed))
    result, source = open_clip(path), open_clip(host.input / FACE)
    assert result.frame_count == FRAMES
    difference = (result.frames(0, FRAMES) - source.frames(0, FRAMES)).permute(0, 3, 1, 2)
    # Means of 6 x 6 pixels: compression hardly changes them, another frame's mouth in place does.
    difference = torch.nn.functional.avg_pool2d(difference, 6).abs().amax(dim=1).flatten(1)
    changed = difference.topk(difference.shape[1] // 100).values.mean(1)
    inside = torch.zeros(FRAMES, dtype=torch.bool)
    inside[10:22] = True
    # Frames beside drawn ones are predicted from them by the video's coding.
    beside = torch.zeros(FRAMES, dtype=torch.bool)
    beside[[9, 22]] = True
    assert changed[inside].min() > 4 * changed[~inside & ~beside].max()
    assert changed[inside].min() > 3 * changed[beside].max()


def test_an_occluder_keeps_what_is_in_front_of_the_face(host):
    graph = Graph()
    loaded, target = predictor(graph), clip(graph, duration=0.4)
    heard = graph.add("LipStyleEncodeSpeech", predictor=loaded, audio=speech(graph))
    motion = graph.add("LipStylePredictLipMotion", predictor=loaded, speech=heard, strength=1.0)
    face = track(graph, target)
    crops = drawn_crops(graph, renderer(graph), target, face, motion)
    mask = graph.add("SolidMask", value=1.0, width=320, height=240)
    composed = graph.add(
        "LipStyleCompositeFace", video=target, face_track=face, crops=crops, occluder=mask
    )
    allowed = graph.add("MaskToImage", mask=output(composed, 1))
    graph.add("SaveImage", images=allowed, filename_prefix="mask")
    save_video(graph, composed)
    files = host.output_files(host.run(graph))
    result = open_clip(next(path for path in files if path.suffix == ".mp4"))
    source = open_clip(host.input / FACE)
    assert (result.frames(0, 10) - source.frames(0, 10)).abs().max() < 0.15
    masks = [open_clip(path).frames(0, 1) for path in files if path.suffix == ".png"]
    assert len(masks) == 10
    assert all(mask.max() == 0 for mask in masks)


def test_lip_sync_leaves_what_is_in_front_of_the_face(host):
    """A mask of another size and of one picture for all; the video comes out longer than it was."""
    graph = Graph()
    target, mask = (
        clip(graph, duration=0.4),
        graph.add("SolidMask", value=1.0, width=160, height=120),
    )
    save_video(graph, lip_sync(graph, target, speech(graph), occluder=mask))
    result = open_clip(made(host, graph))
    source = open_clip(host.input / FACE)
    assert result.frame_count > 10
    assert (result.frames(0, 10) - source.frames(0, 10)).abs().max() < 0.15


def test_a_style_is_saved_listed_and_loaded(host):
    graph = Graph()
    first = graph.add("LipStyleStyleReference", predictor=predictor(graph), video=clip(graph))
    both = graph.add(
        "LipStyleStyleReference",
        predictor=["1", 0],
        video=clip(graph, duration=0.8),
        extend=first,
    )
    graph.add("LipStyleSaveStyle", style=both, filename_prefix="lipstyle/test_style")
    host.run(graph)
    (path,) = (host.output / "lipstyle").glob("test_style*.safetensors")
    facts = read_metadata(path)
    assert facts["lipstyle.kind"] == "StyleReference"
    assert facts["source"] == named_fingerprint(host.input / FACE)
    assert str(host.input) not in str(facts)
    name = f"lipstyle/{path.name} [output]"
    graph = Graph()
    style = graph.add("LipStyleLoadStyle", file=name)
    spoken = lip_sync(graph, clip(graph, duration=0.4), speech(graph), style=style)
    assert open_clip(made(host, save_video(graph, spoken))).frame_count == 30


def test_strength_and_share_reach_the_motion(host):
    """A blend of share 0 is the first style, and strength 0 no style: the same videos."""
    folder = host.models / "lipstyle"
    for number in (1, 2):
        save_tiny_style(folder / f"tiny_style_{number}.safetensors", seed=number)

    def spoken(share: float | None, strength: float = 1.0) -> torch.Tensor:
        graph = Graph()
        first, second = (
            graph.add("LipStyleLoadStyle", file=f"tiny_style_{number}.safetensors")
            for number in (1, 2)
        )
        style = first
        if share is not None:
            style = graph.add("LipStyleBlendStyles", first=first, second=second, share=share)
        made_by = lip_sync(
            graph, clip(graph, duration=0.4), speech(graph), style=style, strength=strength
        )
        return open_clip(made(host, save_video(graph, made_by))).frames(0, 10)

    first, none = spoken(None), spoken(None, strength=0.0)
    assert (spoken(0.0) - first).abs().mean() < 1e-4
    for other in (none, spoken(0.5), spoken(1.0)):
        assert (other - first).abs().mean() > 1e-4


def test_the_tracked_face_is_shown(host):
    graph = Graph()
    preview = output(track(graph, video(graph)), 1)
    graph.add("SaveImage", images=preview, filename_prefix="preview")
    files = host.output_files(host.run(graph))
    assert len(files) == 6
    drawn, plain = open_clip(files[0]).frames(0, 1)[0], open_clip(host.input / FACE).frames(0, 1)[0]
    assert ((drawn - plain).abs().amax(-1) > 0.3).sum() > 200, "lines must be drawn"


def test_work_is_shown_while_it_goes_on(host):
    """Progress of the node, and at least one picture of what is being made."""
    graph = Graph()
    save_video(graph, lip_sync(graph, video(graph), speech(graph), seed=77))
    with host.events("watcher") as events:
        run = host.submit(graph, "watcher")
        events.set_timeout(120)
        shares, pictures = [], 0
        for event in events:
            if isinstance(event, bytes):
                pictures += struct.unpack(">I", event[:4])[0] in (1, 4)
            elif event["type"] == "progress":
                shares.append(event["data"]["value"] / event["data"]["max"])
            elif event["type"] == "execution_success" and event["data"]["prompt_id"] == run:
                break
    assert pictures >= 1
    assert any(0 < share < 0.5 for share in shares) and any(0.5 < share < 1 for share in shares)
    assert shares == sorted(shares)
