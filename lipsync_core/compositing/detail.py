"""How much of the frame's own fine texture stays: all where the skin does not move, none about the
lips."""

import numpy as np
from jaxtyping import Float

from .mask import distance_from_speaking, smooth_step

REACH = 0.05
"""Distance from what moves in speaking, in crop sides, at which all of it may stay."""
SIGMA = 0.0125
"""Gaussian, in crop sides, that tells light and shape from fine texture."""
ALIKE, OTHER = 7 / 255, 21 / 255
"""Root mean square differences of light and shape: up to the first the pictures show the same skin,
so that its texture fits; from the second on they do not."""
NEIGHBOURHOOD = 0.02
"""Gaussian, in crop sides, over which that mean is taken."""


def coarse_difference(
    matched: Float[np.ndarray, "s s 3"], source: Float[np.ndarray, "s s 3"]
) -> Float[np.ndarray, "s s 3"]:
    """The change in light and shape, without fine texture."""
    import cv2

    return cv2.GaussianBlur(matched - source, (0, 0), SIGMA * len(source))


def kept_texture(difference: Float[np.ndarray, "s s 3"]) -> Float[np.ndarray, "s s"]:
    """How much of the frame's texture stays under this `coarse_difference`, in [0, 1]."""
    import cv2

    size = len(difference)
    energy = np.square(difference).mean(axis=2)
    energy = cv2.GaussianBlur(energy, (0, 0), NEIGHBOURHOOD * size)
    resting = smooth_step(distance_from_speaking(size) / max(REACH * size, 1))
    return resting * (1 - smooth_step((np.sqrt(energy) - ALIKE) / (OTHER - ALIKE)))
