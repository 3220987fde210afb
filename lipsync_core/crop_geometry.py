"""The fixed geometry of an aligned crop: where the canonical face lies, and what is masked.

Everything is a fraction of the crop, the same for every frame and person, so that nothing of the
old mouth's shape shows in where the mask runs. The crop shows the whole face from the forehead to
under the chin, so that face restorers find it.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from .landmarks import STABLE, canonical

CROP_SIDE = 2.1
"""Side of the crop in eye distances."""
CROP_LEFT, CROP_TOP = -1.05, -0.58
"""Upper left corner of the crop in the canonical face, eye distances from between the eyes."""

MASK_POLYGON = (
    (-0.08, 0.18), (0.08, 0.18), (0.30, 0.34), (0.62, 0.40), (0.70, 0.52), (0.70, 1.12),
    (0.56, 1.44), (-0.56, 1.44), (-0.70, 1.12), (-0.70, 0.52), (-0.62, 0.40), (-0.30, 0.34),
)  # fmt: skip
"""Corners of the mask in the canonical face, eye distances: from the nose bridge to under the
chin over the full cheek width (KeySync's finding: smaller masks leak the old mouth's shape)."""


def crop_points(face_points: Float[Tensor, "k 2"], crop_size: int) -> Float[Tensor, "k 2"]:
    """Points of the canonical face plane (eye distances) in crop pixels."""
    corner = face_points.new_tensor((CROP_LEFT, CROP_TOP))
    return (face_points - corner) * (crop_size / CROP_SIDE)


def stable_template(crop_size: int) -> Float[Tensor, "k 2"]:
    """Where the STABLE landmarks of the canonical face lie in the crop, in pixels."""
    return crop_points(canonical(STABLE)[:, :2], crop_size)


def crop_mask(crop_size: int) -> Float[Tensor, "s s"]:
    """1 inside the mask, 0 outside, hard-edged: what is hidden from the codec and re-made."""
    import cv2

    corners = crop_points(torch.tensor(MASK_POLYGON), crop_size).numpy()
    # cv2 puts pixel centres at integers, we put them at +.5; 4 bits of sub-pixel precision.
    fixed_point = np.round((corners - 0.5) * 16).astype(np.int32)
    mask = np.zeros((crop_size, crop_size), np.uint8)
    cv2.fillPoly(mask, [fixed_point], 1, shift=4)
    return torch.from_numpy(mask).float()
