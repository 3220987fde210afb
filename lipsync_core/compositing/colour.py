"""Colour match: what to add to a re-made crop so that it meets the source along the mask's edge."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from .mask import distance_inside

RING = (0.035, 0.1)
"""Between these distances from the mask's edge, in crop sides, the two pictures are compared.
Nearer to it the renderer itself fades into the source (`render.rendering.FEATHER`), and nothing of
its colour is to be seen."""
FIT_SIZE = 64
"""The comparison is made on crops shrunk to this side: colour is a matter of large areas."""
BLACK = 0.1
"""Light scales what it falls on, so the match is a gain; this is added to every level before it is
scaled, so that it stays finite on black."""
ROUNDS = 4
TUKEY = 4.685
"""Cut-off of Tukey's biweight in robust standard deviations (95 % efficiency on normal noise)."""
NOISE_FLOOR = 1 / 255
SOFTENING = 0.02
"""Distance in crop sides below which the weight of a point of the ring no longer grows."""


class _Ring(NamedTuple):
    """Where the pictures are compared, and how that reaches every pixel inside the mask."""

    inside: Bool[np.ndarray, "s s"]
    compared: Bool[np.ndarray, "s s"]
    reach: Float[np.ndarray, "inside compared"]
    """Cubed inverse distance: a normalised sum with these weights is smooth, meets the values on
    the ring and flattens out away from it (Shepard 1968, doi 10.1145/800186.810616)."""


def colour_offset(
    rendered: Float[np.ndarray, "s s 3"],
    source: Float[np.ndarray, "s s 3"],
    known: Float[np.ndarray, "f f"] | None = None,
) -> Float[np.ndarray, "s s 3"] | None:
    """What to add to `rendered`; None where there is nothing to add, or nothing to compare with.

    A gain per channel, (source - rendered) / (rendered + BLACK) on the ring: a robust plane over
    the face (iteratively reweighted, Tukey's biweight), and what that leaves, carried inwards.
    Where the two pictures show different things, such as a chin that moved, they do not pull the
    colour, and neither does what `known` says stands in front of the face (0 there, 1 elsewhere;
    of the side `fit_size`).
    """
    import cv2

    size = rendered.shape[0]
    small = fit_size(size)
    ours, real = rendered, source
    if small < size:
        ours, real = (
            cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
            for picture in (rendered, source)
        )
    ring, terms = _ring(small), _plane_terms(small)
    gains = ((real - ours) / (ours + BLACK))[ring.compared]
    seen = np.ones(len(gains)) if known is None else known[ring.compared]
    if seen.sum() < terms.shape[-1]:
        return None
    plane, weight = _fit_plane(terms[ring.compared], gains, seen)
    field = terms @ plane
    left = np.column_stack([gains - terms[ring.compared] @ plane, np.ones(len(gains))])
    carried = ring.reach @ (left * weight[:, None]).astype(np.float32)
    field = field.astype(np.float32)
    field[ring.inside] += carried[:, :3] / (carried[:, 3:] + 1e-12)
    if not field.any():
        return None
    if small < size:
        field = cv2.resize(field, (size, size), interpolation=cv2.INTER_LINEAR)
    return field * (rendered + BLACK)


def fit_size(crop_size: int) -> int:
    """The side at which crops of `crop_size` are compared."""
    return min(crop_size, FIT_SIZE)


@cache
def _ring(size: int) -> _Ring:
    distance = distance_inside(size)
    near, far = (edge * size for edge in RING)
    inside, compared = distance > 0, (distance > near) & (distance <= max(far, 2))
    here, there = (np.argwhere(where) / size for where in (inside, compared))
    squared = np.square(here[:, None] - there).sum(-1) + SOFTENING**2
    return _Ring(inside, compared, (squared**-1.5).astype(np.float32))


@cache
def _plane_terms(size: int) -> Float[np.ndarray, "s s 3"]:
    """1, x and y of every pixel, x and y in [-1, 1]: the same plane for every size."""
    position = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(position, position)
    return np.stack((np.ones_like(x), x, y), axis=2)


def _fit_plane(
    terms: Float[np.ndarray, "p 3"],
    values: Float[np.ndarray, "p 3"],
    seen: Float[np.ndarray, " p"],
) -> tuple[Float[np.ndarray, "3 3"], Float[np.ndarray, " p"]]:
    """The plane, and how far each point is to be believed in the end, in [0, 1]."""
    plane = np.zeros((3, 3))
    plane[0] = np.median(values[seen > 0], axis=0)
    weight = seen
    for _ in range(ROUNDS):
        residual = np.abs(values - terms @ plane).max(axis=1)
        deviation = max(1.4826 * float(np.median(residual[seen > 0])), NOISE_FLOOR)
        weight = (np.clip(1 - (residual / (TUKEY * deviation)) ** 2, 0, None) * seen) ** 2
        weighted = (weight[:, None] * terms).T
        plane = np.linalg.lstsq(weighted @ terms, weighted @ values, rcond=None)[0]
    return plane, weight
