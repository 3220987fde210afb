"""The pictures of the workflows, for ComfyUI's template menu and the README.

    python3 tools/host.py python tools/workflow_pictures.py [NAME ...]

Runs every workflow of workflows/ (or those named) with the demo's files, in Chromium against the
real server, and writes workflows/<name>.jpg: the graph with what its nodes have made. Says so if
nodes lie on each other then. Needs what the browser tests need, and some minutes.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2

sys.path.insert(0, str(Path(__file__).parent))

from hosting.demo import demo_files
from hosting.environment import PACK, TOOLS, Environment
from hosting.server import running_server

WORKFLOWS = PACK / "workflows"
MOST_BYTES = 190_000
"""Of a JPEG: the menu loads all of them at once."""


def main(names: list[str]) -> int:
    environment = Environment.chosen()
    files = [WORKFLOWS / f"{name}.json" for name in names] or sorted(WORKFLOWS.glob("*.json"))
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(environment, Path(folder) / "comfyui") as server,
    ):
        for path in demo_files(environment.base / "input"):
            shutil.copy(path, server.input)
        for file in files:
            shot, target = Path(folder) / f"{file.stem}.png", file.with_suffix(".jpg")
            photograph(server.url, file, shot)
            size = write_jpeg(shot, target) // 1024
            print(f"{target.relative_to(PACK)}: {size} kB", flush=True)
    return 0


def photograph(url: str, workflow: Path, shot: Path) -> None:
    """Runs a workflow in a browser; prints which nodes lie on each other then."""
    author = TOOLS / "author_workflow.mjs"
    script = ["node", author, url, workflow, "--run", "--anew", "--png", shot]
    done = subprocess.run(list(map(str, script)), stdout=subprocess.PIPE, text=True, check=True)
    for name, report in json.loads(done.stdout)["workflows"].items():
        for first, second in report["overlapping"]:
            print(f"{name}: {first} lies on {second}", flush=True)


def write_jpeg(shot: Path, target: Path) -> int:
    """In the best quality that is small enough; returns the bytes."""
    picture = cv2.imread(str(shot))
    if picture is None:
        raise FileNotFoundError(f"there is no picture {shot}")
    qualities = [[cv2.IMWRITE_JPEG_QUALITY, quality] for quality in range(90, 30, -5)]
    jpegs = (cv2.imencode(".jpg", picture, quality)[1].tobytes() for quality in qualities)
    small = next((jpeg for jpeg in jpegs if len(jpeg) <= MOST_BYTES), None)
    if small is None:
        raise ValueError(f"{target.name} is larger than {MOST_BYTES} bytes in every quality")
    target.write_bytes(small)
    return len(small)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
