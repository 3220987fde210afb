"""What an evaluation found: one row per clip and subject, appended to a file as it is found.

A line of the file holds all rows of one clip, so that a clip is there whole or not at all. A run
that was stopped goes on where it was: clips on disk are not measured again.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .statistics import Estimate, estimate

ROWS_FILE = "rows.jsonl"


@dataclass(frozen=True)
class Measure:
    """One figure: its name, unit, direction, and what it means in one line."""

    name: str
    unit: str
    better: str
    """"higher", "lower", or the value it should be near, such as "near 1"."""
    meaning: str


@dataclass(frozen=True)
class Row:
    """All figures of one subject on one clip."""

    mode: str
    """"reconstruction", "cross audio", "silent audio" or "style"."""
    clip: str
    person: str
    subject: str
    """What was measured: "output", "chance" (another sentence of the person), "ceiling" (the real
    clip written again), or a row of an ablation."""
    figures: dict[str, float]
    files: dict[str, str] = field(default_factory=dict)
    """Pictures and clips that belong to the row, relative to the run's folder."""
    notes: dict[str, str] = field(default_factory=dict)
    """What a reader must know of it: the style it was given, why a clip was left out."""


class Results:
    """The rows of one run, kept in its folder."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.rows: list[Row] = list(_read(folder / ROWS_FILE))

    def has(self, mode: str, clip: str) -> bool:
        """Whether the clip was measured in an earlier part of the run."""
        return any(row.mode == mode and row.clip == clip for row in self.rows)

    def add(self, rows: list[Row]) -> None:
        """Appends the rows of one clip, all or none."""
        self.folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps([_finite(asdict(row)) for row in rows]) + "\n"
        path = self.folder / ROWS_FILE
        # A line that a stopped run left open is ended first, or this one would be lost with it.
        start = "" if _ends_whole(path) else "\n"
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(start + text)
        self.rows += rows

    def table(self, mode: str) -> dict[str, dict[str, Estimate]]:
        """measure -> subject -> mean over clips with its interval."""
        rows = [row for row in self.rows if row.mode == mode]
        subjects = list(dict.fromkeys(row.subject for row in rows))
        names = list(dict.fromkeys(name for row in rows for name in row.figures))
        return {
            name: {
                subject: estimate(
                    [r.figures[name] for r in rows if r.subject == subject and name in r.figures]
                )
                for subject in subjects
                if any(r.subject == subject and name in r.figures for r in rows)
            }
            for name in names
        }


def _finite(row: dict) -> dict:
    """JSON has no nan: what could not be measured is null."""
    figures = {k: v if math.isfinite(v) else None for k, v in row["figures"].items()}
    return row | {"figures": figures}


def _ends_whole(path: Path) -> bool:
    return not path.is_file() or path.read_bytes()[-1:] in (b"", b"\n")


def _read(path: Path) -> Iterator[Row]:
    if not path.is_file():
        return
    for line in path.read_bytes().splitlines():
        try:
            stored = json.loads(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            continue  # half a line, from a run cut off while writing: that clip is done again
        for row in stored:
            figures = {k: math.nan if v is None else v for k, v in row.pop("figures").items()}
            yield Row(**row, figures=figures)
