"""How the lips of one clip move beside those of another: error, correlation, lag, size.

Every function takes faces as they are measured, 25 Hz steps in eye distances, and knows nothing of
which is output, truth, chance or ceiling. Steps not valid in either are left out, the longer clip's
end too. What fewer than MINIMUM_STEPS steps would tell, or a mouth that never moves, is nan.
"""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from .common_steps import MINIMUM_STEPS, common_steps
from .measured_face import MeasuredFace
from .motion_energy import ENERGY_MEASURES, energy_ratios
from .mouth_closing import CLOSING_MEASURES
from .results import Measure

LARGEST_LAG = 6
"""Steps of 40 ms."""
_STILL = 1e-4
"""Standard deviation, eye distances, below which a curve is a mouth that does not move: a
quarter of what the tracker's jitter gives a mouth held shut."""
_HIGH = 0.95
"""Quantile that stands for the maximum: the largest value itself is often a slip of a landmark."""

COMPARISON_MEASURES = (
    Measure("lip vertex error", "% eye distance", "lower", "how far the lip points are off"),
    Measure(
        "lip vertex error, centred",
        "% eye distance",
        "lower",
        "the same without each clip's mean lip shape: motion alone",
    ),
    Measure("opening r", "", "higher", "whether the mouth opens and closes at the right times"),
    Measure("width r", "", "higher", "whether the mouth rounds and spreads at the right times"),
    Measure("opening r at best lag", "", "higher", "the same as opening r with the lag mended"),
    Measure("opening lag", "steps of 40 ms", "near 0", "how late the mouth is, + is late"),
    Measure("opening lag, absolute", "steps of 40 ms", "near 0", "how far off in time, either way"),
    Measure("opening mean ratio", "", "near 1", "how far the mouth is open on average, of real"),
    Measure("opening spread ratio", "", "near 1", "how much the opening varies, of real"),
    Measure("opening maximum ratio", "", "near 1", "how wide the mouth opens, of real"),
)
OPENING_MEASURES = (
    Measure("opening mean", "% eye distance", "near real", "how far the mouth is open on average"),
    Measure("opening spread", "% eye distance", "near real", "how much the opening varies"),
    Measure("opening maximum", "% eye distance", "near real", "how wide the mouth opens"),
)
MEASURES: tuple[Measure, ...] = (
    *COMPARISON_MEASURES,
    *OPENING_MEASURES,
    *ENERGY_MEASURES,
    *CLOSING_MEASURES,
)
"""Every figure that is taken of motion, in the order in which tables show them."""


def compare_motion(ours: MeasuredFace, real: MeasuredFace) -> dict[str, float]:
    """All figures of a pair by name: COMPARISON_MEASURES and the ratios of ENERGY_MEASURES."""
    return {
        "lip vertex error": lip_vertex_error(ours, real),
        "lip vertex error, centred": lip_vertex_error(ours, real, centred=True),
        "opening r": opening_correlation(ours, real),
        "width r": width_correlation(ours, real),
        **opening_lag(ours, real),
        **opening_ratios(ours, real),
        **energy_ratios(ours, real),
    }


def lip_vertex_error(ours: MeasuredFace, real: MeasuredFace, centred: bool = False) -> float:
    """mean over t and the 40 lip points of |ours[t, i] - real[t, i]|, in % of the eye distance.

    After Richard et al. 2021 (MeshTalk), who take the largest of each frame's vertices: the
    mean is used because one slip of a landmark would be the largest. `centred` takes
    each clip's mean lip shape over the common steps from it first: rest shape and a constant
    bias of the landmarks play no part, neither does a mouth always held too wide.

    Symmetric. It cannot tell a late motion from a wrong one, nor mumbling from noise: a frozen
    mouth beats one that moves well but at other times. z, the tracker's guess, counts as x and y.
    """
    keep = common_steps(ours, real)
    if keep.sum() < MINIMUM_STEPS:
        return math.nan
    first, second = (face.lips[: len(keep)][keep].double() for face in (ours, real))
    if centred:
        first, second = first - first.mean(dim=0), second - second.mean(dim=0)
    return 100 * float((first - second).norm(dim=-1).mean())


def opening_correlation(ours: MeasuredFace, real: MeasuredFace) -> float:
    """Pearson r of the two openings over the common steps, -1..1.

    It cannot tell size: half the opening, or a mouth that never quite shuts, has r 1. Two other
    sentences spoken in the same span share the silence about them and are far from r 0.
    """
    return _correlation(ours.opening, real.opening, common_steps(ours, real))


