"""How the nodes fail in the real server: a clear message, nothing half-written, a server that lives
on; and how fast they let themselves be cancelled."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from node_graphs import (
    FACE,
    FRAMES,
    LONG_SPEECH,
    NO_FACE,
    PREDICTOR,
    RENDERER,
    SILENT_FACE,
    Graph,
    clip,
    lip_sync,
    noise,
    output,
    predictor,
    provide_files,
    save_video,
    speech,
    track,
    video,
)
from synthetic_media import write_sound

from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.writing import write_clip
from tools.hosting.client import ExecutionFailed, GraphRefused
from tools.hosting.server import ComfyServer

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def host(comfyui: ComfyServer) -> ComfyServer:
    """The server with tiny models and small clips in its folders."""
    return provide_files(comfyui)


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


def temp_files(host: ComfyServer) -> set[Path]:
    """And the pieces of unfinished videos."""
    folders = host.base / "temp", host.base / "user/lipstyle"
    return {path for folder in folders for path in folder.rglob("*") if path.is_file()}


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
