"""Does a person's own reference help on that person? Real people, or heads with a known style.

For every target clip, whoever is judged is shown another clip of the person, the clip's own other
half, clips of other people, or nothing. Lips are compared without each clip's mean shape, because
the neutral shape of strangers is uncertain and would hide everything else. People are counted, not
pairs: the clips of a person are averaged before anything is averaged over people.
"""

from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean

from ..training.motion_clips import lip_error, lip_gap
from ..types import MOTION_RATE, OnProgress
from .results import Row
from .speakers import Speaker
from .statistics import Estimate, difference, estimate
from .style_clips import StyleClip, centred, correlation

MODE = "people"
HALVED_FROM = 8 * MOTION_RATE
"""Steps from which on a clip is also split into disjoint halves."""
GAP = MOTION_RATE // 2
"""Steps left out between two halves: features and smoothing reach across the cut."""
_MOST_OTHERS = 5
"""Other people whose clips are shown to a target."""
_NO_WIN = 1e-5
_PERCENT = 100


def run_people(
    speakers: dict[str, Speaker],
    clips: list[StyleClip],
    mode: str = MODE,
    on_progress: OnProgress | None = None,
    skipped: frozenset[str] = frozenset(),
) -> Iterable[list[Row]]:
    """The rows of one target clip at a time; names in `skipped` are references only."""
    for done, clip in enumerate(clips):
        if clip.name in skipped:
            continue
        yield [
            Row(
                mode,
                clip.name,
                clip.person,
                name,
                _figures(speaker, clip, clips) | {"sound offset": float(clip.offset)},
            )
            for name, speaker in speakers.items()
        ]
        if on_progress is not None:
            on_progress(done + 1, len(clips))


def _figures(speaker: Speaker, clip: StyleClip, clips: list[StyleClip]) -> dict[str, float]:
    own = [other for other in clips if other.person == clip.person and other.name != clip.name]
    strangers = list(_one_each([c for c in clips if c.person != clip.person], clip.name))
    figures = _judge("none", [_compare(speaker, clip, None)])
    figures |= _judge("other", [_compare(speaker, clip, other) for other in strangers])
    if own:
        figures |= _judge("same", [_compare(speaker, clip, other) for other in own])
    if clip.steps >= HALVED_FROM:
        middle = clip.steps // 2
        first = clip.part(0, middle - GAP // 2, "first half")
        second = clip.part(middle + GAP // 2, clip.steps, "second half")
        halves = [(first, second), (second, first)]
        for name, references in (("half", True), ("half none", False)):
            found = [_compare(speaker, a, b if references else None) for a, b in halves]
            figures |= _judge(name, found)
        crossed = [_compare(speaker, a, other) for a, _ in halves for other in strangers]
        figures |= _judge("half other", crossed)
    return figures


def _one_each(clips: list[StyleClip], salt: str) -> Iterable[StyleClip]:
    """One clip of each of up to _MOST_OTHERS people, another choice for every target."""
    by_person: dict[str, list[StyleClip]] = defaultdict(list)
    for clip in clips:
        by_person[clip.person].append(clip)
    people = sorted(by_person)
    turn = sum(salt.encode())
    for i in range(min(_MOST_OTHERS, len(people))):
        own = by_person[people[(turn + i * max(1, len(people) // _MOST_OTHERS)) % len(people)]]
        yield own[turn % len(own)]


def _compare(speaker: Speaker, clip: StyleClip, reference: StyleClip | None) -> tuple[float, float]:
    """r of the lip gap, and the centred lip error in % of the eye distance."""
    predicted = speaker.speak(clip, [] if reference is None else [reference])
    steps = min(len(predicted), clip.steps)
    predicted, true, valid = predicted[:steps], clip.displacement[:steps], clip.valid[:steps]
    error = lip_error(centred(predicted, valid), centred(true, valid))[valid].mean()
    return correlation(lip_gap(predicted), lip_gap(true), valid), _PERCENT * float(error)


def _judge(name: str, found: list[tuple[float, float]]) -> dict[str, float]:
    if not found:
        return {}
    return {f"r {name}": fmean(r for r, _ in found), f"error {name}": fmean(e for _, e in found)}


COMPARISONS = {
    "r, own other clip": ("r same", None),
    "r, another person's clip": ("r other", None),
    "r, no reference": ("r none", None),
    "r, own - another's": ("r same", "r other"),
    "r, own - none": ("r same", "r none"),
    "error, own other clip": ("error same", None),
    "error, no reference": ("error none", None),
    "error, own - another's": ("error same", "error other"),
    "error, own - none": ("error same", "error none"),
    "r, own other half - another's": ("r half", "r half other"),
    "r, own other half - none": ("r half", "r half none"),
    "error, own other half - none": ("error half", "error half none"),
}
"""What is told: a figure, or the difference of two figures of the same clips."""


def summarise_people(rows: list[Row], mode: str = MODE) -> dict[str, dict[str, Estimate]]:
    """comparison -> speaker -> mean over people with its interval; only clips that have both."""
    table: dict[str, dict[str, Estimate]] = {}
    subjects = dict.fromkeys(row.subject for row in rows if row.mode == mode)
    for name, (first, second) in COMPARISONS.items():
        for subject in subjects:
            own = [row for row in rows if row.mode == mode and row.subject == subject]
            # "None" and "another's" are told of the people who have an own clip to compare with.
            needed = {first, second or first, "r half" if "half" in first else "r same"}
            people: dict[str, list[Row]] = defaultdict(list)
            for row in own:
                if all(figure in row.figures for figure in needed):
                    people[row.person].append(row)
            if not people:
                continue
            means = [
                [fmean(r.figures[figure] for r in p) for p in people.values()]
                for figure in (first, second)
                if figure
            ]
            found = estimate(means[0]) if second is None else difference(*means)
            table.setdefault(name, {})[subject] = found
    return table


def wins(rows: list[Row], subject: str, mode: str = MODE) -> tuple[int, int]:
    """On how many target clips, of how many, the own reference gives the higher r than
    another person's; rounding of sums is no win."""
    pairs = [
        row.figures["r same"] > row.figures["r other"] + _NO_WIN
        for row in rows
        if row.mode == mode and row.subject == subject and "r same" in row.figures
    ]
    return sum(pairs), len(pairs)
