"""The shape of a person's face with the mouth at rest, from all frames in which it is seen."""

from jaxtyping import Bool, Float
from torch import Tensor

from ..canonical_pose import canonicalise
from ..landmarks import opening

FRONTAL = 25.0
"""Degrees of yaw up to which a frame tells the shape well."""
LOWEST = 0.1
"""The part of the frames with the smallest opening that is taken for rest."""
LEAST = 5
"""Frames that are averaged at least."""
KEPT = 0.7
"""The part of those that agrees best with their median and is averaged."""


def neutral_shape(
    landmarks: Float[Tensor, "t k 3"], visible: Bool[Tensor, " t"]
) -> Float[Tensor, "k 3"]:
    """Mean canonical shape of the visible frames with the smallest opening, eye distances.

    Only frontal frames count if there are enough; of the chosen ones, those far from their median
    are left out. At least one frame must be visible.
    """
    pose = canonicalise(landmarks[visible])
    shapes, yaw = pose.landmarks, pose.yaw.abs()
    enough = min(len(shapes), max(LEAST, round(LOWEST * len(shapes))))
    frontal = yaw <= max(FRONTAL, float(yaw.sort().values[enough - 1]))
    shapes = shapes[frontal]
    count = min(len(shapes), max(LEAST, round(LOWEST * len(shapes))))
    closed = shapes[opening(shapes).argsort()[:count]]
    distance = (closed - closed.median(dim=0).values).square().sum(dim=(1, 2))
    kept = distance.argsort()[: max(1, round(KEPT * count))]
    return closed[kept].mean(dim=0).to(landmarks.dtype)
