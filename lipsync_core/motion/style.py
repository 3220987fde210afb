"""Style references: made, extended, blended."""

from collections.abc import Sequence
from dataclasses import replace
from math import inf

import torch

from ..errors import NoFaceError
from ..types import MOTION_RATE, LipMotion, SpeechFeatures, StyleReference

MOST_STEPS = 3600 * MOTION_RATE
"""Of one style: an hour. A graph that blends a style with itself doubles it at every node."""


def make_style_reference(
    speech: SpeechFeatures, motion: LipMotion, source: str = ""
) -> StyleReference:
    """One clip's speech and the lip motion seen with it, cut to the shorter of the two.

    Raises NoFaceError when the lips are seen in no step of it.
    """
    steps = min(len(speech.features), len(motion.coefficients))
    if not motion.valid[:steps].any():
        raise NoFaceError(
            "the speaker's face is seen in no frame of the style clip that has sound: "
            "pick a clip that shows the person talking"
        )
    return StyleReference(
        speech=replace(speech, features=speech.features[:steps]),
        motion=replace(
            motion, coefficients=motion.coefficients[:steps], valid=motion.valid[:steps]
        ),
        clip=torch.zeros(steps, dtype=torch.int64),
        weight=torch.ones(steps),
        source=source,
    )


def extend_style(style: StyleReference, *others: StyleReference) -> StyleReference:
    """One style of all the clips.

    Raises ValueError when encoders or bases differ, or the style gets longer than MOST_STEPS.
    """
    parts = (style, *others)
    _check_same(parts)
    steps = sum(len(part.clip) for part in parts)
    if steps > MOST_STEPS:
        raise ValueError(
            f"the style would hold {steps / MOTION_RATE / 60:.0f} minutes of speech, "
            f"{MOST_STEPS // MOTION_RATE // 60} are the most: put fewer or shorter clips together"
        )
    clips, first = [], 0
    for part in parts:
        clips.append(part.clip + first)
        first = int(clips[-1].max()) + 1
    return StyleReference(
        speech=replace(style.speech, features=torch.cat([p.speech.features for p in parts])),
        motion=replace(
            style.motion,
            coefficients=torch.cat([p.motion.coefficients for p in parts]),
            valid=torch.cat([p.motion.valid for p in parts]),
        ),
        clip=torch.cat(clips),
        weight=torch.cat([p.weight for p in parts]),
        source="; ".join(dict.fromkeys(name for p in parts for name in _names(p.source))),
    )


def blend_styles(styles: Sequence[StyleReference], shares: Sequence[float]) -> StyleReference:
    """A style between styles: each counts by its share, however long its clips are and however
    much of them shows the lips.

    Shares are >= 0 and need not sum to 1; a style of share 0 is left out, so shares (1, 0) give
    the first style itself. Raises ValueError for bad shares, or when encoders or bases differ.
    """
    good = all(0 <= share < inf for share in shares) and sum(shares) > 0
    if len(styles) != len(shares) or not good:
        raise ValueError(
            f"{len(styles)} styles and shares {list(shares)}: give one share >= 0 per style, "
            "not all 0"
        )
    used = [
        (style, share / sum(shares))
        for style, share in zip(styles, shares, strict=True)
        if share > 0
    ]
    # The pairs' total weight stands against the null slot, so it is kept between the styles' own.
    total = sum(_seen_weight(style) * share for style, share in used)
    weighted = [
        replace(style, weight=style.weight * (total * share / _seen_weight(style)))
        for style, share in used
    ]
    return extend_style(*weighted)


def _names(source: str) -> list[str]:
    return [name for name in source.split("; ") if name]


def _seen_weight(style: StyleReference) -> float:
    """Of the steps that can be looked at."""
    return float(style.weight[style.motion.valid].sum())


def _check_same(parts: Sequence[StyleReference]) -> None:
    for name, ids in (
        ("speech encoder", {p.speech.encoder for p in parts}),
        ("motion basis", {p.motion.basis for p in parts}),
    ):
        if len(ids) > 1:
            raise ValueError(
                f"the styles differ in {name} ({sorted(ids)}): make them with the same predictor"
            )
