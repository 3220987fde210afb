"""The nodes in the real server: what they declare, what they make, and how they fail."""

import ast
import json
import os
import shutil
import struct
import time
import wave
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from graphs import Graph, Link, output
from synthetic_media import write_sound
from test_nodes import NODE_CLASSES, method
from tiny_models import save_tiny_models, write_talking_face

from lipsync_core.checkpoint import read_metadata
from lipsync_core.media.audio_file import read_audio
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.writing import write_clip
from lipsync_core.types import Audio
from tools.hosting.client import ExecutionFailed, GraphRefused
from tools.hosting.server import ComfyServer

pytestmark = pytest.mark.server

FRAMES = 40
PREDICTOR, RENDERER = "tiny_predictor.safetensors", "tiny_renderer.safetensors"
FACE, SILENT_FACE, NO_FACE = "talking.mp4", "silent.mp4", "no_face.mp4"
SPEECH, LONG_SPEECH = "speech.wav", "long_speech.wav"


@pytest.fixture(scope="module")
def host(comfyui: ComfyServer) -> ComfyServer:
    """The server with tiny models and small clips in its folders."""
    assert save_tiny_models(comfyui.models / "lipstyle") == (PREDICTOR, RENDERER)
    write_talking_face(comfyui.input / FACE, FRAMES)
    write_talking_face(comfyui.input / SILENT_FACE, 10, sound=False)
    grey = [torch.full((12, 120, 160, 3), 0.5)]
    write_clip(comfyui.input / NO_FACE, grey, Fraction(25), 120, 160, noise(0.48))
    write_wav(comfyui.input / SPEECH, noise(1.2))
    write_wav(comfyui.input / LONG_SPEECH, noise(3.0))
    return comfyui


def noise(seconds: float) -> Audio:
    generator = torch.Generator().manual_seed(3)
    return Audio(0.1 * torch.randn(round(seconds * 16000), generator=generator), 16000)


def write_wav(path: Path, audio: Audio) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.sample_rate)
        file.writeframes((audio.waveform.clamp(-1, 1) * 32767).short().numpy().tobytes())


# Building graphs


def predictor(graph: Graph) -> Link:
    return graph.add("LipStyleLoadMotionPredictor", file=PREDICTOR)


def renderer(graph: Graph) -> Link:
    return graph.add("LipStyleLoadLipRenderer", file=RENDERER)


def video(graph: Graph, name: str = FACE) -> Link:
    return graph.add("LoadVideo", file=name)


def clip(graph: Graph, name: str = FACE, start: float = 0.0, duration: float = 0.0) -> Link:
    return graph.add("LipStyleLoadReferenceClip", file=name, start=start, duration=duration)


def speech(graph: Graph, name: str = SPEECH) -> Link:
    return graph.add("LoadAudio", audio=name)


def track(graph: Graph, video: Link, face: str = "largest", **point: int) -> Link:
    where = {"face_index": 0, "point_x": 0, "point_y": 0, **point}
    return graph.add("LipStyleTrackFace", video=video, face=face, **where)


def lip_sync(graph: Graph, video: Link, audio: Link, **others) -> Link:
    settings = {
        "strength": 1.0, "face": "largest", "face_index": 0, "point_x": 0, "point_y": 0,
        "policy": "ping-pong", "steps": 1, "seed": 0, **others,
    }  # fmt: skip
    return graph.add(
        "LipStyleLipSync",
        predictor=predictor(graph),
        renderer=renderer(graph),
        video=video,
        audio=audio,
        **settings,
    )


def save_video(graph: Graph, video: Link) -> Graph:
    graph.add("SaveVideo", video=video, filename_prefix="test", format="auto", codec="auto")
    return graph


def made(host: ComfyServer, graph: Graph) -> Path:
    """The one file that a graph writes."""
    (path,) = host.output_files(host.run(graph))
    return path


def temp_files(host: ComfyServer) -> set[Path]:
    return {path for path in (host.base / "temp").rglob("*") if path.is_file()}


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


def drawn_crops(
    graph: Graph, drawing: Link, target: Link, face: Link, motion: Link, **span: int
) -> Link:
    part = {"start_frame": 0, "frame_count": 0, **span}
    latent = graph.add(
        "LipStyleSampleLipRenderer",
        renderer=drawing,
        video=target,
        face_track=face,
        motion=motion,
        seed=0,
        steps=1,
        **part,
    )
    return graph.add(
        "LipStyleDecodeLipLatents", renderer=drawing, latent=latent, face_track=face, video=target
    )


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
    changed = (result.frames(0, FRAMES) - source.frames(0, FRAMES)).abs().mean(dim=(1, 2, 3))
    inside = torch.zeros(FRAMES, dtype=torch.bool)
    inside[10:22] = True
    assert changed[inside].min() > 2 * changed[~inside].max()


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
    assert read_metadata(path)["lipstyle.kind"] == "StyleReference"
    name = f"lipstyle/{path.name} [output]"
    graph = Graph()
    style = graph.add("LipStyleLoadStyle", file=name)
    spoken = lip_sync(graph, clip(graph, duration=0.4), speech(graph), style=style)
    assert open_clip(made(host, save_video(graph, spoken))).frame_count == 30


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


