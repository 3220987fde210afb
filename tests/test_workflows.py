"""The workflows of the template menu: they fit the nodes, explain themselves, and run."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from templates import (
    FOLDER,
    HUM_FREQUENCY,
    HUM_LEVEL,
    LINE_SECONDS,
    NAMES,
    SMALL,
    SPEECH,
    TARGET,
    TARGET_FRAMES,
    content,
    provide_small_files,
    small,
)
from test_nodes import NODE_CLASSES

from lipsync_core.media.audio_file import read_audio
from lipsync_core.media.file_clip import open_clip
from tools.hosting.environment import PACK
from tools.hosting.server import ComfyServer
from tools.hosting.ui_workflow import BYPASSED, api_graph, input_specs

each_workflow = pytest.mark.parametrize("name", NAMES)
BROWSERS_NODES = ("MarkdownNote", "PrimitiveNode")


def of_type(name: str, node_type: str) -> list[dict[str, Any]]:
    return [node for node in content(name)["nodes"] if node["type"] == node_type]


def sources(name: str, node_type: str) -> set[str]:
    """The types of the nodes that are linked to the inputs of nodes of a type."""
    types = {n["id"]: n["type"] for n in content(name)["nodes"]}
    origins = {link[0]: types[link[1]] for link in content(name)["links"]}
    return {
        origins[socket["link"]]
        for node in of_type(name, node_type)
        for socket in node["inputs"]
        if socket.get("link")
    }


def test_exactly_these_are_offered():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES)


@each_workflow
def test_a_workflow_has_a_picture_for_the_menu_which_the_readme_shows(name):
    from PIL import Image

    with Image.open(FOLDER / f"{name}.jpg") as picture:
        assert picture.format == "JPEG"
        assert min(picture.size) >= 300
    assert (FOLDER / f"{name}.jpg").stat().st_size < 200_000
    assert f"workflows/{name}.jpg" in (PACK / "README.md").read_text()


@each_workflow
def test_a_workflow_is_as_the_browser_saves_it(name):
    saved = content(name)
    assert saved["version"] >= 0.4
    assert all({"id", "type", "pos", "size", "mode"} <= node.keys() for node in saved["nodes"])


@each_workflow
def test_only_nodes_that_need_a_file_which_few_have_are_bypassed(name):
    asleep = {node["type"] for node in content(name)["nodes"] if node["mode"] == BYPASSED}
    wanted = {"UpscaleModelLoader", "ImageUpscaleWithModel"} if name == "upscale_crops" else set()
    assert asleep == wanted
    assert all(node["mode"] in (0, BYPASSED) for node in content(name)["nodes"])


@each_workflow
def test_every_number_of_the_note_is_a_node_and_every_input_has_one(name):
    """The note tells step by step what to choose, and the nodes bear the steps' numbers."""
    (note,) = of_type(name, "MarkdownNote")
    (text,) = note["widgets_values"]
    titles = {str(n["title"])[:1]: n["title"] for n in content(name)["nodes"] if "title" in n}
    steps = re.findall(r"^(\d)\. \*\*(.+?)\*\*", text, re.MULTILINE)
    assert [int(number) for number, _ in steps] == list(range(1, len(steps) + 1))
    assert len(steps) >= 3
    for number, label in steps:
        assert titles[number] == f"{number} {label}"
    files = [
        n for n in content(name)["nodes"] if {*SMALL} & {*map(str, n.get("widgets_values") or [])}
    ]
    for node in files:
        assert node["title"][0].isdigit() or (name, node["title"]) == ("batch_of_lines", "Line")
    assert "consent" in text and "choose file to upload" in text


def test_the_steps_show_every_stage_a_plot_and_an_upscaler_before_the_composite():
    no_stages = {
        "LipStyleLipSync", "LipStyleLoadStyle", "LipStyleSaveStyle", "LipStyleScoreLipSync",
        "LipStyleBlendStyles",
    }  # fmt: skip
    types = {node["type"] for node in content("lip_sync_steps")["nodes"]}
    assert set(NODE_CLASSES) - no_stages <= types
    assert "ImageScaleBy" in sources("lip_sync_steps", "LipStyleCompositeFace")
    assert "LipStyleDecodeLipLatents" in sources("lip_sync_steps", "ImageScaleBy")


def test_all_nodes_but_saving_a_style_are_shown_somewhere():
    shown = {node["type"] for name in NAMES for node in content(name)["nodes"]}
    assert set(NODE_CLASSES) - shown == {"LipStyleSaveStyle"}


