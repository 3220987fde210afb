"""Which pixels may change and by how much: soft masks over the crop."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Float

from ..crop_geometry import crop_mask, crop_points

FEATHER = 0.05
"""Least width of the mask's soft edge as a fraction of the crop's side, so in proportion to the
face."""
SPEAKING = (
    (-0.22, 0.55), (0.22, 0.55), (0.42, 0.75), (0.45, 1.00), (0.34, 1.30), (0.30, 1.60),
    (-0.30, 1.60), (-0.34, 1.30), (-0.45, 1.00), (-0.42, 0.75),
)  # fmt: skip
"""Corners, in the canonical face, of what moves when one speaks: lips (at rest .73 to 1 down, .27
to the sides) and chin (1.36 down, `canonical`)."""
UNCHANGED = 1 / 255 + 1e-6
"""Crops that differ by no more than this are the same picture after a trip through 8 bits."""
SOLID, FADE = 0.01, 0.02
"""How far a changed pixel carries along its neighbours, whole and then fading, as fractions of
the crop's side: it closes the pinholes where two pictures happen to agree."""


@cache
def distance_inside(crop_size: int) -> Float[np.ndarray, "s s"]:
    """Pixels from each pixel inside the mask to the nearest one outside; 0 outside."""
    import cv2

    inside = crop_mask(crop_size).numpy().astype(np.uint8)
    return cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)


@cache
def soft_mask(crop_size: int) -> Float[np.ndarray, "s s"]:
    """The mask with its edge feathered inwards: up to SPEAKING, but over FEATHER at least.

    Cheeks and the nose hardly move, so there the edge may be as soft as they are wide. 0 outside,
    and on the pixels inside that touch one outside, so that interpolating it between pixels cannot
    give weight to a point outside.
    """
    touching = 2**0.5
    inside = np.maximum(distance_inside(crop_size) - touching, 0)
    room = inside + distance_from_speaking(crop_size)
    return smooth_step(inside / np.maximum(room, max(FEATHER * crop_size, 1)))


@cache
def distance_from_speaking(crop_size: int) -> Float[np.ndarray, "s s"]:
    """Pixels from each pixel outside SPEAKING to the nearest one in it; 0 inside."""
    import cv2

    corners = crop_points(torch.tensor(SPEAKING), crop_size).numpy()
    # Room below, where the corners leave the crop: what is cut off has no distance.
    outside = np.ones((2 * crop_size, crop_size), np.uint8)
    # cv2 puts pixel centres at integers, we put them at +.5; 4 bits of sub-pixel precision.
    cv2.fillPoly(outside, [np.round((corners - 0.5) * 16).astype(np.int32)], 0, shift=4)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance[:crop_size]


def changed_weight(
    rendered: Float[np.ndarray, "s s 3"], source: Float[np.ndarray, "s s 3"]
) -> Float[np.ndarray, "s s"]:
    """1 where `rendered` differs from `source`, fading to 0 a little beside it, 0 elsewhere."""
    import cv2

    size = rendered.shape[0]
    differences = cv2.absdiff(rendered, source)
    unchanged = cv2.inRange(differences, (0, 0, 0), (UNCHANGED, UNCHANGED, UNCHANGED))
    unchanged[distance_inside(size) == 0] = 255
    if unchanged.all():
        return np.zeros((size, size), np.float32)
    distance = cv2.distanceTransform(unchanged, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 1 - smooth_step((distance - max(SOLID * size, 1)) / max(FADE * size, 1.5))


def smooth_step(x: Float[np.ndarray, "s s"]) -> Float[np.ndarray, "s s"]:
    """0 below 0, 1 above 1, and 3 x^2 - 2 x^3 between."""
    x = np.clip(x, 0, 1)
    return (x * x * (3 - 2 * x)).astype(np.float32)
