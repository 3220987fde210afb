"""What ComfyUI-Manager runs after it has installed the requirements.

    python install.py [--folder MODELS/lipstyle] [--offline]

Checks that the libraries are there, and fetches the two third-party weight files that are nowhere
to be found into ComfyUI's models/lipstyle, with checksums. Safe to run again, and without a
network: what cannot be had is said in one line, and the exit code stays 0. It installs nothing.
"""

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).absolute().parent
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
"""Any of these gives `cv2`."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check LipStyle's libraries and weight files.")
    parser.add_argument("--folder", type=Path, help="where weights go (ComfyUI's models/lipstyle)")
    parser.add_argument("--offline", action="store_true", help="look, but fetch nothing")
    arguments = parser.parse_args(argv)
    problems = missing_libraries(ROOT / "requirements.txt")
    for problem in problems:
        say(problem)
    if problems:
        say("pip install -r requirements.txt puts that right; then run install.py again")
    try:
        provide_weights(arguments.folder or models_folder(), arguments.offline)
    except ImportError as error:
        say(f"weight files cannot be looked for without {error.name}")
    return 0


def missing_libraries(requirements: Path) -> list[str]:
    """One line for every requirement that is not met; torch, which ComfyUI brings, among them."""
    lines = ["torch>=2.1", *requirements.read_text(encoding="utf-8").splitlines()]
    return [problem for line in lines if line.strip() and (problem := missing_library(line))]


def missing_library(requirement: str) -> str | None:
    """What is wrong with one `name>=version` line."""
    name, _, least = requirement.strip().partition(">=")
    for candidate in OPENCV if name == "opencv-python" else (name,):
        try:
            found = metadata.version(candidate)
        except metadata.PackageNotFoundError:
            continue
        if release(found) >= release(least):
            return None
        return f"{candidate} {found} is installed, {least} or newer is needed"
    return f"{name} is not installed, {least} or newer is needed"


def release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: "2.13.0+cpu" is (2, 13, 0)."""
    numbers = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(int(number) for number in numbers[0].split(".")) if numbers else ()


def models_folder() -> Path | None:
    """models/lipstyle of the ComfyUI whose custom_nodes holds this folder; None outside of one."""
    if ROOT.parent.name != "custom_nodes":
        return None
    return ROOT.parents[1] / "models" / "lipstyle"


def provide_weights(folder: Path | None, offline: bool) -> None:
    """Says where each third-party file is; fetches what is missing or damaged."""
    from lipsync_core.errors import ModelError
    from lipsync_core.weights import WEIGHTS, fetch, find

    for weight in WEIGHTS:
        try:
            say(f"{weight.name}: {find(weight, [folder] if folder else [])}")
            continue
        except ModelError as error:
            missing = str(error)
        if offline or folder is None:
            say(missing)
            continue
        try:
            say(f"{weight.name} ({weight.what}, {weight.licence}) is fetched from {weight.url}")
            say(f"{weight.name}: {fetch(weight, folder, say_progress())}")
        except ModelError as error:
            say(str(error))


def say_progress():
    """An on_progress that says every tenth of the way."""
    said = 0

    def on_progress(done: int, total: int) -> None:
        nonlocal said
        if total and (tenth := done * 10 // total) > said:
            said = tenth
            say(f"{tenth * 10} %")

    return on_progress


def say(line: str) -> None:
    print(f"LipStyle: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
