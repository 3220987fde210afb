"""Which parts of a frame a picture is judged in: the renderer's mask, and the box of the mouth."""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..compositing.warping import Box
from ..crop_geometry import MASK_POLYGON, crop_points
from ..face.alignment import invert, transform
from ..landmarks import LIPS, tracked
from ..types import FaceTrack

MOUTH_MARGIN = 0.35
"""What the mouth's box has on each side of the lips' landmarks, as a share of their width."""


def mask_outlines(track: FaceTrack) -> Float[Tensor, "t k 2"]:
    """Corners of the renderer's mask in every frame, in frame pixels (float64), clockwise."""
    corners = crop_points(torch.tensor(MASK_POLYGON), track.crop_size).double()
    back = invert(track.frame_to_crop)
    return transform(back, corners.expand(len(back), -1, -1))


def inside_outline(
    outline: Float[Tensor, "k 2"], height: int, width: int
) -> Bool[Tensor, "height width"]:
    """Pixels of a frame whose centre lies inside `outline` (frame pixels), 1/16 pixel exact."""
    import cv2

    # cv2 puts pixel centres at integers, we put them at +.5; 4 bits of sub-pixel precision.
    fixed_point = np.round((outline.numpy(force=True) - 0.5) * 16).astype(np.int32)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [fixed_point], 1, shift=4)
    return torch.from_numpy(mask).bool()


def mouth_box(lips: Float[Tensor, "k 2"], height: int, width: int) -> Box:
    """The box of the lip landmarks `lips` and its margin, cut to a height x width picture."""
    low, high = lips.amin(0), lips.amax(0)
    margin = MOUTH_MARGIN * (high[0] - low[0])
    (left, top), (right, bottom) = (
        (low - margin).floor().int().tolist(),
        (high + margin).ceil().int().tolist(),
    )
    return Box(
        min(max(left, 0), width),
        min(max(top, 0), height),
        max(min(right, width), 0),
        max(min(bottom, height), 0),
    )


def lips_in_frame(track: FaceTrack) -> Float[Tensor, "t k 2"]:
    """The lip landmarks of every frame, in frame pixels."""
    return track.landmarks[:, tracked(LIPS), :2]


def lips_in_crop(track: FaceTrack) -> Float[Tensor, "t k 2"]:
    """The lip landmarks of every frame, in pixels of the track's crops."""
    return transform(track.frame_to_crop.float(), lips_in_frame(track).float())