def width_correlation(ours: MeasuredFace, real: MeasuredFace) -> float:
    """Pearson r of the two distances between the inner mouth corners over the common steps.

    The width varies two fifths as much as the opening (GRID's speaker 1), so that the tracker's
    jitter costs more here: compare it with its ceiling. It cannot tell size, and sees
    rounding only as narrowness.
    """
    return _correlation(ours.width, real.width, common_steps(ours, real))


def opening_lag(ours: MeasuredFace, real: MeasuredFace) -> dict[str, float]:
    """The lag k in -6..6 steps with the highest Pearson r of ours.opening[t + k] and
    real.opening[t], and that r. + is ours late.

    The lag is refined below a step by the parabola through r at k - 1, k and k + 1 (cross
    correlation peak interpolation, Jacovitti and Scarano 1993); the r is that of the whole step.
    At -6 or 6 the true lag may be larger. Where the r is low the lag means nothing: any curve has a
    best lag. The absolute lag is given beside, because early and late clips cancel in a mean.
    """
    both = common_steps(ours, real)
    first, second = ours.opening[: len(both)], real.opening[: len(both)]
    valid = ours.valid[: len(both)], real.valid[: len(both)]
    lags = range(-LARGEST_LAG, LARGEST_LAG + 1)
    found = [_lagged_correlation(first, second, valid, lag) for lag in lags]
    ranked = [r if math.isfinite(r) else -math.inf for r in found]
    best = max(range(len(found)), key=lambda i: (ranked[i], -abs(lags[i])))
    known = math.isfinite(found[best])
    lag = lags[best] + _peak_offset(found, best) if known else math.nan
    return {
        "opening r at best lag": found[best],
        "opening lag": lag,
        "opening lag, absolute": abs(lag),
    }


def opening_statistics(face: MeasuredFace) -> dict[str, float]:
    """Mean, standard deviation and maximum (95 % quantile) of one face's opening over its valid
    steps, in % of the eye distance.

    How openly a person speaks, and how loud; over a few seconds also what is said, and how much of
    the clip is silence: compare only over the same sentence, or over minutes.
    """
    return _statistics(face.opening[face.valid])


def opening_ratios(ours: MeasuredFace, real: MeasuredFace) -> dict[str, float]:
    """opening_statistics of ours over those of real, both over the common steps.

    1 says that the mouth opens as far, not that it does so at the right times. The tracker sees
    shut lips about .5 % of the eye distance apart, so that the ratio of the means is drawn to 1 in
    clips with much silence.
    """
    keep = common_steps(ours, real)
    first = _statistics(ours.opening[: len(keep)][keep])
    second = _statistics(real.opening[: len(keep)][keep])
    floor = 100 * _STILL
    return {
        f"{name} ratio": first[name] / second[name] if second[name] > floor else math.nan
        for name in first
    }


def _statistics(opening: Float[Tensor, " t"]) -> dict[str, float]:
    if len(opening) < MINIMUM_STEPS:
        return {measure.name: math.nan for measure in OPENING_MEASURES}
    percent = 100 * opening.double()
    return {
        "opening mean": float(percent.mean()),
        "opening spread": float(percent.std(correction=0)),
        "opening maximum": float(percent.quantile(_HIGH)),
    }


def _correlation(
    first: Float[Tensor, " a"], second: Float[Tensor, " b"], keep: Bool[Tensor, " t"]
) -> float:
    """Pearson r over `keep`, nan when too few steps are kept or a curve stands still."""
    if keep.sum() < MINIMUM_STEPS:
        return math.nan
    curves = torch.stack([first[: len(keep)][keep], second[: len(keep)][keep]]).double()
    centred = curves - curves.mean(dim=1, keepdim=True)
    spread = centred.square().mean(dim=1).sqrt()
    if (spread < _STILL).any():
        return math.nan
    return float((centred[0] * centred[1]).mean() / spread.prod())


def _lagged_correlation(
    first: Float[Tensor, " t"],
    second: Float[Tensor, " t"],
    valid: tuple[Bool[Tensor, " t"], Bool[Tensor, " t"]],
    lag: int,
) -> float:
    """Pearson r of first[t + lag] and second[t]."""
    length = len(first) - abs(lag)
    if length < MINIMUM_STEPS:
        return math.nan
    ours, real = max(lag, 0), max(-lag, 0)
    keep = valid[0][ours : ours + length] & valid[1][real : real + length]
    return _correlation(first[ours : ours + length], second[real : real + length], keep)


def _peak_offset(values: list[float], peak: int) -> float:
    """Where the parabola through a peak and its neighbours is highest, -.5..+.5 from the peak."""
    if peak in (0, len(values) - 1):
        return 0.0
    before, here, after = values[peak - 1 : peak + 2]
    bend = before - 2 * here + after
    if not math.isfinite(bend) or bend >= 0:
        return 0.0
    return 0.5 * (before - after) / bend
