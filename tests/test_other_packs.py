"""Nodes of other packs in our workflows: face restorers, upscale models, interpolation, VHS."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest
import tiny_renderer
import torch
from node_graphs import Graph, lip_sync, output, save_video, speech
from PIL import Image
from safetensors.torch import save_file
from templates import (
    SPEECH,
    SPEECH_SECONDS,
    TAKE,
    TARGET,
    TARGET_FRAMES,
    provide_small_files,
    small,
)

from lipsync_core.media.file_clip import open_clip
from tools.hosting.server import ComfyServer
from tools.hosting.ui_workflow import api_graph

pytestmark = pytest.mark.server

ApiGraph = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def host(neighbours: ComfyServer) -> ComfyServer:
    return provide_small_files(neighbours)


def the(graph: ApiGraph, class_type: str) -> str:
    """The number of the one node of a type."""
    (number,) = [n for n, node in graph.items() if node["class_type"] == class_type]
    return number


def put_in_place_of(graph: ApiGraph, old: str, class_type: str, slot: str, **inputs: Any) -> None:
    """Another node where `old` was: its picture goes into `slot`, and out to the same nodes."""
    (picture,) = [v for v in graph[old]["inputs"].values() if isinstance(v, list)]
    graph[old] = {"class_type": class_type, "inputs": {slot: picture, **inputs}}


def frames_of(host: ComfyServer, graph: ApiGraph) -> tuple[torch.Tensor, Fraction]:
    """The video that a graph writes."""
    (path,) = [p for p in host.output_files(host.run(graph)) if p.suffix == ".mp4"]
    clip = open_clip(path)
    return clip.frames(0, clip.frame_count), clip.fps


def reactor(graph: ApiGraph, place: str) -> None:
    settings = {"model": "codeformer-v0.1.0.pth", "visibility": 1.0, "codeformer_weight": 0.5}
    put_in_place_of(graph, place, "ReActorRestoreFace", "image",
                    facedetection="retinaface_resnet50", **settings)  # fmt: skip


def facerestore_cf(graph: ApiGraph, place: str) -> None:
    graph["model"] = {
        "class_type": "FaceRestoreModelLoader",
        "inputs": {"model_name": "codeformer.pth"},
    }
    put_in_place_of(graph, place, "FaceRestoreCFWithModel", "image", facerestore_model=["model", 0],
                    facedetection="YOLOv5n", codeformer_fidelity=0.5)  # fmt: skip


@pytest.mark.parametrize("restorer", [reactor, facerestore_cf])
def test_a_face_restorer_takes_the_place_that_the_template_keeps_for_it(
    host: ComfyServer, restorer: Callable[[ApiGraph, str], None]
):
    graph = api_graph(small("restore_crops"), host.object_info())
    plain, _ = frames_of(host, graph)
    place = the(graph, "ImageSharpen")
    assert graph[place]["_meta"]["title"] == "Put the face restorer here"
    restorer(graph, place)
    restored, _ = frames_of(host, graph)
    changed = (restored - plain).abs().amax(dim=-1) > 0.15
    assert restored.shape == plain.shape
    assert changed.flatten(1).any(dim=1).all(), "every frame's face went through the restorer"
    assert 0.005 < changed.float().mean() < 0.3, "and nothing but the face"


def test_an_upscale_model_wakes_up_and_the_frames_keep_their_size(host: ComfyServer):
    """A tiny real one (SRVGGNetCompact, twice the size), found, loaded and run by the core."""
    shapes = {"body.0": (8, 3, 3, 3), "body.2": (12, 8, 3, 3)}
    state = {f"{name}.weight": 0.01 * torch.randn(shape) for name, shape in shapes.items()}
    state |= {f"{name}.bias": torch.zeros(shape[0]) for name, shape in shapes.items()}
    state["body.1.weight"] = torch.full((8,), 0.25)
    folder = host.models / "upscale_models"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state, folder / "tiny_2x.safetensors")
    workflow = small("upscale_crops")
    for node in workflow["nodes"]:
        node["mode"] = 0
        if node["type"] == "UpscaleModelLoader":
            node["widgets_values"] = ["tiny_2x.safetensors"]
    graph = api_graph(workflow, host.object_info())
    put_in_place_of(graph, the(graph, "ImageScaleBy"), "ImageScaleBy", "image",
                    upscale_method="lanczos", scale_by=1.0)  # fmt: skip
    shown = the(graph, "PreviewImage")
    graph[shown]["inputs"]["filename_prefix"] = "crops"
    graph[shown]["class_type"] = "SaveImage"
    files = host.output_files(host.run(graph))
    crops = [path for path in files if path.suffix == ".png"]
    assert len(crops) == round(25 * SPEECH_SECONDS)
    with Image.open(crops[0]) as crop:
        assert crop.size == (2 * tiny_renderer.CONFIG.crop_size,) * 2
    (video,) = [path for path in files if path.suffix == ".mp4"]
    source = open_clip(host.input / TARGET)
    assert (open_clip(video).width, open_clip(video).height) == (source.width, source.height)


def test_rife_takes_the_place_of_the_core_nodes_that_double_the_frames(host: ComfyServer):
    graph = api_graph(small("interpolate_after"), host.object_info())
    parts, video = the(graph, "GetVideoComponents"), the(graph, "CreateVideo")
    gone = ("ImageFromBatch", "ImageBatch", "ImageBlend", "RebatchImages")
    graph = {n: node for n, node in graph.items() if node["class_type"] not in gone}
    graph["rife"] = {
        "class_type": "RIFE VFI",
        "inputs": {
            "ckpt_name": "rife47.pth", "frames": [parts, 0], "clear_cache_after_n_frames": 10,
            "multiplier": 2, "fast_mode": True, "ensemble": True, "scale_factor": 1.0,
        },
    }  # fmt: skip
    graph[video]["inputs"]["images"] = ["rife", 0]
    frames, fps = frames_of(host, graph)
    assert fps == 50
    assert len(frames) == 2 * round(25 * SPEECH_SECONDS) - 1


@pytest.mark.parametrize("style", ["own sound", "another take"])
def test_a_batch_of_images_and_lazy_sound_of_vhs_come_in_through_create_video(
    host: ComfyServer, style: str
):
    """The lazy mapping is no dict and is decoded only when somebody looks at it."""

    def load(graph: Graph, name: str) -> list[Any]:
        sizes = {"force_rate": 0, "custom_width": 0, "custom_height": 0}
        frames = {"frame_load_cap": 0, "skip_first_frames": 0, "select_every_nth": 1}
        return graph.add("VHS_LoadVideo", video=name, **sizes, **frames)

    graph = Graph()
    target, take = load(graph, TARGET), load(graph, TAKE)
    video = graph.add("CreateVideo", images=target, audio=output(target, 2), fps=25.0)
    if style == "own sound":  # the target's lazy sound is the style's; the take's is the new speech
        spoken = lip_sync(graph, video, output(take, 2))
        frame_count = 40
    else:
        other = graph.add("CreateVideo", images=take, audio=output(take, 2), fps=25.0)
        said = speech(graph, SPEECH)
        spoken = lip_sync(graph, video, said, reference=other)
        measured = graph.add("LipStyleStyleReference", predictor=["1", 0], video=other,
                             audio=output(take, 2))  # fmt: skip
        (number,) = [n for n, node in graph.items() if node["class_type"] == "LipStyleLipSync"]
        graph[measured[0]]["inputs"]["predictor"] = graph[number]["inputs"]["predictor"]
        graph[number]["inputs"]["style"] = measured
        frame_count = round(25 * SPEECH_SECONDS)
    frames, fps = frames_of(host, save_video(graph, spoken))
    assert fps == 25
    assert len(frames) == frame_count > TARGET_FRAMES
