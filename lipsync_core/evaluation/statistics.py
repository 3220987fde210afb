"""Means that say how sure they are: bootstrap intervals, always over clips or people."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

RESAMPLES = 2000
_LEVEL = 0.95
_SEED = 20_240_805


@dataclass(frozen=True)
class Estimate:
    """A mean over clips with its 95 % interval."""

    mean: float
    low: float
    high: float
    count: int
    """Clips (or people) that it is the mean of; what could not be measured is not among them."""

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def estimate(values: Sequence[float], resamples: int = RESAMPLES) -> Estimate:
    """The mean of the finite values and its percentile bootstrap interval (Efron 1979).

    The random draws are fixed, so that the same values give the same interval. With fewer than two
    values the interval is unknown: nan.
    """
    finite = torch.tensor([v for v in values if math.isfinite(v)], dtype=torch.float64)
    if len(finite) < 2:
        mean = float(finite[0]) if len(finite) else math.nan
        return Estimate(mean, math.nan, math.nan, len(finite))
    generator = torch.Generator().manual_seed(_SEED)
    draws = torch.randint(len(finite), (resamples, len(finite)), generator=generator)
    means = finite[draws].mean(dim=1)
    tails = torch.tensor([(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], dtype=torch.float64)
    low, high = means.quantile(tails).tolist()
    return Estimate(float(finite.mean()), low, high, len(finite))


def difference(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """The mean of first minus second, pair by pair; ValueError when they do not pair up."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} values do not pair up")
    return estimate([a - b for a, b in zip(first, second, strict=True)])


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Estimate:
    """The ratio of two means over the same clips, with its percentile bootstrap interval."""
    if len(numerators) != len(denominators):
        raise ValueError(f"{len(numerators)} and {len(denominators)} values do not pair up")
    pairs = torch.tensor(list(zip(numerators, denominators, strict=True)), dtype=torch.float64)
    pairs = pairs[pairs.isfinite().all(dim=1)] if len(pairs) else pairs.reshape(0, 2)
    if len(pairs) < 2:
        mean = float(pairs[0, 0] / pairs[0, 1]) if len(pairs) else math.nan
        return Estimate(mean, math.nan, math.nan, len(pairs))
    generator = torch.Generator().manual_seed(_SEED)
    draws = torch.randint(len(pairs), (RESAMPLES, len(pairs)), generator=generator)
    sums = pairs[draws].sum(dim=1)
    tails = torch.tensor([(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], dtype=torch.float64)
    low, high = (sums[:, 0] / sums[:, 1]).quantile(tails).tolist()
    total = pairs.sum(dim=0)
    return Estimate(float(total[0] / total[1]), low, high, len(pairs))
