"""Which pixels may change and by how much: soft masks over the crop and over the frame."""

from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..crop_geometry import crop_mask
from .warping import touched_box, warp_weight

FEATHER = 0.05
"""Width of the mask's soft edge as a fraction of the crop's side, so in proportion to the face."""
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
    """The mask with its edge feathered inwards.

    0 outside, and on the pixels inside that touch one outside, so that interpolating it between
    pixels cannot give weight to a point outside.
    """
    touching = 2**0.5
    return _smooth_step((distance_inside(crop_size) - touching) / max(FEATHER * crop_size, 1))


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
    return 1 - _smooth_step((distance - max(SOLID * size, 1)) / max(FADE * size, 1.5))


def composite_mask(
    frame_to_crop: Float[Tensor, "t 2 3"],
    crop_size: int,
    visible: Bool[Tensor, " t"],
    height: int,
    width: int,
    occluder: Float[Tensor, "t h w"] | None = None,
) -> Float[Tensor, "t h w"]:
    """How far `composite` may change each pixel of height x width frames, in [0, 1].

    0 is never touched. `frame_to_crop` leads to pixels of a crop of `crop_size`; `occluder` is 1
    where something stands in front of the face.
    """
    weights = torch.zeros(len(visible), height, width)
    soft = soft_mask(crop_size)
    for index in visible.nonzero().flatten().tolist():
        matrix = frame_to_crop[index].numpy(force=True)
        box = touched_box(soft, matrix, height, width)
        if not box.empty:
            weights[index].numpy()[box.slices] = warp_weight(soft, matrix, box)
    return weights if occluder is None else weights * (1 - occluder.clamp(0, 1))


def _smooth_step(x: Float[np.ndarray, "s s"]) -> Float[np.ndarray, "s s"]:
    """0 below 0, 1 above 1, and 3 x^2 - 2 x^3 between."""
    x = np.clip(x, 0, 1)
    return (x * x * (3 - 2 * x)).astype(np.float32)
