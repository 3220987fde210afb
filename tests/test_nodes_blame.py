"""An error appears on the node that caused it, with our words and what to do, in a real server."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from node_graphs import (
    FACE,
    FRAMES,
    NO_FACE,
    RENDERER,
    SILENT_FACE,
    Graph,
    Link,
    clip,
    lip_sync,
    output,
    predictor,
    provide_files,
    renderer,
    save_video,
    speech,
    track,
    video,
)
from tiny_models import PROVENANCE, tiny_predictor

from lipsync_core.checkpoint import save_model
from tools.hosting.client import ExecutionFailed, GraphRefused
from tools.hosting.server import ComfyServer

pytestmark = pytest.mark.server

OTHER_PREDICTOR = "other_predictor.safetensors"
TEXT = "only_text.mp4"


@pytest.fixture(scope="module")
def host(comfyui: ComfyServer) -> ComfyServer:
    """The server with tiny models, a predictor that does not fit them, and small clips."""
    provide_files(comfyui)
    save_model(comfyui.models / "lipstyle" / OTHER_PREDICTOR, tiny_predictor(seed=9), PROVENANCE)
    shutil.copy(Path(__file__), comfyui.input / TEXT)
    return comfyui


@dataclass(frozen=True)
class Mistake:
    """A graph with one mistake: who is to blame, and what is said."""

    name: str
    blamed: str
    words: str
    build: Callable[[Graph], Link]


def shown(graph: Graph, source: Link) -> None:
    graph.add("PreviewAny", source=source)


def motion(graph: Graph, **said: Link) -> Link:
    loaded = predictor(graph)
    heard = graph.add("LipStyleEncodeSpeech", predictor=loaded, audio=speech(graph))
    return graph.add(
        "LipStylePredictLipMotion", predictor=loaded, speech=heard, strength=1.0, **said
    )


def plot(graph: Graph, loaded: Link, start: float = 0.0, duration: float = 8.0) -> Link:
    return graph.add(
        "LipStylePlotLipMotion",
        predictor=loaded,
        motion=motion(graph),
        start=start,
        duration=duration,
    )


def other_predictor(graph: Graph) -> Link:
    return graph.add("LipStyleLoadMotionPredictor", file=OTHER_PREDICTOR)


def heard_by_another(graph: Graph) -> Link:
    style = graph.add("LipStyleStyleReference", predictor=other_predictor(graph), video=clip(graph))
    return motion(graph, style=style)


def crops_lost(graph: Graph) -> Link:
    target = video(graph)
    pictures = graph.add("EmptyImage", width=64, height=64, batch_size=3, color=0)
    return graph.add(
        "LipStyleCompositeFace", video=target, face_track=track(graph, target), crops=pictures
    )


def tracked_elsewhere(graph: Graph) -> Link:
    face = track(graph, clip(graph, duration=0.4))
    return graph.add(
        "LipStyleSampleLipRenderer",
        renderer=renderer(graph),
        video=video(graph),
        face_track=face,
        motion=motion(graph),
        seed=0,
        steps=1,
        start_frame=0,
        frame_count=0,
    )


def drawn_past_the_end(graph: Graph) -> Link:
    target = video(graph)
    return graph.add(
        "LipStyleSampleLipRenderer",
        renderer=renderer(graph),
        video=target,
        face_track=track(graph, target),
        motion=motion(graph),
        seed=0,
        steps=1,
        start_frame=FRAMES,
        frame_count=0,
    )


EXECUTED = (
    Mistake(
        "no face", "LipStyleTrackFace", "give a clip in which the face is seen",
        lambda graph: track(graph, video(graph, NO_FACE)),
    ),
    Mistake(
        "too high an index", "LipStyleTrackFace", "they go from 0 to 0; choose another face",
        lambda graph: track(graph, video(graph), "index from the left", face_index=3),
    ),
    Mistake(
        "no video", "LipStyleLoadReferenceClip", "Use a file that plays elsewhere.",
        lambda graph: clip(graph, TEXT),
    ),
    Mistake(
        "start after the end", "LipStyleLoadReferenceClip", "Choose an earlier start.",
        lambda graph: clip(graph, start=60.0),
    ),
    Mistake(
        "silent speech", "LipStyleEncodeSpeech", "give other speech",
        lambda graph: graph.add(
            "LipStyleEncodeSpeech",
            predictor=predictor(graph),
            audio=output(clip(graph, SILENT_FACE), 1),
        ),
    ),
    Mistake(
        "silent style", "LipStyleStyleReference", "give its audio, or a clip with sound",
        lambda graph: graph.add(
            "LipStyleStyleReference", predictor=predictor(graph), video=clip(graph, SILENT_FACE)
        ),
    ),
    Mistake(
        "style of another predictor", "LipStylePredictLipMotion",
        "measure it again with this predictor", heard_by_another,
    ),
    Mistake(
        "plotted by another predictor", "LipStylePlotLipMotion",
        "connect the predictor that the motion was made with",
        lambda graph: plot(graph, other_predictor(graph)),
    ),
    Mistake(
        "plot after the end", "LipStylePlotLipMotion", "choose an earlier start",
        lambda graph: plot(graph, predictor(graph), start=99.0),
    ),
    Mistake(
        "crops lost", "LipStyleCompositeFace", "as Decode Lip Latents gives them", crops_lost
    ),
    Mistake(
        "tracked elsewhere", "LipStyleSampleLipRenderer", "track the face in the very video",
        tracked_elsewhere,
    ),
    Mistake(
        "drawn past the end", "LipStyleSampleLipRenderer", f"frames 0 to {FRAMES - 1}",
        drawn_past_the_end,
    ),
    Mistake(
        "face of Lip Sync", "LipStyleLipSync", "choose another face",
        lambda graph: lip_sync(
            graph, video(graph), speech(graph), face="index from the left", face_index=3
        ),
    ),
)  # fmt: skip


@pytest.mark.parametrize("mistake", EXECUTED, ids=lambda mistake: mistake.name)
def test_a_node_that_fails_is_the_one_to_blame(host, mistake):
    graph = Graph()
    made = mistake.build(graph)
    shown(graph, made)
    with pytest.raises(ExecutionFailed) as failure:
        host.run(graph)
    (told,) = (data for name, data in failure.value.messages if name == "execution_error")
    assert told["node_type"] == mistake.blamed
    assert graph[told["node_id"]]["class_type"] == mistake.blamed
    assert mistake.words in told["exception_message"]
    assert "Traceback" not in told["exception_message"]


REFUSED = (
    Mistake(
        "missing clip", "LipStyleLoadReferenceClip", "upload it first",
        lambda graph: clip(graph, "not_there.mp4"),
    ),
    Mistake(
        "missing style", "LipStyleLoadStyle", "choose one of the list",
        lambda graph: graph.add("LipStyleLoadStyle", file="not_there.safetensors"),
    ),
    Mistake(
        "renderer as predictor", "LipStyleLoadMotionPredictor", "choose another file",
        lambda graph: graph.add("LipStyleLoadMotionPredictor", file=RENDERER),
    ),
)  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED, ids=lambda mistake: mistake.name)
def test_a_wrong_choice_is_marked_on_its_node_before_anything_runs(host, mistake):
    graph = Graph()
    shown(graph, mistake.build(graph))
    with pytest.raises(GraphRefused) as refusal:
        host.submit(graph)
    ((number, told),) = refusal.value.node_errors.items()
    assert told["class_type"] == graph[number]["class_type"] == mistake.blamed
    (error,) = told["errors"]
    assert mistake.words in error["details"]
    assert error["extra_info"]["input_name"] == "file", "the widget that is marked"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("start", -1.0, "smaller than min"),
        ("duration", 1e9, "bigger than max"),
        ("start", "soon", "invalid literal|could not convert"),
    ],
)
def test_a_number_out_of_range_is_marked_on_its_widget(host, field, value, words):
    graph = Graph()
    loaded = clip(graph, FACE)
    graph[loaded[0]]["inputs"][field] = value
    shown(graph, loaded)
    with pytest.raises(GraphRefused, match=words) as refusal:
        host.submit(graph)
    (error,) = refusal.value.node_errors[loaded[0]]["errors"]
    assert error["extra_info"]["input_name"] == field


def test_a_node_shows_what_it_found(host):
    """Track Face and Plot Lip Motion hand pictures to the browser, beside those on their wires."""
    graph = Graph()
    face = track(graph, video(graph))
    shown(graph, face)
    drawn = plot(graph, predictor(graph))
    save = save_video(graph, video(graph))
    outputs = host.run(save)
    sizes = {face[0]: 6, drawn[0]: 1}
    for number, count in sizes.items():
        pictures = outputs[number]["images"]
        assert len(pictures) == count
        for picture in pictures:
            assert picture["type"] == "temp"
            assert (host.base / "temp" / picture["subfolder"] / picture["filename"]).is_file()
