"""Several trainings of one design, named "design@seed", judged as one.

A training's luck is not the design's: figures are averaged over the seeds first, clip by clip and
style by style, so that intervals are over clips; how far the seeds lie apart is told beside.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from statistics import fmean

from .results import Row

SEED = "@"


def design_of(subject: str) -> str:
    """What stands before the seed; the whole name if it has none."""
    return subject.partition(SEED)[0]


def seeds_of(rows: Sequence[Row]) -> dict[str, list[str]]:
    """design -> its speakers, of those designs that have several."""
    found: dict[str, list[str]] = defaultdict(list)
    for subject in dict.fromkeys(row.subject for row in rows):
        found[design_of(subject)].append(subject)
    return {design: own for design, own in found.items() if len(own) > 1}


def pooled(rows: Sequence[Row]) -> list[Row]:
    """The rows with every design's seeds averaged; a clip and style counts only with all seeds.

    A figure that is nan for one seed is nan.
    """
    several = seeds_of(rows)
    groups: dict[tuple, list[Row]] = defaultdict(list)
    for row in rows:
        design = design_of(row.subject)
        subject = design if design in several else row.subject
        groups[row.mode, row.clip, row.notes.get("style"), subject].append(row)
    return [
        replace(own[0], subject=subject, figures=_means(own))
        for (_, _, _, subject), own in groups.items()
        if len(own) == len(several.get(subject, [subject]))
    ]


def _means(rows: Sequence[Row]) -> dict[str, float]:
    return {
        name: fmean(row.figures.get(name, math.nan) for row in rows) for name in rows[0].figures
    }