# What goes wrong


def refused(host: ComfyServer, graph: Graph) -> str:
    with pytest.raises(GraphRefused) as error:
        host.submit(graph)
    return str(error.value)


def failed(host: ComfyServer, graph: Graph) -> str:
    with pytest.raises(ExecutionFailed) as error:
        host.run(graph)
    return str(error.value)


@pytest.fixture(autouse=True)
def server_lives_on(request):
    """Whatever a graph held, the next one runs, and nothing half-written stays."""
    yield
    if "host" in request.fixturenames:
        server: ComfyServer = request.getfixturevalue("host")
        graph = Graph()
        picture = graph.add(
            "EmptyImage", width=8, height=8, batch_size=1, color=time.time_ns() % 255
        )
        graph.add("PreviewImage", images=picture)
        server.run(graph, timeout=60)
        assert not list((server.base / "temp").glob(".*part"))


def test_a_video_without_a_face_is_told_so(host):
    graph = Graph()
    words = failed(host, save_video(graph, lip_sync(graph, video(graph, NO_FACE), speech(graph))))
    assert "NoFaceError" in words and "no face in any of the" in words


def test_a_face_that_is_not_there_is_told_so(host):
    graph = Graph()
    face = track(graph, video(graph), "index from the left", face_index=7)
    graph.add("PreviewImage", images=output(face, 1))
    assert "choose another face" in failed(host, graph)


def test_a_silent_clip_has_no_style(host):
    graph = Graph()
    style = graph.add(
        "LipStyleStyleReference", predictor=predictor(graph), video=clip(graph, SILENT_FACE)
    )
    graph.add("LipStyleSaveStyle", style=style, filename_prefix="never")
    words = failed(host, graph)
    assert "SpeechError" in words and "no sound" in words
    assert not list(host.output.glob("never*"))


def test_a_silent_clip_gives_no_speech(host):
    graph = Graph()
    silent = output(clip(graph, SILENT_FACE), 1)
    words = failed(host, save_video(graph, lip_sync(graph, video(graph), silent)))
    assert "SpeechError" in words and "silent" in words


@pytest.mark.parametrize("seconds", [0.0, 0.005])
def test_audio_that_is_too_short_is_told_so(host, seconds):
    graph = Graph()
    empty = graph.add("EmptyAudio", duration=seconds, sample_rate=16000, channels=2)
    words = failed(host, save_video(graph, lip_sync(graph, video(graph), empty)))
    assert "SpeechError" in words and "40 ms" in words


def test_audio_that_is_not_finite_is_told_so(host):
    sound = noise(0.5)
    sound.waveform[100:200] = float("nan")
    write_sound(host.input / "nan.wav", sound, "pcm_f32le")
    graph = Graph()
    words = failed(host, save_video(graph, lip_sync(graph, video(graph), speech(graph, "nan.wav"))))
    assert "SpeechError" in words and "NaN" in words


def test_a_file_that_is_no_video_is_told_so(host):
    shutil.copy(Path(__file__), host.input / "text.mp4")
    graph = Graph()
    words = failed(host, save_video(graph, clip(graph, "text.mp4")))
    assert "MediaError" in words and "text.mp4" in words


