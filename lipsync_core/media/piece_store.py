"""Finished pieces of videos that are still being made, so that a crash does not cost them.

A piece's name is a digest of all that it was made from: it is found again by who would make the
same, and by nobody else.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .writing import part_of

GIBIBYTE = 2**30
_NAME = re.compile(r"[0-9a-f]{16,64}-\d+")


class PieceStore:
    """A folder of pieces; the ones not used for longest go when they are too many bytes."""

    def __init__(self, folder: Path, capacity: int = 8 * GIBIBYTE):
        self.folder, self.capacity = folder, capacity

    def find(self, name: str) -> Path | None:
        """The piece of this name, if it was finished."""
        path = self._path(name)
        if not path.is_file():
            return None
        os.utime(path)
        return path

    @contextmanager
    def adding(self, name: str) -> Iterator[Path]:
        """Where to write a piece; it is kept when the `with` ends well, else nothing is."""
        path = self._path(name)
        self.folder.mkdir(parents=True, exist_ok=True)
        part = part_of(path)
        try:
            yield part
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        self._make_room(path)

    def discard(self, job: str) -> None:
        """Removes all pieces whose names begin with `job`."""
        for path in self._pieces():
            if path.name.startswith(f"{job}-"):
                path.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a piece: a digest, a dash, a number")
        return self.folder / f"{name}.mp4"

    def _pieces(self) -> list[Path]:
        return list(self.folder.glob("*-*.mp4"))

    def _make_room(self, newest: Path) -> None:
        found = sorted((path.stat().st_mtime_ns, path) for path in self._pieces())
        size = sum(path.stat().st_size for _, path in found)
        for _, path in found:
            # The newest stays even if it alone is too large: it is needed now.
            if size <= self.capacity or path == newest:
                return
            size -= path.stat().st_size
            path.unlink(missing_ok=True)