@each_workflow
def test_nodes_do_not_lie_on_each_other_nor_groups(name):
    title = 30
    nodes = [(x, y - title, w, h + title) for x, y, w, h in
             ((*node["pos"], *node["size"]) for node in content(name)["nodes"])]  # fmt: skip
    groups = [tuple(group["bounding"]) for group in content(name)["groups"]]
    for boxes in nodes, groups:
        for index, (x, y, width, height) in enumerate(boxes):
            for left, top, wide, high in boxes[index + 1 :]:
                apart = (
                    x >= left + wide or left >= x + width or y >= top + high or top >= y + height
                )
                assert apart, (x, y, left, top)


@each_workflow
def test_the_files_that_a_workflow_names_come_with_the_pack_or_the_demo(name):
    """Models and styles by the names under which they are shipped."""
    known = {path.name for path in (PACK / "weights").glob("*.safetensors")} | set(SMALL)
    for node in content(name)["nodes"]:
        for value in node.get("widgets_values") or []:
            if isinstance(value, str) and re.fullmatch(r"\S+\.(safetensors|wav|mp4|pth)", value):
                assert value in known


@pytest.mark.server
def test_the_template_menu_offers_them(comfyui: ComfyServer):
    assert sorted(comfyui.call("/workflow_templates")["lipstyle"]) == sorted(NAMES)


@pytest.mark.server
@each_workflow
def test_every_node_and_input_of_a_workflow_exists(comfyui: ComfyServer, name):
    known = comfyui.object_info()
    for node in content(name)["nodes"]:
        if node["type"] in BROWSERS_NODES:
            continue
        specs = input_specs(known[node["type"]])
        named = {socket["name"] for socket in node.get("inputs", [])}
        assert named - {"upload", "audioUI", "video-preview"} <= set(specs), node["type"]


@pytest.fixture(scope="module")
def host(comfyui: ComfyServer) -> ComfyServer:
    return provide_small_files(comfyui)


@pytest.fixture(scope="module")
def videos(host: ComfyServer) -> dict[str, Path]:
    """What each workflow makes of small files."""
    return {}


def video_of(host: ComfyServer, videos: dict[str, Path], name: str) -> Path:
    if name not in videos:
        graph = api_graph(small(name), host.object_info())
        (videos[name],) = [p for p in host.output_files(host.run(graph)) if p.suffix == ".mp4"]
    return videos[name]


@pytest.mark.server
@each_workflow
def test_a_workflow_runs_and_speaks(host: ComfyServer, videos, name):
    path = video_of(host, videos, name)
    clip, source = open_clip(path), open_clip(host.input / TARGET)
    seconds = (
        LINE_SECONDS[0] if name == "batch_of_lines" else read_audio(host.input / SPEECH).duration
    )
    times = 2 if name == "interpolate_after" else 1
    assert (clip.fps, clip.height, clip.width) == (times * source.fps, source.height, source.width)
    assert clip.frame_count == times * round(seconds * source.fps)
    assert clip.frame_count > times * TARGET_FRAMES or name == "batch_of_lines"
    assert abs(read_audio(path).duration - seconds) <= 1024 / 16000 + 0.5 / float(source.fps)


@pytest.mark.server
def test_the_dub_has_the_voice_and_the_background_six_decibels_down(host: ComfyServer, videos):
    def level(path: Path) -> float:
        """The amplitude at the hum's frequency, past the encoder's beginning."""
        audio = read_audio(path)
        sound = audio.waveform.reshape(-1, audio.waveform.shape[-1]).mean(0).numpy()[1600:16000]
        time = np.arange(len(sound)) / audio.sample_rate
        return 2 * abs(np.mean(sound * np.exp(-2j * np.pi * HUM_FREQUENCY * time)))

    expected = HUM_LEVEL * 10 ** (-6 / 20)
    assert level(video_of(host, videos, "dub_with_background")) == pytest.approx(expected, rel=0.15)
    assert level(video_of(host, videos, "lip_sync")) < 0.2 * expected


@pytest.mark.server
def test_interpolation_puts_the_mean_between_every_two_frames(host: ComfyServer, videos):
    clip = open_clip(video_of(host, videos, "interpolate_after"))
    frames = clip.frames(0, clip.frame_count)
    between, mean = frames[1:-1:2], (frames[0:-2:2] + frames[2::2]) / 2
    assert (between - mean).abs().mean() < 0.5 * (
        frames[1:-1:2] - frames[0:-2:2]
    ).abs().mean() + 0.01


@pytest.mark.server
def test_a_batch_names_its_videos_after_its_lines(host: ComfyServer, videos):
    assert video_of(host, videos, "batch_of_lines").name.startswith("template_line_1.wav")
