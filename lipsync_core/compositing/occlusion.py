"""What stands in front of the face: where the re-made face may be seen beside it."""

import numpy as np
from jaxtyping import Float

from ..crop_geometry import crop_mask
from .warping import Box

EDGE = 0.02
"""Width of the soft edge outside an occluder, as a fraction of the crop's side."""
COVERED = 0.03
"""The share of the re-made region from which on a mouth counts as covered."""
_COVER_SIZE = 64


def clear_of(
    occluder: Float[np.ndarray, "height width"], box: Box, crop_side: float
) -> Float[np.ndarray, "h w"]:
    """How far the frame may change inside `box`: 0 where `occluder` is 1, rising to 1 beside it.

    The edge is soft on the outside only: a hand's own rim is never mixed with the face behind it,
    and the little of the old face that stays around the hand fades into the new one. `crop_side`
    is the crop's side in frame pixels.
    """
    import cv2

    width = max(EDGE * crop_side, 1.0)
    margin = int(np.ceil(width)) + 1
    left, top = max(box.left - margin, 0), max(box.top - margin, 0)
    around = np.clip(occluder[top : box.bottom + margin, left : box.right + margin], 0, 1)
    free = (around <= 0.5).astype(np.uint8)
    clear = 1 - around
    if not free.all():
        distance = cv2.distanceTransform(free, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        x = np.clip((distance - 1) / width, 0, 1)
        clear = np.minimum(clear, x * x * (3 - 2 * x))
    rows, columns = box.top - top, box.left - left
    height, across = box.bottom - box.top, box.right - box.left
    return clear[rows : rows + height, columns : columns + across].astype(np.float32)


def seen_in_crop(
    occluder: Float[np.ndarray, "height width"],
    frame_to_crop: Float[np.ndarray, "2 3"],
    crop_size: int,
    size: int,
) -> Float[np.ndarray, "s s"]:
    """1 in the pixels of a crop of side `size` in which nothing stands before the face, else 0.

    `frame_to_crop` leads to pixels of a crop of `crop_size`.
    """
    import cv2

    matrix = frame_to_crop.astype(np.float64) * (size / crop_size)
    matrix[:, 2] += matrix[:, :2].sum(axis=1) * 0.5 - 0.5
    # Any pixel of the frame that is covered counts, however small the crop.
    spread = int(np.ceil(1 / abs(np.linalg.det(matrix[:, :2])) ** 0.5))
    covered = cv2.dilate((occluder > 0).astype(np.float32), np.ones((spread, spread), np.uint8))
    crop = cv2.warpAffine(covered, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return (crop == 0).astype(np.float32)


def covers_mouth(
    occluder: Float[np.ndarray, "height width"],
    frame_to_crop: Float[np.ndarray, "2 3"],
    crop_size: int,
) -> bool:
    """Whether so much stands before the region that is re-made that the frame does not show how
    the mouth looks. `frame_to_crop` leads to pixels of a crop of `crop_size`."""
    if not (occluder > 0).any():
        return False
    seen = seen_in_crop(occluder, frame_to_crop, crop_size, _COVER_SIZE)
    mask = crop_mask(_COVER_SIZE).numpy()
    return float(((1 - seen) * mask).sum()) > COVERED * float(mask.sum())
