"""Lays time stamps of any spacing on a constant grid of frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Int64

STANDARD_RATES = (
    *(Fraction(rate * 1000, 1001) for rate in (24, 30, 48, 60, 120)),
    *(Fraction(rate) for rate in (12, 15, 24, 25, 30, 48, 50, 60, 100, 120)),
)
_LARGEST_DENOMINATOR = 1001
_HIGHEST_RATE = 120


@dataclass(frozen=True)
class TimeGrid:
    """Frame i of the grid, at i / fps seconds after the first picture, shows picture shown[i]."""

    fps: Fraction
    shown: Int64[np.ndarray, " t"]


def constant_grid(
    ticks: Int64[np.ndarray, " n"],
    time_base: Fraction,
    last_duration: int = 0,
    declared: Sequence[Fraction | None] = (),
) -> TimeGrid:
    """The grid for pictures at `ticks` (rising; units of time_base seconds).

    Stamps that lie within one tick of a constant rate map one to one; `declared` rates (what the
    file's header says) are tried first. Anything else is resampled at its usual rate: a frame
    shows the latest picture that has begun, with half a tick of tolerance. `last_duration` is how
    long the last picture stands, in ticks; 0 if unknown.
    """
    ticks = ticks - ticks[0]
    for rate in _candidate_rates(ticks, time_base, declared):
        if _is_constant(ticks, float(1 / (rate * time_base))):
            return TimeGrid(rate, np.arange(len(ticks)))
    rate = _usual_rate(ticks, time_base)
    step = float(1 / (rate * time_base))
    stand = last_duration or float(np.median(np.diff(ticks)))
    frame_count = max(1, round((float(ticks[-1]) + stand) / step))
    begun = np.searchsorted(ticks, np.arange(frame_count) * step + 0.5, side="right")
    return TimeGrid(rate, begun - 1)


def _is_constant(ticks: Int64[np.ndarray, " n"], step: float) -> bool:
    # Stamps are rounded to ticks, the first one too; where a tick is a whole frame there is
    # nothing to round.
    tolerance = min(1.0, 0.45 * step) + 1e-6
    return bool(np.abs(ticks - np.arange(len(ticks)) * step).max() <= tolerance)


def _candidate_rates(
    ticks: Int64[np.ndarray, " n"], time_base: Fraction, declared: Sequence[Fraction | None]
) -> list[Fraction]:
    """Constant rates the stamps may follow, the likeliest first."""
    stated = [rate for rate in declared if rate]
    exact = [rate for rate in stated if rate.denominator <= _LARGEST_DENOMINATOR]
    if len(ticks) < 2:
        return [*exact, Fraction(25)]
    mean = (len(ticks) - 1) / (Fraction(int(ticks[-1])) * time_base)
    nearest = sorted(STANDARD_RATES, key=lambda rate: abs(rate - mean))
    return [*exact, *nearest, mean.limit_denominator(_LARGEST_DENOMINATOR), *stated]


def _usual_rate(ticks: Int64[np.ndarray, " n"], time_base: Fraction) -> Fraction:
    """The rate most pictures follow, if few are missing from it; else their mean rate."""
    mean = (len(ticks) - 1) / (Fraction(int(ticks[-1])) * time_base)
    usual = 1 / (Fraction(float(np.median(np.diff(ticks)))) * time_base)
    rate = usual if mean <= usual <= Fraction(3, 2) * mean else mean
    nearest = min(STANDARD_RATES, key=lambda standard: abs(standard - rate))
    if abs(nearest - rate) <= rate / 100:
        return nearest
    return min(rate, Fraction(_HIGHEST_RATE)).limit_denominator(_LARGEST_DENOMINATOR)
