"""Colour match: what to add to a re-made crop so that it meets the source along the mask's edge."""

from functools import cache

import numpy as np
from jaxtyping import Bool, Float

from .mask import distance_inside

RING = 0.1
"""Width of the ring inside the mask's edge that is compared, as a fraction of the crop's side."""
FIT_SIZE = 64
"""The comparison is made on crops shrunk to this side: colour is a matter of large areas."""
ROUNDS = 4
TUKEY = 4.685
"""Cut-off of Tukey's biweight in robust standard deviations (95 % efficiency on normal noise)."""
NOISE_FLOOR = 1 / 255


def colour_offset(
    rendered: Float[np.ndarray, "s s 3"], source: Float[np.ndarray, "s s 3"]
) -> Float[np.ndarray, "s s 3"] | None:
    """A plane per channel, fitted to source - rendered on the ring; None where there is nothing to
    add.

    The fit is robust (iteratively reweighted, Tukey's biweight): where the two pictures show
    different things, such as a chin that moved, they do not pull the colour.
    """
    import cv2

    size = rendered.shape[0]
    fit_size = min(size, FIT_SIZE)
    difference = source - rendered
    if fit_size < size:
        difference = cv2.resize(difference, (fit_size, fit_size), interpolation=cv2.INTER_AREA)
    ring = _ring(fit_size)
    plane = _fit_plane(_plane_terms(fit_size)[ring], difference[ring])
    if not plane.any():
        return None
    return _plane_terms(size) @ plane.astype(np.float32)


@cache
def _ring(size: int) -> Bool[np.ndarray, "s s"]:
    distance = distance_inside(size)
    return (distance > 0) & (distance <= max(RING * size, 1))


@cache
def _plane_terms(size: int) -> Float[np.ndarray, "s s 3"]:
    """1, x and y of every pixel, x and y in [-1, 1]: the same plane for every size."""
    position = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(position, position)
    return np.stack((np.ones_like(x), x, y), axis=2).astype(np.float32)


def _fit_plane(
    terms: Float[np.ndarray, "p 3"], values: Float[np.ndarray, "p 3"]
) -> Float[np.ndarray, "3 3"]:
    plane = np.zeros((3, 3))
    plane[0] = np.median(values, axis=0)
    for _ in range(ROUNDS):
        residual = np.abs(values - terms @ plane).max(axis=1)
        deviation = max(1.4826 * float(np.median(residual)), NOISE_FLOOR)
        root_weight = np.clip(1 - (residual / (TUKEY * deviation)) ** 2, 0, None)[:, None]
        plane = np.linalg.lstsq(root_weight * terms, root_weight * values, rcond=None)[0]
    return plane
