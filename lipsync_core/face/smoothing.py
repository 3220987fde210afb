"""Steadying over time, inside shots: bridging gaps and taking the jitter out without lag."""

import math
from itertools import pairwise

import torch
from jaxtyping import Bool, Float
from torch import Tensor

SHORT = 0.8
"""Standard deviation in frames of the window that steadies a moving face."""
LONG = 0.12
"""Standard deviation in seconds of the window that steadies a resting face."""
NOISE = 0.004
"""Eye distances that landmarks jitter by; what the windows differ by beyond it is movement."""


def shots(frame_count: int, cuts: tuple[int, ...]) -> list[slice]:
    """The runs of frames between cuts."""
    edges = [0, *cuts, frame_count]
    return [slice(a, b) for a, b in pairwise(edges)]


def bridge(
    values: Float[Tensor, "t ..."], seen: Bool[Tensor, " t"], cuts: tuple[int, ...]
) -> Float[Tensor, "t ..."]:
    """Values of unseen frames interpolated between seen ones of the same shot, held at its ends.

    A shot without a seen frame takes what is nearest in time. At least one frame must be seen.
    """
    bridged = values.clone()
    for shot in shots(len(values), cuts):
        known = seen[shot].nonzero()[:, 0] + shot.start
        if not len(known):
            everywhere = seen.nonzero()[:, 0]
            known = everywhere[(everywhere - shot.start).abs().argmin()][None]
        frames = (~seen[shot]).nonzero()[:, 0] + shot.start
        after = torch.searchsorted(known, frames).clamp(max=len(known) - 1)
        before = torch.where(known[after] > frames, after - 1, after).clamp(min=0)
        first, last = known[before], known[after]
        part = ((frames - first) / (last - first).clamp(min=1)).clamp(0, 1)
        bridged[frames] = torch.lerp(
            values[first], values[last], part.to(values).reshape(-1, *[1] * (values.ndim - 1))
        )
    return bridged


def steady(
    points: Float[Tensor, "t k d"],
    unit: Float[Tensor, " t"],
    fps: float,
    cuts: tuple[int, ...],
) -> Float[Tensor, "t k d"]:
    """Points without jitter: a long window where they rest, a short one where they move.

    `unit` is the eye distance at every frame. The long window is right as long as it does not move
    the points by more than NOISE; in head movements it would, and in video that stutters even the
    frames next to a frame are not to be trusted.
    """
    moving = smooth(points, SHORT, cuts)
    resting = smooth(points, max(LONG * fps, SHORT), cuts)
    strayed = (moving - resting).square().sum(dim=-1).mean(dim=1) / unit.double().square()
    strayed = smooth(strayed, 1.0, cuts, parabola=False)
    rest = 1 / (1 + (strayed / NOISE**2) ** 2)
    return torch.lerp(moving, resting, rest[:, None, None])


def smooth(
    values: Float[Tensor, "t ..."], sigma: float, cuts: tuple[int, ...], parabola: bool = True
) -> Float[Tensor, "t ..."]:
    """Each frame's value on a parabola fitted around it, under a Gaussian of `sigma` frames.

    Local polynomial regression (Savitzky and Golay 1964 with soft weights): symmetric, so nothing
    lags; what moves evenly or speeds up evenly stays exactly where it is. Without `parabola` the
    plain mean, which is never outside the values' range. float64.
    """
    smoothed = torch.zeros_like(values, dtype=torch.float64)
    radius = math.ceil(3 * sigma)
    for shot in shots(len(values), cuts):
        inside = values[shot].double()
        weights = window_weights(len(inside), sigma, radius, degree=2 if parabola else 0)
        for column, offset in enumerate(range(-radius, radius + 1)):
            source = (torch.arange(len(inside)) + offset).clamp(0, len(inside) - 1)
            weight = weights[:, column].reshape(-1, *[1] * (values.ndim - 1))
            smoothed[shot] += weight * inside[source]
    return smoothed


def window_weights(
    frame_count: int, sigma: float, radius: int, degree: int
) -> Float[Tensor, "t n"]:
    """What each of the 2 radius + 1 neighbours adds to the fitted polynomial at every frame."""
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64)
    neighbours = torch.arange(frame_count)[:, None] + offsets
    exists = (neighbours >= 0) & (neighbours < frame_count)
    gaussian = torch.exp(-0.5 * (offsets / sigma) ** 2) * exists
    powers = torch.stack([(offsets / radius) ** n for n in range(degree + 1)], dim=1)
    moments = torch.einsum("tn,ni,nj->tij", gaussian, powers, powers)
    # The pseudo-inverse: in shots of one or two frames only a mean or a line is determined.
    constant = torch.linalg.pinv(moments, hermitian=True, rtol=1e-10)[:, 0]
    return torch.einsum("ti,ni,tn->tn", constant, powers, gaussian)
