"""Whether the mouth shuts when it must: on p, b and m, when nobody speaks, after the last word."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..types import MOTION_RATE
from .common_steps import MINIMUM_STEPS
from .measured_face import MeasuredFace
from .results import Measure

OPEN_ASPECT = 0.25
"""Inner lips' height over width above which a mouth counts as open (KeySync)."""
CLOSURE_LEAD = 0.02
"""Seconds that the lips shut before the middle of the phone; see bilabial_openings."""
CLOSURE_REACH = 0.04
"""Seconds on either side in which they may do so."""
_CLOSED_PART = 0.1
"""Of a person's range of opening."""
_RANGE = (0.02, 0.95)
"""Quantiles that bound the range."""

CLOSING_MEASURES = (
    Measure("bilabial opening", "% eye distance", "near real", "how far lips part on p, b and m"),
    Measure("closure share", "", "higher", "share of p, b and m at which the lips shut"),
    Measure("lip leak", "", "lower", "share of frames with an open mouth while nothing is said"),
    Measure("closing time", "steps of 40 ms", "lower", "from the last word to a shut mouth"),
    Measure("stays closed", "", "higher", "whether the mouth is shut at the end of the silence"),
)


def closing_threshold(real: Sequence[MeasuredFace]) -> float:
    """The opening, in % of the eye distance, below which this person's lips are shut.

    q02 + .1 (q95 - q02), quantiles over the valid steps of the person's own real clips together.
    On GRID's speaker 1 that is 1.7 %: the openings there fall into two heaps, shut lips with
    .5 +- .2 % and an open mouth from 2 % to 18 %. Needs clips in which the lips are shut for 2 % of
    the time: of someone who never shuts them it tells nothing, and is too high (4 % and more).
    nan below MINIMUM_STEPS.
    """
    openings = torch.cat([face.opening[face.valid] for face in real]).double()
    if len(openings) < MINIMUM_STEPS:
        return math.nan
    low, high = openings.quantile(torch.tensor(_RANGE, dtype=torch.float64)).tolist()
    return 100 * (low + _CLOSED_PART * (high - low))


def bilabial_openings(face: MeasuredFace, times: Float[Tensor, " n"]) -> Float[Tensor, " seen"]:
    """The smallest opening about each of `times`, the middles of p, b and m in seconds, in % of
    the eye distance: over the 25 Hz steps within 40 ms of 20 ms before the middle.

    Window and lead are those that tell real from chance best on 680 bilabials of GRID's speaker 1,
    times from its alignments: lips shut at 96 % of them, at 40 % in the same windows of another
    sentence. Twice the window has 98 % and 53 %. A bilabial with a step of its window outside the
    clip or not valid is left out.
    """
    return least_openings(face.opening, face.valid, times)


def least_openings(
    opening: Float[Tensor, " t"], valid: Bool[Tensor, " t"], times: Float[Tensor, " n"]
) -> Float[Tensor, " seen"]:
    """The same of any lips' `opening` in eye distances."""
    middle = (times.double() - CLOSURE_LEAD) * MOTION_RATE
    reach = CLOSURE_REACH * MOTION_RATE
    first, last = (middle - reach - 1e-6).ceil().long(), (middle + reach + 1e-6).floor().long()
    found = [
        opening[start : stop + 1].min()
        for start, stop in zip(first.tolist(), last.tolist(), strict=True)
        if start >= 0 and stop < len(valid) and bool(valid[start : stop + 1].all())
    ]
    return 100 * torch.stack(found) if found else opening.new_zeros(0)


def bilabial_closures(
    face: MeasuredFace, times: Float[Tensor, " n"], threshold: float
) -> dict[str, float]:
    """Mean of bilabial_openings, and the share of them below `threshold` (closing_threshold).

    nan when no bilabial is seen. GRID's sentences hold one or two bilabials each: a share needs
    many clips. A mouth that never opens has a share of 1, and lips pressed together look like lips
    that touch. Lag counts here as well: the truth has 96 %, 87 % when a step late, 65 % when two,
    51 % when three.
    """
    openings = bilabial_openings(face, times)
    if not len(openings):
        return {"bilabial opening": math.nan, "closure share": math.nan}
    shut = (openings < threshold).double().mean() if math.isfinite(threshold) else math.nan
    return {"bilabial opening": float(openings.mean()), "closure share": float(shut)}


def mouth_aspect(face: MeasuredFace) -> Float[Tensor, " t"]:
    """Opening over width of the inner lips, at every step."""
    return face.opening / face.width.clamp_min(torch.finfo(face.width.dtype).eps)


def lip_leak(face: MeasuredFace, span: tuple[float, float] | None = None) -> float:
    """Share of the valid steps, within `span` in seconds if given, whose mouth_aspect is > .25.

    LipLeak of KeySync (Bigata et al. 2025): a talking video is driven by silence, so that every
    open frame leaks from the video. Our landmarks differ from theirs: compare with chance (the
    talking video itself), not with published figures. 10 % of all steps of
    GRID's speaker 1 are over .25, 5 to 69 % in clips of free speech: a mouth that talks on with
    lips less parted than that is not seen.
    """
    keep = face.valid if span is None else face.valid & _within(face, span)
    if keep.sum() < MINIMUM_STEPS:
        return math.nan
    return float((mouth_aspect(face)[keep] > OPEN_ASPECT).double().mean())


def silence_closing(
    face: MeasuredFace, speech_end: float, silence_end: float | None = None
) -> dict[str, float]:
    """After the last word at `speech_end` s: the steps until the mouth's aspect is <= .25 and stays
    so to `silence_end` (or the clip's end), and whether it does.

    A mouth still open at the end has the steps of the whole silence as its closing time, which is
    then too small: read it with the share that stays closed. Steps not valid do not count as open.
    nan when fewer than MINIMUM_STEPS valid steps follow. People part their lips in silence,
    to breathe or before they go on: real clips are not at 0.
    """
    end = len(face.valid) / MOTION_RATE if silence_end is None else silence_end
    silent = _within(face, (speech_end, end))
    if (silent & face.valid).sum() < MINIMUM_STEPS:
        return {"closing time": math.nan, "stays closed": math.nan}
    is_open = ((mouth_aspect(face) > OPEN_ASPECT) & face.valid)[silent]
    steps = int(is_open.nonzero().max()) + 1 if is_open.any() else 0
    return {"closing time": float(steps), "stays closed": float(steps < len(is_open))}


def _within(face: MeasuredFace, span: tuple[float, float]) -> Bool[Tensor, " t"]:
    """The steps at or after the span's start and before its end."""
    times = torch.arange(len(face.valid), dtype=torch.float64) / MOTION_RATE
    slack = 1e-6  # of step times that are not exact in binary
    return ((times >= span[0] - slack) & (times < span[1] - slack)).to(face.valid.device)
