"""The shape of a person's face with the mouth at rest, from all frames in which it is seen."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from ..canonical_pose import canonicalise
from ..landmarks import opening

FRONTAL = 25.0
"""Degrees of yaw up to which a frame tells the shape well."""
LOWEST = 0.1
"""The part of the frames with the smallest opening that is taken for rest."""
LOWER = 0.5
"""The part of them that says how the shape depends on the opening."""
LEAST = 10
"""Frames that are used at least."""
MOST = 4096
"""Frames that are used at most, evenly spread: more would say the same and fill memory."""
ROUNDS = 4
"""Of weighing frames by how well they agree with the others."""


def neutral_shape(
    landmarks: Float[Tensor, "t k 3"], visible: Bool[Tensor, " t"]
) -> Float[Tensor, "k 3"]:
    """Mean canonical shape at the opening of the lowest decile of visible frames, eye distances.

    A few closed frames of one sentence tell little about the person: jaw and lips are closed in
    many ways. So the shape is a straight line over the opening, fitted to the lower half of the
    frames and read where the lowest decile lies. Against the plain mean of the decile this halves
    how much the shape of one person varies between pieces of 3 s, .016 to .008 eye distances per
    point. Only frontal frames count if there are enough. At least one frame must be visible.
    """
    seen = visible.nonzero()[:, 0]
    if len(seen) > MOST:
        seen = seen[torch.linspace(0, len(seen) - 1, MOST).round().long()]
    pose = canonicalise(landmarks[seen])
    yaw = pose.yaw.abs()
    enough = min(len(yaw), max(LEAST, round(LOWEST * len(yaw))))
    frontal = yaw <= max(FRONTAL, float(yaw.sort().values[enough - 1]))
    shapes = pose.landmarks[frontal]
    return shape_at_rest(shapes, opening(shapes)).to(landmarks.dtype)


def shape_at_rest(shapes: Float[Tensor, "t k 3"], gap: Float[Tensor, " t"]) -> Float[Tensor, "k 3"]:
    """The mean shape at the mean opening `gap` of the lowest decile, as `neutral_shape` says."""
    order = gap.argsort()
    rest = gap[order[: max(1, round(LOWEST * len(gap)))]].mean()
    lower = order[: max(LEAST, round(LOWER * len(gap)))]
    return _line_at_zero(shapes[lower], gap[lower] - rest)


def _line_at_zero(shapes: Float[Tensor, "t k 3"], gap: Float[Tensor, " t"]) -> Float[Tensor, "k 3"]:
    """The shape where `gap` is 0: a line over it, fitted with outliers weighed down (Cauchy)."""
    powers = torch.stack([torch.ones_like(gap), gap], dim=1)
    targets = rearrange(shapes, "t k c -> t (k c)")
    # Frames that all have one opening say nothing of the slope: it is then 0.
    ridge = torch.diag(gap.new_tensor((0.0, 1e-3)))
    weights = torch.ones_like(gap)
    line = targets.new_zeros(2, targets.shape[1])
    for _ in range(ROUNDS):
        weighted = powers * weights[:, None]
        line = torch.linalg.solve(weighted.T @ powers + ridge, weighted.T @ targets)
        error = (targets - powers @ line).norm(dim=1)
        weights = 1 / (1 + (error / (1.5 * error.median()).clamp_min(1e-9)).square())
    return rearrange(line[0], "(k c) -> k c", c=shapes.shape[-1])