def test_a_truncated_video_is_told_so(host):
    whole = (host.input / FACE).read_bytes()
    (host.input / "half.mp4").write_bytes(whole[: len(whole) // 2])
    graph = Graph()
    words = failed(
        host, save_video(graph, lip_sync(graph, video(graph, "half.mp4"), speech(graph)))
    )
    assert "half.mp4" in words


def test_a_start_after_the_end_is_told_so(host):
    graph = Graph()
    assert "earlier start" in failed(host, save_video(graph, clip(graph, start=99.0)))


def test_a_weight_file_of_another_kind_is_refused(host):
    graph = Graph()
    loaded = graph.add("LipStyleLoadMotionPredictor", file=RENDERER)
    heard = graph.add("LipStyleEncodeSpeech", predictor=loaded, audio=speech(graph))
    graph.add("PreviewAny", source=heard)
    assert "holds a LipRenderer, a MotionPredictor is needed" in refused(host, graph)


def test_a_damaged_weight_file_is_refused(host):
    folder = host.models / "lipstyle"
    whole = (folder / PREDICTOR).read_bytes()
    (folder / "damaged.safetensors").write_bytes(whole[: len(whole) // 2])
    graph = Graph()
    loaded = graph.add("LipStyleLoadMotionPredictor", file="damaged.safetensors")
    heard = graph.add("LipStyleEncodeSpeech", predictor=loaded, audio=speech(graph))
    graph.add("PreviewAny", source=heard)
    assert "damaged.safetensors" in refused(host, graph)


OUTSIDE = ("../secret", "../../input/../secret", "/etc/hostname", "sub/../../secret")


@pytest.mark.parametrize("name", OUTSIDE)
def test_no_name_leads_out_of_the_input_folder(host, name):
    shutil.copy(host.input / FACE, host.base / "secret")
    graph = Graph()
    words = refused(host, save_video(graph, clip(graph, name)))
    assert "there is no file" in words


@pytest.mark.parametrize("name", [*OUTSIDE, "../secret [output]", "/etc/hostname [output]"])
def test_no_name_leads_out_of_the_folders_for_weights(host, name):
    shutil.copy(host.models / "lipstyle" / PREDICTOR, host.base / "secret")
    shutil.copy(host.models / "lipstyle" / PREDICTOR, host.models / "secret")
    for loader in ("LipStyleLoadMotionPredictor", "LipStyleLoadLipRenderer", "LipStyleLoadStyle"):
        graph = Graph()
        graph.add("PreviewAny", source=graph.add(loader, file=name))
        assert "there is no file" in refused(host, graph)


@pytest.mark.parametrize("prefix", ["../outside", "/tmp/outside", "a/../../outside"])
def test_no_style_is_saved_outside_of_the_output_folder(host, prefix):
    graph = Graph()
    style = graph.add("LipStyleStyleReference", predictor=predictor(graph), video=clip(graph))
    graph.add("LipStyleSaveStyle", style=style, filename_prefix=prefix)
    failed(host, graph)
    assert not list(host.base.glob("outside*")) and not list(host.base.parent.glob("outside*"))


def test_crops_that_do_not_fit_the_video_are_told_so(host):
    graph = Graph()
    target = video(graph)
    picture = graph.add("EmptyImage", width=64, height=64, batch_size=3, color=0)
    composed = graph.add(
        "LipStyleCompositeFace", video=target, face_track=track(graph, target), crops=picture
    )
    assert "one square crop per frame" in failed(host, save_video(graph, composed))


def test_a_track_of_another_video_is_told_so(host):
    graph = Graph()
    face = track(graph, clip(graph, duration=0.4))
    picture = graph.add("EmptyImage", width=64, height=64, batch_size=FRAMES, color=0)
    composed = graph.add(
        "LipStyleCompositeFace", video=video(graph), face_track=face, crops=picture
    )
    assert "track the face in the very video" in failed(host, save_video(graph, composed))


# Cancelling


@pytest.fixture(scope="module")
def long_clip(host) -> str:
    """A quarter of a minute, so that no stage is over before the cancel comes."""
    name = "long.mp4"
    source = open_clip(host.input / FACE)
    frames = (source.frames(0, FRAMES) for _ in range(10))
    write_clip(host.input / name, frames, source.fps, source.height, source.width, noise(16))
    return name


def busy_seconds(host: ComfyServer) -> float:
    """What the server has computed so far, so that a busy machine does not count against it;
    where the system does not say, the time."""
    times = Path(f"/proc/{host.process.pid}/stat")
    if not times.is_file():
        return time.monotonic()
    user, system = times.read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def cancelled_after(host: ComfyServer, graph: Graph, share: float) -> float:
    """Seconds from the cancel to the end, when the node with progress has done `share`."""
    with host.events("canceller") as events:
        run = host.submit(graph, "canceller")
        events.set_timeout(120)
        for event in events:
            if not isinstance(event, dict):
                continue
            assert event["type"] not in {"execution_error", "execution_success"}, event
            data = event["data"]
            if event["type"] == "progress" and data["value"] / data["max"] >= share:
                break
    started = busy_seconds(host)
    host.interrupt()
    record = host.wait(run, timeout=120)
    assert record["status"]["messages"][-1][0] == "execution_interrupted", json.dumps(record)[-500:]
    return busy_seconds(host) - started


@pytest.mark.parametrize("share", [0.02, 0.55], ids=["tracking", "rendering"])
def test_a_cancel_stops_lip_sync_within_a_second_and_leaves_nothing(host, long_clip, share):
    before = temp_files(host)
    graph = Graph()
    spoken = lip_sync(graph, video(graph, long_clip), speech(graph, LONG_SPEECH), policy="cut")
    graph["4"]["inputs"]["audio"] = long_clip
    assert cancelled_after(host, save_video(graph, spoken), share) < 1.0
    assert temp_files(host) == before


def test_a_cancel_stops_the_saving_of_a_clip(host, long_clip):
    before = temp_files(host)
    graph = Graph()
    assert cancelled_after(host, save_video(graph, clip(graph, long_clip)), 0.1) < 1.0
    assert temp_files(host) == before


def test_a_cancel_stops_the_measuring_of_a_style(host, long_clip):
    graph = Graph()
    style = graph.add(
        "LipStyleStyleReference", predictor=predictor(graph), video=clip(graph, long_clip)
    )
    graph.add("LipStyleSaveStyle", style=style, filename_prefix="cancelled")
    assert cancelled_after(host, graph, 0.05) < 1.0
    assert not list(host.output.glob("cancelled*"))
