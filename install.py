"""What ComfyUI-Manager runs after it has installed the requirements.

    python install.py [--folder MODELS/lipstyle] [--offline] [--dry-run]

Checks that the libraries are there, and fetches the two third-party weight files that are nowhere
to be found into ComfyUI's models/lipstyle, with checksums. Safe to run again, and without a
network: what cannot be had is said in one line, and the exit code stays 0. It installs nothing.
--dry-run says what would be fetched from where, how large it is and where it would go; it asks no
server and writes nothing.
"""

import argparse
import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).absolute().parent
OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
"""Any of these gives `cv2`."""
BAR = 30
"""Letters in the bar of a download."""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check LipStyle's libraries and weight files.")
    parser.add_argument("--folder", type=Path, help="where weights go (ComfyUI's models/lipstyle)")
    parser.add_argument("--offline", action="store_true", help="look, but fetch nothing")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
    arguments = parser.parse_args(argv)
    problems = missing_libraries(ROOT / "requirements.txt")
    for problem in problems:
        say(problem)
    if problems:
        say("pip install -r requirements.txt puts that right; then run install.py again")
    try:
        folder = arguments.folder or models_folder()
        provide_weights(folder, arguments.offline, arguments.dry_run)
    except ImportError as error:
        say(f"weight files cannot be looked for without {error.name}")
    except KeyboardInterrupt:
        say("stopped; nothing half-fetched is left")
        return 130
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


def provide_weights(folder: Path | None, offline: bool, dry_run: bool = False) -> None:
    """Says where each third-party file is; fetches what is missing or damaged."""
    from lipsync_core.errors import ModelError
    from lipsync_core.weights import WEIGHTS, fetch, find

    for weight in WEIGHTS:
        try:
            say(f"{weight.name}: {find(weight, [folder] if folder else [])}")
            continue
        except ModelError as error:
            say(str(error))
        source = f"{weight.name} ({weight.what}, {weight.size}, {weight.licence}) from {weight.url}"
        if folder is None:
            say("this is no folder of custom_nodes: give the place for weights with --folder")
        elif dry_run:
            say(f"would fetch {source} to {folder / weight.name} and check it by its checksum")
        elif not offline:
            try:
                say(f"fetching {source}")
                say(f"{weight.name}: {fetch(weight, folder, shown_progress())}")
            except ModelError as error:
                say(str(error))


def shown_progress():
    """An on_progress in bytes: a bar that moves on a terminal, else a line every tenth."""
    return draw_bar if sys.stdout.isatty() else say_tenths()


def draw_bar(done: int, total: int) -> None:
    """Over the line before; ends the line when all is there."""
    filled = done * BAR // total if total else BAR
    part = f"{done / 1e6:.1f} of {total / 1e6:.1f} MB"
    print(
        f"\rLipStyle: [{'#' * filled:{BAR}}] {part}", end="\n" if done >= total else "", flush=True
    )


def say_tenths():
    """An on_progress that says every tenth of the way once."""
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
