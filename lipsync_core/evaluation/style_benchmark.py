"""Is a style taken from its reference? Frozen lists of styles on held-out clips.

A style is put on a target clip and on other clips of the same person. Whoever is judged hears the
target's speech and sees the styled other clips; its lips are compared with the styled target. What
it gets with the right reference is set against what it gets with another style's reference, with
none, and with an oracle: the style itself, put on the lips that it gives after unstyled references.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from ..training.motion_clips import lip_error
from ..types import OnProgress
from .heard import Heard
from .results import Row
from .retrieval import StyledLips
from .speakers import Speaker
from .statistics import Estimate, difference, estimate, ratio
from .style_clips import StyleClip
from .style_list import Style, StyleList

_SEED = 41
_PERCENT = 100


@dataclass(frozen=True)
class StyleTarget:
    """One held-out clip and the clips whose lips serve as its reference."""

    number: int
    """Of the target; it says which styles of a list the clip meets."""
    clip: StyleClip
    heard: Heard
    references: list[StyleClip]
    references_heard: list[Heard]


def choose_targets(
    clips: list[StyleClip], heard: list[Heard], targets: int, references: int
) -> list[StyleTarget]:
    """The first `targets` clips, each with `references` other ones; the same for every speaker.

    ValueError when there are too few clips.
    """
    if len(clips) <= references:
        raise ValueError(f"{len(clips)} clips: a target and {references} references are needed")
    generator = torch.Generator().manual_seed(_SEED)
    chosen = []
    for i in range(min(targets, len(clips))):
        order = [j for j in torch.randperm(len(clips), generator=generator).tolist() if j != i]
        others = order[:references]
        chosen.append(
            StyleTarget(
                i, clips[i], heard[i], [clips[j] for j in others], [heard[j] for j in others]
            )
        )
    return chosen


def run_styles(
    speakers: Mapping[str, Speaker],
    targets: list[StyleTarget],
    styles: StyleList,
    on_progress: OnProgress | None = None,
) -> Iterable[list[Row]]:
    """The rows of one target at a time; errors in % of the eye distance."""
    for done, target in enumerate(targets):
        rows = [
            row
            for name, speaker in speakers.items()
            for row in _target_rows(name, speaker, target, styles)
        ]
        yield rows
        if on_progress is not None:
            on_progress(done + 1, len(targets))


def _target_rows(name: str, speaker: Speaker, target: StyleTarget, styles: StyleList) -> list[Row]:
    clip, met = target.clip, styles.met(target.number)
    none = speaker.speak(clip, [])
    seen = {i: speaker.speak(clip, _styled(target, styles.styles[i])) for i in met}
    plain = speaker.speak(clip, target.references)
    oracles = [style.apply(plain, target.heard) for style in styles.styles]
    lips = StyledLips(plain, torch.stack(oracles), clip.valid)
    generator = torch.Generator().manual_seed(_SEED)
    rows = []
    for i in met:
        style = styles.styles[i]
        true = style.apply(clip.displacement, target.heard)
        # The next style of the same family: the reference is wrong in manner, not in kind.
        family = [j for j in met if styles.styles[j].family == style.family]
        other = seen[family[(family.index(i) + 1) % len(family)]]
        outputs = {"right": seen[i], "other": other, "none": none, "oracle": oracles[i]}
        figures = {k: _error(v, true, clip.valid) for k, v in outputs.items()}
        gate = style.gate(target.heard)
        if gate is not None:
            gate = gate * clip.valid
            figures |= {f"{k} gated": _error(v, true, gate) for k, v in outputs.items()}
        order = torch.randperm(len(styles.styles), generator=generator).tolist()
        rivals = lips.rivals(i, order, styles.alike)
        figures |= lips.retrieved(seen[i], i, rivals)
        notes = {"style": style.name, "family": style.family}
        rows.append(Row(styles.mode, clip.name, clip.person, name, figures, notes=notes))
    return rows


def _styled(target: StyleTarget, style: Style) -> list[StyleClip]:
    return [
        replace(clip, displacement=style.apply(clip.displacement, heard))
        for clip, heard in zip(target.references, target.references_heard, strict=True)
    ]


def _error(
    predicted: Float[Tensor, "t points 3"],
    true: Float[Tensor, "t points 3"],
    weight: Tensor,
) -> float:
    """Mean lip error over the weighted steps, % of the eye distance; nan without any."""
    weight = weight.to(predicted)
    if weight.sum() < 0.5:
        return math.nan
    return _PERCENT * float((lip_error(predicted, true) * weight).sum() / weight.sum())


def summarise_styles(rows: list[Row]) -> dict[str, dict[str, dict[str, Estimate]]]:
    """family -> speaker -> figure, each with its interval over target clips.

    Means over target clips, each of which is a mean over its styles. "captured" is the part of what
    a style changes that the reference brought back: (none - right) / (none - oracle). Families of
    single sounds count their sound's steps alone.
    """
    table: dict[str, dict[str, dict[str, Estimate]]] = {}
    for family, of_family in _families(rows).items():
        for subject in dict.fromkeys(row.subject for row in of_family):
            own = [row for row in of_family if row.subject == subject]
            table.setdefault(family, {})[subject] = _summary(own, _gated(own))
    return table


def compare_styles(rows: list[Row], subject: str) -> dict[str, dict[str, Estimate]]:
    """family -> other speaker -> error of `subject` minus that of the other, right references
    both, clip by clip: below 0 where `subject` is better."""
    return _compared(rows, subject, difference)


def compare_relatively(rows: list[Row], subject: str) -> dict[str, dict[str, Estimate]]:
    """The same as a part of the other's error: (subject - other) / other, means over clips both."""

    def relative(own: list[float], others: list[float]) -> Estimate:
        return ratio([a - b for a, b in zip(own, others, strict=True)], others)

    return _compared(rows, subject, relative)


def _compared(
    rows: list[Row], subject: str, compare: Callable[[list[float], list[float]], Estimate]
) -> dict[str, dict[str, Estimate]]:
    table: dict[str, dict[str, Estimate]] = {}
    for family, of_family in _families(rows).items():
        figure = "right" + _gated(of_family)
        means = {
            name: _means([row for row in of_family if row.subject == name], figure)
            for name in dict.fromkeys(row.subject for row in of_family)
        }
        for name, values in means.items():
            if name != subject and subject in means:
                table.setdefault(family, {})[name] = compare(means[subject], values)
    return table


def _families(rows: list[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if "family" in row.notes:
            found[row.notes["family"]].append(row)
    return found


def _gated(rows: list[Row]) -> str:
    """How the figures end that count, in a family of a single sound or another."""
    return " gated" * any("right gated" in row.figures for row in rows)


def _means(rows: list[Row], figure: str) -> list[float]:
    """Over the styles of each target clip; clips without the sound are left out."""
    by_clip: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_clip[row.clip].append(row)
    found = []
    for own in by_clip.values():
        values = torch.tensor([row.figures[figure] for row in own])
        if values.isfinite().any():
            found.append(float(values[values.isfinite()].mean()))
    return found


def _summary(rows: list[Row], suffix: str) -> dict[str, Estimate]:
    error = {n: _means(rows, n + suffix) for n in ("right", "other", "none", "oracle")}
    gained = [n - r for n, r in zip(error["none"], error["right"], strict=True)]
    possible = [n - o for n, o in zip(error["none"], error["oracle"], strict=True)]
    summary = {f"error {name}": estimate(values) for name, values in error.items()}
    summary["captured"] = ratio(gained, possible)
    for name in ("retrieved", "nearest"):
        summary[name] = estimate(_means(rows, name))
    return summary
