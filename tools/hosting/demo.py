"""The inputs of the demo workflow, made by tools/demo_inputs.py when they are not there yet."""

import hashlib
from pathlib import Path

from .display import StageDisplay
from .environment import PACK, TOOLS, Environment

SCRIPT = TOOLS / "demo_inputs.py"
SOURCES = (SCRIPT, TOOLS / "demo_sentences.json", PACK / "tests" / "synthetic_face.py")
"""What the demo's files are made by."""


def ensure_demo_inputs(environment: Environment) -> None:
    """Writes the demo's files to ComfyUI's input folder; again when the script has changed.

    Raises StageFailed if the script does not succeed.
    """
    folder = environment.base / "input"
    mark = folder.parent / "demo_inputs.mark"
    if not SCRIPT.exists():
        print(f"No demo inputs: {SCRIPT} is missing.", flush=True)
        return
    version = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()
    if mark.exists() and mark.read_text() == version and demo_files(folder):
        return
    folder.mkdir(parents=True, exist_ok=True)
    display = StageDisplay(1, environment.log)
    with display.stage("demo inputs"):
        display.run([environment.python, SCRIPT, folder], environment.variables())
    mark.write_text(version)


def demo_files(folder: Path) -> list[Path]:
    """The demo's files in an input folder."""
    return sorted(folder.glob("lipstyle_demo*"))
