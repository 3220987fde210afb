"""ComfyUI is killed in the midst of a long video: what was finished is not made again."""

import os
import signal
from pathlib import Path

import pytest
from node_graphs import FACE, FRAMES, Graph, lip_sync, noise, provide_files, save_video, video

from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.writing import write_clip
from tools.hosting.environment import Environment
from tools.hosting.server import ComfyServer, running_server

pytestmark = pytest.mark.server

REPEATS = 10
LONG = "long.mp4"


def spoken_graph() -> Graph:
    graph = Graph()
    clip = video(graph, LONG)
    return save_video(graph, lip_sync(graph, clip, graph.add("LoadAudio", audio=LONG)))


def pieces(base: Path) -> dict[str, int]:
    """The finished pieces and when they were written."""
    folder = base / "user/lipstyle/unfinished"
    return {path.name: path.stat().st_ino for path in folder.glob("*.mp4")}


def write_long_clip(server: ComfyServer) -> None:
    source = open_clip(server.input / FACE)
    frames = (source.frames(0, FRAMES) for _ in range(REPEATS))
    write_clip(server.input / LONG, frames, source.fps, source.height, source.width, noise(16))


def kill_after_a_piece(server: ComfyServer) -> None:
    """Kills the server, as a crash would, once the first piece is finished and not the second."""
    with server.events("crash") as events:
        server.submit(spoken_graph(), "crash")
        events.set_timeout(120)
        for event in events:
            assert not isinstance(event, dict) or event["type"] != "execution_success"
            if pieces(server.base):
                break
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait(30)


def test_a_killed_server_goes_on_with_the_next_piece(host_environment: Environment, tmp_path: Path):
    with running_server(host_environment, tmp_path) as server:
        provide_files(server)
        write_long_clip(server)
        kill_after_a_piece(server)
    left = pieces(tmp_path)
    assert len(left) == 1
    with running_server(host_environment, tmp_path) as server:
        seen: dict[str, int] = {}
        with server.events("again") as events:
            run = server.submit(spoken_graph(), "again")
            events.set_timeout(120)
            for event in events:
                seen |= pieces(tmp_path)
                if isinstance(event, dict) and event["type"] == "execution_success":
                    break
        record = server.wait(run, timeout=120)
        (path,) = server.output_files(server.outputs(record))
    # The piece that was finished is the same file: nobody wrote it again.
    assert left.items() <= seen.items()
    assert open_clip(path).frame_count == REPEATS * FRAMES
    assert pieces(tmp_path) == {}
