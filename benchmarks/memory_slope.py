"""Peak memory of re-speaking a video over its length: what each second of video costs in MiB.

    python3 tools/host.py python benchmarks/memory_slope.py
        [--seconds 10 30 60] [--size 720p] [--weights tiny] [--through command] [--folder F]

Clips of the tests' synthetic face with sound in stereo at 48 kHz, which is also the new speech;
each length in a process of its own. `--weights tiny` takes small random networks (memory of the
stream), `real` the shipped ones. `--through node` runs Load Reference Clip, Lip Sync and Save Video
in a real ComfyUI, and counts the whole server; Linux only. `--folder` keeps the clips for the next
time.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import node_graphs
from synthetic_face import humming, sway, syllables, talking_face
from tiny_models import save_tiny_models

from lipsync_core.commands.sync import PREDICTOR, RENDERER
from lipsync_core.media.joining import join_clips
from lipsync_core.media.writing import write_clip
from lipsync_core.types import Sound
from lipsync_core.weights import SHIPPED
from tools.hosting.environment import Environment
from tools.hosting.server import running_server

ROOT = Path(__file__).parents[1]
SIZES = {"360p": (360, 640), "720p": (720, 1280), "1080p": (1080, 1920)}
FPS, RATE = Fraction(25), 48_000
LOOP = 50
"""Frames that are drawn and coded once and joined again and again."""
PATIENCE = 24 * 3600
"""Seconds."""


class LoopedSound(Sound):
    """A short sound again and again, in two channels of which one is softer."""

    sample_rate = RATE

    def __init__(self, waveform: Float[Tensor, " n"], times: int):
        self._channels, self._times = torch.stack([waveform, waveform / 2]), times

    @property
    def sample_count(self) -> int:
        return self._times * self._channels.shape[1]

    @property
    def channel_count(self) -> int:
        return 2

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Float[Tensor, "c _"]]:
        """Whole loops only, which is all that a writer asks for."""
        assert start == 0 and stop in (None, self.sample_count)
        for _ in range(self._times):
            yield self._channels


def talking_clips(folder: Path, size: str, lengths: list[int]) -> dict[int, Path]:
    """A file of every length, in seconds; those that are there already are taken."""
    height, width = SIZES[size]
    opening, piece = syllables(LOOP, FPS), folder / f"{size}.mp4"
    if not piece.exists():
        face = talking_face(opening, sway(LOOP, height, width, height / 180, FPS), height, width)
        write_clip(piece, [face.frames], FPS, height, width)
    found = {seconds: folder / f"{size}_{seconds}.mp4" for seconds in lengths}
    for seconds, path in found.items():
        if not path.exists():
            times = round(seconds * FPS / LOOP)
            sound = LoopedSound(humming(opening, FPS, RATE).waveform, times)
            join_clips(path, [piece] * times, FPS, sound)
    return found


def peak_of_command(video: Path, models: Path, names: tuple[str, str]) -> float:
    """MiB of resident memory of `sync` at the highest."""
    program = (
        "import resource, sys; from lipsync_core.__main__ import main; code = main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    arguments = ["sync", "--video", video, "--audio", video, "--out", models / "out.mp4"]
    arguments += ["--predictor", models / names[0], "--renderer", models / names[1]]
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1]) / 1024


def peak_of_node(video: Path, models: Path, names: tuple[str, str]) -> float:
    """MiB of resident memory of a ComfyUI at the highest."""
    with running_server(Environment.chosen(), models / f"comfyui_{video.stem}") as server:
        for name, called in zip(names, (node_graphs.PREDICTOR, node_graphs.RENDERER), strict=True):
            shutil.copy(models / name, server.models / "lipstyle" / called)
        shutil.copy(video, server.input)
        graph = node_graphs.Graph()
        target = node_graphs.clip(graph, video.name)
        spoken = node_graphs.lip_sync(graph, target, node_graphs.output(target, 1))
        server.run(node_graphs.save_video(graph, spoken), timeout=PATIENCE)
        status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 30, 60])
    parser.add_argument("--size", choices=SIZES, default="720p")
    parser.add_argument("--weights", choices=("tiny", "real"), default="tiny")
    parser.add_argument("--through", choices=("command", "node"), default="command")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    measure = {"command": peak_of_command, "node": peak_of_node}[arguments.through]
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        models = Path(name)
        clips = talking_clips(arguments.folder or models, arguments.size, arguments.seconds)
        if arguments.weights == "tiny":
            names = save_tiny_models(models)
        else:
            names = PREDICTOR, RENDERER
            for shipped in names:
                shutil.copy(SHIPPED / shipped, models)
        for seconds, video in clips.items():
            peaks.append(measure(video, models, names))
            print(f"{seconds} s of {arguments.size}: peak {peaks[-1]:.0f} MiB", flush=True)
    if len(peaks) > 1:
        slope = np.polyfit(arguments.seconds, peaks, 1)[0]
        print(f"slope {slope:.3f} MiB per second of video")


if __name__ == "__main__":
    main()
