"""The workflows that ComfyUI's template menu offers: they open, fit the nodes, and run."""

import json
from pathlib import Path
from typing import Any

import pytest
from synthetic_media import write_sound
from test_nodes import NODE_CLASSES
from tiny_models import save_tiny_models, save_tiny_style, write_talking_face

from lipsync_core.media.audio_file import read_audio
from lipsync_core.media.file_clip import open_clip
from tools.hosting.environment import PACK
from tools.hosting.server import ComfyServer
from tools.hosting.ui_workflow import api_graph, input_specs

FOLDER = PACK / "workflows"
NAMES = ("lip_sync", "lip_sync_steps")
DEMO_VIDEO, DEMO_SPEECH = "lipstyle_demo.mp4", "lipstyle_demo.wav"
each_workflow = pytest.mark.parametrize("name", NAMES)


def content(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{name}.json").read_text())


def nodes(name: str) -> dict[str, dict[str, Any]]:
    """The nodes of a workflow by type; each type stands once, notes aside."""
    return {node["type"]: node for node in content(name)["nodes"]}


def sources(name: str, node: str) -> set[str]:
    """The types of the nodes that are linked to a node's inputs."""
    types = {n["id"]: n["type"] for n in content(name)["nodes"]}
    origins = {link[0]: types[link[1]] for link in content(name)["links"]}
    return {origins[i["link"]] for i in nodes(name)[node]["inputs"] if i.get("link")}


def test_exactly_these_are_offered():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES)


@each_workflow
def test_a_workflow_has_a_picture_for_the_menu(name):
    from PIL import Image

    with Image.open(FOLDER / f"{name}.jpg") as picture:
        assert picture.format == "JPEG"
        assert min(picture.size) >= 300
    assert (FOLDER / f"{name}.jpg").stat().st_size < 200_000


@each_workflow
def test_a_workflow_is_as_the_browser_saves_it(name):
    saved = content(name)
    assert saved["version"] >= 0.4
    assert all({"id", "type", "pos", "size", "mode"} <= node.keys() for node in saved["nodes"])
    assert all(node["mode"] == 0 for node in saved["nodes"])


def test_the_steps_show_every_stage_and_an_upscaler_before_the_composite():
    no_stages = {
        "LipStyleLipSync", "LipStyleLoadStyle", "LipStyleSaveStyle", "LipStyleScoreLipSync",
        "LipStyleBlendStyles", "LipStylePlotLipMotion",
    }  # fmt: skip
    assert set(NODE_CLASSES) - no_stages <= set(nodes("lip_sync_steps"))
    assert "ImageScaleBy" in sources("lip_sync_steps", "LipStyleCompositeFace")
    assert "LipStyleDecodeLipLatents" in sources("lip_sync_steps", "ImageScaleBy")


@each_workflow
def test_nodes_do_not_lie_on_each_other(name):
    boxes = [(*node["pos"], *node["size"]) for node in content(name)["nodes"]]
    for index, (x, y, width, height) in enumerate(boxes):
        for left, top, wide, high in boxes[index + 1 :]:
            apart = x >= left + wide or left >= x + width or y >= top + high or top >= y + height
            assert apart, (x, y, left, top)


@pytest.fixture(scope="module")
def host(comfyui: ComfyServer) -> ComfyServer:
    """The server with the demo's inputs, or small ones in their place, and tiny models."""
    folder = comfyui.models / "lipstyle"
    save_tiny_models(folder)
    save_tiny_style(folder / "tiny_style.safetensors")
    if not (comfyui.input / DEMO_VIDEO).is_file():
        audio = write_talking_face(comfyui.input / DEMO_VIDEO)
        write_sound(comfyui.input / DEMO_SPEECH, audio, "pcm_s16le")
    return comfyui


def with_tiny_models(graph: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = {
        "LipStyleLoadMotionPredictor": "tiny_predictor.safetensors",
        "LipStyleLoadLipRenderer": "tiny_renderer.safetensors",
        "LipStyleLoadStyle": "tiny_style.safetensors",
    }
    for node in graph.values():
        if node["class_type"] in names:
            node["inputs"]["file"] = names[node["class_type"]]
    return graph


@pytest.mark.server
def test_the_template_menu_offers_them(comfyui: ComfyServer):
    assert sorted(comfyui.call("/workflow_templates")["lipstyle"]) == sorted(NAMES)


@pytest.mark.server
@each_workflow
def test_every_node_and_input_of_a_workflow_exists(comfyui: ComfyServer, name):
    known = comfyui.object_info()
    for node in content(name)["nodes"]:
        if node["type"] == "MarkdownNote":
            continue
        specs = input_specs(known[node["type"]])
        named = {socket["name"] for socket in node.get("inputs", [])} - {"upload", "audioUI"}
        assert named <= set(specs), node["type"]


@pytest.mark.server
@each_workflow
def test_a_workflow_runs_and_speaks(host: ComfyServer, name):
    graph = with_tiny_models(api_graph(content(name), host.object_info()))
    (path,) = [p for p in host.output_files(host.run(graph)) if p.suffix == ".mp4"]
    clip, source = open_clip(path), open_clip(host.input / DEMO_VIDEO)
    said, heard = read_audio(host.input / DEMO_SPEECH), read_audio(path)
    assert (clip.fps, clip.height, clip.width) == (source.fps, source.height, source.width)
    assert clip.frame_count == max(1, round(said.duration * clip.fps))
    assert abs(heard.duration - said.duration) <= 1024 / said.sample_rate


@each_workflow
def test_the_files_that_a_workflow_names_come_with_the_pack(name):
    """Models and styles by the names under which they are shipped."""
    shipped: set[str] = {path.name for path in (PACK / "weights").glob("*.safetensors")}
    for node in content(name)["nodes"]:
        for value in node.get("widgets_values") or []:
            if isinstance(value, str) and Path(value).suffix == ".safetensors":
                assert value in shipped
