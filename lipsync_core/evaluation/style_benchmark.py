"""Is a style taken from its reference? Held-out styles on held-out clips.

A style is put on a target clip and on other clips of the same person. Whoever is judged hears the
target's speech and sees the styled other clips; its lips are compared with the styled target. What
it gets with the right reference is set against what it gets with another style's reference, with
none, and with an oracle: the style itself, put on the lips that it gives after unstyled references.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..landmarks import LIPS
from ..training.motion_clips import lip_error
from ..types import OnProgress
from .held_out_styles import FAMILIES, GATED, Heard, HeldOutStyle, apply_style
from .results import Row
from .speakers import Speaker
from .statistics import Estimate, difference, estimate, ratio
from .style_clips import StyleClip

MODE = "held-out styles"
CANDIDATES = 20
"""Styles that an output is told from, its own among them, by the change that it shows."""
_SEED = 41
_PERCENT = 100


@dataclass(frozen=True)
class StyleTarget:
    """One held-out clip and the clips whose lips serve as its reference."""

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
            StyleTarget(clips[i], heard[i], [clips[j] for j in others], [heard[j] for j in others])
        )
    return chosen


def run_held_out_styles(
    speakers: dict[str, Speaker],
    targets: list[StyleTarget],
    styles: tuple[HeldOutStyle, ...],
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


def _target_rows(
    name: str, speaker: Speaker, target: StyleTarget, styles: tuple[HeldOutStyle, ...]
) -> list[Row]:
    clip = target.clip
    true = [apply_style(style, clip.displacement, target.heard) for style in styles]
    none = speaker.speak(clip, [])
    seen = [speaker.speak(clip, _styled(target, style)) for style in styles]
    plain = speaker.speak(clip, target.references)
    oracles = [apply_style(style, plain, target.heard) for style in styles]
    generator = torch.Generator().manual_seed(_SEED)
    rows = []
    for i, style in enumerate(styles):
        # The next style of the same family: the reference is wrong in manner, not in kind.
        family = [j for j, other in enumerate(styles) if other.family == style.family]
        other = seen[family[(family.index(i) + 1) % len(family)]]
        outputs = {
            "right": seen[i],
            "other": other,
            "none": none,
            "oracle": oracles[i],
        }
        figures = {k: _error(v, true[i], clip.valid) for k, v in outputs.items()}
        if style.family in GATED:
            gate = target.heard[GATED[style.family]] * clip.valid
            figures |= {f"{k} gated": _error(v, true[i], gate) for k, v in outputs.items()}
        others = [j for j in torch.randperm(len(styles), generator=generator).tolist() if j != i]
        shown, *rivals = (
            _likeness(seen[i] - plain, oracles[j] - plain, clip.valid)
            for j in [i, *others[: CANDIDATES - 1]]
        )
        figures["retrieved"] = float(all(shown > rival for rival in rivals))
        notes = {"style": style.name, "family": style.family}
        rows.append(Row(MODE, clip.name, clip.person, name, figures, notes=notes))
    return rows


def _styled(target: StyleTarget, style: HeldOutStyle) -> list[StyleClip]:
    return [
        replace(clip, displacement=apply_style(style, clip.displacement, heard))
        for clip, heard in zip(target.references, target.references_heard, strict=True)
    ]


def _likeness(
    change: Float[Tensor, "t points 3"], wanted: Float[Tensor, "t points 3"], valid: Tensor
) -> float:
    """The cosine of two changes of the lips; of size it says nothing, or timid styles, which are
    near to no change at all, would be found everywhere."""
    first, second = (x[valid][:, : len(LIPS)].flatten() for x in (change, wanted))
    return float(nn.functional.cosine_similarity(first, second, dim=0))


def _error(
    predicted: Float[Tensor, "t points 3"],
    true: Float[Tensor, "t points 3"],
    weight: Tensor,
) -> float:
    """Mean lip error over the weighted steps, % of the eye distance; nan without any."""
    weight = weight.to(predicted)
    if weight.sum() < 0.5:
        return float("nan")
    return _PERCENT * float((lip_error(predicted, true) * weight).sum() / weight.sum())


def summarise_held_out(rows: list[Row]) -> dict[str, dict[str, dict[str, Estimate]]]:
    """family -> speaker -> figure, each with its interval over target clips.

    Means over target clips, each of which is a mean over its styles. "captured" is the part of what
    a style changes that the reference brought back: (none - right) / (none - oracle). Families of
    single sounds count their sound's steps alone.
    """
    table: dict[str, dict[str, dict[str, Estimate]]] = {}
    for family in FAMILIES:
        of_family = [r for r in rows if r.mode == MODE and r.notes.get("family") == family]
        for subject in dict.fromkeys(row.subject for row in of_family):
            own = [row for row in of_family if row.subject == subject]
            table.setdefault(family, {})[subject] = _summary(own, " gated" * (family in GATED))
    return table


def compare_held_out(rows: list[Row], subject: str) -> dict[str, dict[str, Estimate]]:
    """family -> other speaker -> error of `subject` minus that of the other, right references
    both, clip by clip: below 0 where `subject` is better."""
    table: dict[str, dict[str, Estimate]] = {}
    for family in FAMILIES:
        of_family = [r for r in rows if r.mode == MODE and r.notes.get("family") == family]
        figure = "right" + " gated" * (family in GATED)
        means = {
            name: _means([row for row in of_family if row.subject == name], figure)
            for name in dict.fromkeys(row.subject for row in of_family)
        }
        for name, values in means.items():
            if name != subject and subject in means:
                table.setdefault(family, {})[name] = difference(means[subject], values)
    return table


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
    summary["retrieved"] = estimate(_means(rows, "retrieved"))
    return summary
