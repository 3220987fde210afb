"""The tables of a run: measure by subject, each mean with its interval; what was left out, and why.

report.py shows them to people, machine_table to programs.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .face_distributions import FaceDistributions
from .feature_distances import FRECHET
from .modes import CROSS, CROSS_MEASURES, RECONSTRUCTION, SILENT
from .motion_measures import MEASURES as MOTION_MEASURES
from .picture_figures import PICTURE_MEASURES
from .renderer_mode import CONTROLS, RENDERER
from .renderer_mode import MEASURES as RENDERER_MEASURES
from .results import Measure, Results, Row
from .running import EXCLUDED
from .statistics import Estimate
from .sync_measures import SYNC_MEASURES

LIP_LEAK = next(measure for measure in MOTION_MEASURES if measure.name == "lip leak")
MEASURES: tuple[Measure, ...] = (
    *RENDERER_MEASURES,
    *SYNC_MEASURES,
    *CROSS_MEASURES,
    LIP_LEAK,
    *(measure for measure in MOTION_MEASURES if measure != LIP_LEAK),
    *PICTURE_MEASURES,
    FRECHET,
)
"""Every figure that a row may hold, in the order of the tables."""
_REAL = "near real"
_NEAR = {RECONSTRUCTION: "near ceiling", CROSS: "near ceiling", SILENT: "lower"}
_NEAR |= {RENDERER: "near codec"}
"""mode -> where a figure should be that is to be as in a real clip; in silence no real clip is."""


@dataclass(frozen=True)
class ModeTable:
    """What one mode of a run found."""

    mode: str
    clips: int
    """That were evaluated."""
    people: int
    excluded: dict[str, str]
    """clip -> why it was left out."""
    omitted: dict[str, int]
    """What was left out of clips that were evaluated -> of how many."""
    seen: dict[str, str]
    """person -> weights that saw the person in training."""
    subjects: list[str]
    figures: dict[str, dict[str, Estimate]]
    """measure -> subject -> mean over clips."""


def mode_table(results: Results, mode: str) -> ModeTable:
    """The table of one mode."""
    rows = [row for row in results.rows if row.mode == mode]
    kept = [row for row in rows if row.subject != EXCLUDED]
    figures = results.table(mode)
    if mode == RECONSTRUCTION and (distances := FaceDistributions(results.folder).distances()):
        figures[FRECHET.name] = distances
    named = {measure.name: figures[measure.name] for measure in MEASURES if measure.name in figures}
    return ModeTable(
        mode=mode,
        clips=len({row.clip for row in kept}),
        people=len({row.person for row in kept}),
        excluded={row.clip: row.notes["reason"] for row in rows if row.subject == EXCLUDED},
        omitted=dict(sorted(Counter(_omissions(kept)).items())),
        seen={row.person: row.notes["seen by"] for row in kept if "seen by" in row.notes},
        subjects=list(dict.fromkeys(row.subject for row in kept)),
        figures=named | {name: found for name, found in figures.items() if name not in named},
    )


def _omissions(rows: Iterable[Row]) -> Iterable[str]:
    for row in rows:
        for what in ("chance", "speech"):
            if row.notes.get(what, "").startswith("no other clip"):
                yield f"{what}: {row.notes[what]}"


def measure_of(name: str, mode: str) -> Measure:
    """What a figure is in a mode; one without unit or meaning if no list names it."""
    measure = next((m for m in MEASURES if m.name == name), Measure(name, "", "", ""))
    if mode == CONTROLS:
        return replace(measure, better="by column")
    return replace(measure, better=_NEAR[mode]) if measure.better == _REAL else measure


def tell(found: Estimate | None) -> str:
    """A mean with its interval."""
    if found is None or not math.isfinite(found.mean):
        return ""
    if not math.isfinite(found.low):
        return number(found.mean)
    return f"{number(found.mean)} [{number(found.low)}, {number(found.high)}]"


def number(value: float) -> str:
    """Three significant digits, without exponents where they can be helped."""
    if not math.isfinite(value):
        return ""
    if value == 0 or 1e-4 <= abs(value) < 1e6:
        digits = 3 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:.{min(digits, 3 if abs(value) >= 0.01 else 5)}f}"
    return f"{value:.3g}"


def machine_table(tables: Sequence[ModeTable]) -> dict[str, Any]:
    """The same for programs; what could not be measured is null."""
    return {table.mode: _plain(asdict(table) | {"mode": table.mode}) for table in tables}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
