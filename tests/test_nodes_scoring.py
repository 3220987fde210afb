"""Score Lip Sync in the real server: words, numbers and a plot, and what cannot be scored."""

import pytest
from node_graphs import (
    FACE,
    LONG_SPEECH,
    NO_FACE,
    SILENT_FACE,
    Graph,
    Link,
    output,
    provide_files,
    speech,
    video,
)
from tiny_models import save_tiny_judge

from lipsync_core.evaluation.sync_measures import JUDGE
from lipsync_core.media.file_clip import open_clip
from tools.hosting.client import ExecutionFailed
from tools.hosting.server import ComfyServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def host(comfyui: ComfyServer) -> ComfyServer:
    """The server with small clips, and a judge of random weights that hides the shipped one."""
    save_tiny_judge(comfyui.models / "lipstyle" / JUDGE)
    return provide_files(comfyui)


def score(graph: Graph, name: str = FACE, **others: Link) -> Link:
    where = {"face": "largest", "face_index": 0, "point_x": 0, "point_y": 0}
    return graph.add("LipStyleScoreLipSync", video=video(graph, name), **where, **others)


def shown(host: ComfyServer, graph: Graph, scored: Link) -> list[str]:
    """Summary, offset and confidence, as a node that previews anything shows them."""
    previews = [graph.add("PreviewAny", source=output(scored, index)) for index in range(3)]
    outputs = host.run(graph)
    return [outputs[number]["text"][0] for number, _ in previews]


def test_a_video_is_scored_in_words_numbers_and_a_plot(host):
    graph = Graph()
    scored = score(graph)
    graph.add("SaveImage", images=output(scored, 3), filename_prefix="plot")
    previews = [graph.add("PreviewAny", source=output(scored, index)) for index in range(3)]
    outputs = host.run(graph)
    summary, offset, confidence = (outputs[number]["text"][0] for number, _ in previews)
    assert summary.startswith("The lips") and "Confidence" in summary
    assert float(offset) % 40 == 0 and abs(float(offset)) <= 600 and float(confidence) >= 0
    (picture,) = host.output_files(outputs)
    plot = open_clip(picture)
    assert plot.width > 3 * plot.height


def test_other_speech_is_scored_otherwise(host):
    own, other = Graph(), Graph()
    scored = shown(host, own, score(own))
    assert shown(host, other, score(other, audio=speech(other, LONG_SPEECH))) != scored


def test_a_video_beside_itself_is_the_same(host):
    graph = Graph()
    summary, _, _ = shown(host, graph, score(graph, real=video(graph)))
    assert "- opening r: 1.00" in summary and "- lip vertex error: 0.00" in summary


@pytest.mark.parametrize(
    ("name", "message"), [(SILENT_FACE, "no sound"), (NO_FACE, "face")], ids=["silent", "no face"]
)
def test_what_cannot_be_scored_is_told_so(host, name, message):
    graph = Graph()
    graph.add("PreviewAny", source=score(graph, name))
    with pytest.raises(ExecutionFailed, match=message):
        host.run(graph)
