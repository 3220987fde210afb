"""How much the lips move, whole and by how fast: flicker and quiver show in the highest band."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..types import MOTION_RATE
from .common_steps import MINIMUM_STEPS, common_steps
from .measured_face import MeasuredFace
from .results import Measure

BANDS = {
    "motion energy 0-3 Hz": (0.0, 3.0),
    "motion energy 3-8 Hz": (3.0, 8.0),
    "motion energy 8-12.5 Hz": (8.0, math.inf),
}
"""Hz: a band holds its lower edge and not its upper."""
_WINDOW = 32
"""Steps: 1.3 s, .8 Hz a bin."""
_HOP = 4
_FLOOR = 1e-9
"""(eye distances/s)^2 below which a ratio means nothing."""

_UNIT = "(eye distances/s)^2"
ENERGY_MEASURES = (
    Measure("motion energy", _UNIT, "near real", "how much the lips move in all"),
    Measure("motion energy 0-3 Hz", _UNIT, "near real", "slow motion: words"),
    Measure("motion energy 3-8 Hz", _UNIT, "near real", "fast motion: syllables and closures"),
    Measure("motion energy 8-12.5 Hz", _UNIT, "near real", "flicker, and the landmarks' jitter"),
    Measure("motion energy ratio", "", "near 1", "how much the lips move in all, of real"),
    Measure("motion energy 0-3 Hz ratio", "", "near 1", "slow motion: words, of real"),
    Measure("motion energy 3-8 Hz ratio", "", "near 1", "syllables and closures, of real"),
    Measure("motion energy 8-12.5 Hz ratio", "", "near 1", "above 1: the mouth flickers"),
)


def motion_energy(face: MeasuredFace) -> dict[str, float]:
    """Mean squared velocity of the lip points of one face, (eye distances/s)^2, whole and by band.

    v[t] = 25 (x[t + 1] - x[t]) between valid neighbours; the whole is mean |v|^2 over steps and
    points. The bands are its power spectrum (Welch 1967: Hann windows of 32 steps, 4 apart, no
    gap inside), scaled to add up to the whole of a steady motion. The windows weigh a clip's ends
    less, so that the bands of a short clip, silent at its ends, add up to more. nan without 1.3 s
    free of gaps.

    The landmarks' own jitter sits in the highest band: noise of s per coordinate adds 3750 s^2,
    .004 at .1 % of the eye distance, two thirds of it above 8 Hz; GRID's speaker 1 has .12 in all,
    .025 above 8 Hz, and .009 in the quietest tenth of his silences. It cannot tell right motion
    from wrong, nor flicker from crisp closures; what is faster than 12.5 Hz folds down.
    """
    return _energy(face, face.valid)


def energy_ratios(ours: MeasuredFace, real: MeasuredFace) -> dict[str, float]:
    """motion_energy of ours over that of real, both over the common steps; nan where real has none.

    Video compression and a tracker's smoothing take from the highest band: the ceiling is not 1.
    """
    keep = common_steps(ours, real)
    first, second = _energy(ours, keep), _energy(real, keep)
    return {
        f"{name} ratio": first[name] / second[name] if second[name] > _FLOOR else math.nan
        for name in first
    }


def _energy(face: MeasuredFace, valid: Bool[Tensor, " t"]) -> dict[str, float]:
    return energy_of_points(face.lips[: len(valid)], valid)


def energy_of_points(
    lips: Float[Tensor, "t points 3"], valid: Bool[Tensor, " t"]
) -> dict[str, float]:
    """motion_energy of lip points that nobody tracked, such as a predictor's own."""
    velocity = lips.double().diff(dim=0) * MOTION_RATE
    moving = valid[1:] & valid[:-1]
    if moving.sum() < MINIMUM_STEPS:
        return dict.fromkeys(("motion energy", *BANDS), math.nan)
    whole = velocity[moving].square().sum(dim=-1).mean()
    return {"motion energy": float(whole), **_by_band(velocity, moving)}


def _by_band(
    velocity: Float[Tensor, "t points xyz"], moving: Bool[Tensor, " t"]
) -> dict[str, float]:
    if len(velocity) < _WINDOW:
        return dict.fromkeys(BANDS, math.nan)
    windows = velocity.unfold(0, _WINDOW, _HOP)[moving.unfold(0, _WINDOW, _HOP).all(dim=1)]
    if not len(windows):
        return dict.fromkeys(BANDS, math.nan)
    power = _spectrum(windows)
    hertz = torch.fft.rfftfreq(_WINDOW, 1 / MOTION_RATE)
    return {
        name: float(power[(hertz >= low) & (hertz < high)].sum())
        for name, (low, high) in BANDS.items()
    }


def _spectrum(windows: Float[Tensor, "n points xyz w"]) -> Float[Tensor, " hertz"]:
    """Mean power by frequency, summed over xyz: its sum is the mean square (Parseval)."""
    hann = torch.hann_window(_WINDOW, dtype=windows.dtype, device=windows.device)
    power = torch.fft.rfft(windows * hann).abs().square()
    power[..., 1:-1] *= 2  # the negative frequencies
    return power.sum(dim=2).mean(dim=(0, 1)) / (_WINDOW * hann.square().sum())
