"""Where the face ends: behind a turned head the mask covers background, and that stays."""

import numpy as np
from jaxtyping import Float

from ..landmarks import JAW, tracked
from .mask import smooth_step

MARGIN = 0.01
"""Crop sides by which the new face may reach beyond the landmarks, as a cheek does."""
EDGE = 0.03
"""Width of the soft edge beyond, in crop sides."""


def inside_face(
    landmarks: Float[np.ndarray, "k 2"], frame_to_crop: Float[np.ndarray, "2 3"], crop_size: int
) -> Float[np.ndarray, "s s"]:
    """1 on the face, falling to 0 beside it; the neck below the chin counts as face.

    `landmarks` are TRACKED, in frame pixels: what they span, and what the jaw would pass over on a
    straight way down, for the new chin may be lower than the old one.
    """
    import cv2

    points = landmarks @ frame_to_crop[:, :2].T + frame_to_crop[:, 2]
    jaw = points[tracked(JAW)]
    outside = np.ones((crop_size, crop_size), np.uint8)
    for spanning in (points, np.concatenate([jaw, jaw + np.array((0, crop_size))])):
        hull = cv2.convexHull(spanning.astype(np.float32))[:, 0]
        # cv2 puts pixel centres at integers, we put them at +.5; 4 bits of sub-pixel precision.
        cv2.fillConvexPoly(outside, np.round((hull - 0.5) * 16).astype(np.int32), 0, shift=4)
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return 1 - smooth_step((distance / crop_size - MARGIN) / EDGE)
