"""Names of files that came from outside, such as out of a workflow that somebody shared."""

import os
from pathlib import Path
from typing import Any

LONGEST_NAME = 200
"""Letters of a name that a message repeats, or that a file may get."""


def file_inside(folder: Path, name: str) -> Path | None:
    """The file `name` in `folder`, None if there is none or the name leads out of the folder.

    Links inside the folder are the owner's.
    """
    root = Path(os.path.abspath(folder))
    path = Path(os.path.abspath(root / name))
    # A name may be longer than any file's, or hold what no file system writes.
    try:
        return path if path.is_relative_to(root) and os.path.isfile(path) else None
    except (OSError, ValueError):
        return None


def readable(name: Any) -> str:
    """A name as it can be shown: short, and in letters that can be written.

    ComfyUI's log is strict: half of a surrogate pair in a message ends the thread that works off
    its queue.
    """
    text = str(name)
    text = text if len(text) <= LONGEST_NAME else f"{text[:LONGEST_NAME]}..."
    return text.encode("utf-8", "backslashreplace").decode()
