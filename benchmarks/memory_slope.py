"""Peak memory of `sync` over the length of the video: its slope in MiB per second of video.

    python3 tools/host.py python benchmarks/memory_slope.py [--seconds 10 30 60]

720p clips of the tests' synthetic face, tiny random weights (memory of the stream, not of the
networks), each length in a process of its own.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from synthetic_face import humming, sway, syllables, talking_face
from tiny_models import save_tiny_models

from lipsync_core.media.writing import ClipWriter

ROOT = Path(__file__).parents[1]
HEIGHT, WIDTH, FPS = 720, 1280, Fraction(25)
LOOP = 50
"""Frames drawn once and written again and again."""


def write_talking_clip(path: Path, seconds: int) -> None:
    opening = syllables(LOOP, FPS)
    face = talking_face(opening, sway(LOOP, HEIGHT, WIDTH, 4.0, FPS), HEIGHT, WIDTH, FPS)
    sound = humming(opening.repeat(seconds * 25 // LOOP), FPS)

    def frames() -> Iterator[torch.Tensor]:
        for index in range(seconds * 25):
            yield face.frames[index % LOOP, None]

    with ClipWriter(path, FPS, HEIGHT, WIDTH, sound) as writer:
        for frame in frames():
            writer.write(frame)


def peak_of_sync(folder: Path, video: Path, predictor: str, renderer: str) -> float:
    """MiB of resident memory at the highest."""
    program = (
        "import resource, sys; from lipsync_core.__main__ import main; code = main(sys.argv[1:]); "
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss); sys.exit(code)"
    )
    arguments = ["sync", "--video", video, "--audio", video, "--out", folder / "out.mp4"]
    arguments += ["--predictor", folder / predictor, "--renderer", folder / renderer]
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, nargs="+", default=[10, 30, 60])
    arguments = parser.parse_args()
    peaks = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        models = save_tiny_models(folder)
        for seconds in arguments.seconds:
            video = folder / f"{seconds}.mp4"
            write_talking_clip(video, seconds)
            peaks.append(peak_of_sync(folder, video, *models))
            print(f"{seconds} s of {WIDTH} x {HEIGHT}: peak {peaks[-1]:.0f} MiB", flush=True)
    slope = np.polyfit(arguments.seconds, peaks, 1)[0]
    print(f"slope {slope:.3f} MiB per second of video")


if __name__ == "__main__":
    main()
