"""From the crop back into the frame, inside the smallest box of the frame that is touched."""

from typing import NamedTuple

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, Shaped
from torch.nn import functional

MINIFIED = 0.8
"""Below this many frame pixels per crop pixel the crop is shrunk first, or it aliases."""


class Box(NamedTuple):
    """Frame pixels left <= x < right, top <= y < bottom."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def empty(self) -> bool:
        return self.right <= self.left or self.bottom <= self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """What cuts the box out of an image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)


def touched_box(
    weight: Float[np.ndarray, "s s"],
    frame_to_crop: Float[np.ndarray, "2 3"],
    height: int,
    width: int,
) -> Box:
    """The part of a height x width frame onto which the non-zero pixels of `weight` fall."""
    import cv2

    left, top, across, down = cv2.boundingRect((weight > 0).astype(np.uint8))
    if across == 0:
        return Box(0, 0, 0, 0)
    # One pixel more on every side: interpolation reaches that far.
    left, top, right, bottom = left - 1, top - 1, left + across + 1, top + down + 1
    corners = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)
    turn, shift = frame_to_crop[:, :2].astype(np.float64), frame_to_crop[:, 2]
    in_frame = np.linalg.solve(turn, (corners - shift).T).T
    low, high = np.floor(in_frame.min(0)), np.ceil(in_frame.max(0))
    return Box(
        int(max(low[0], 0)),
        int(max(low[1], 0)),
        int(min(high[0], width)),
        int(min(high[1], height)),
    )


def frame_pixels_per_crop_pixel(frame_to_crop: Float[np.ndarray, "2 3"]) -> float:
    """How much larger the face is in the frame than in the crop."""
    return float(abs(np.linalg.det(frame_to_crop[:, :2].astype(np.float64))) ** -0.5)


def warp_weight(
    weight: Float[np.ndarray, "s s"], frame_to_crop: Float[np.ndarray, "2 3"], box: Box
) -> Float[np.ndarray, "h w"]:
    """`weight` as the frame sees it inside `box`; 0 where the crop does not reach."""
    import cv2

    return _warp(weight, frame_to_crop, box, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)


def warp_picture(
    crop: Float[np.ndarray, "s s 3"], frame_to_crop: Float[np.ndarray, "2 3"], box: Box
) -> Float[np.ndarray, "h w 3"]:
    """`crop` as the frame sees it inside `box`: cubic, without aliases when it is shrunk."""
    import cv2

    scale = frame_pixels_per_crop_pixel(frame_to_crop)
    if scale < MINIFIED:
        size = max(1, round(crop.shape[0] * scale))
        frame_to_crop = frame_to_crop * (size / crop.shape[0])
        crop = _shrunk(crop, size)
    return _warp(crop, frame_to_crop, box, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)


def _shrunk(crop: Float[np.ndarray, "s s 3"], size: int) -> Float[np.ndarray, "size size 3"]:
    """Cubic with the kernel as wide as it must be; area means take a tenth of the edges."""
    pictures = rearrange(torch.from_numpy(crop), "y x c -> 1 c y x")
    small = functional.interpolate(pictures, (size, size), mode="bicubic", antialias=True)
    return rearrange(small, "1 c y x -> y x c").contiguous().numpy()


def _warp(
    image: Shaped[np.ndarray, "s s *c"],
    frame_to_crop: Float[np.ndarray, "2 3"],
    box: Box,
    interpolation: int,
    border: int,
) -> Shaped[np.ndarray, "h w *c"]:
    import cv2

    # The box's corner becomes the origin; cv2 puts pixel centres at integers, we put them at +.5.
    matrix = frame_to_crop.astype(np.float64)
    matrix[:, 2] += matrix[:, :2] @ (box.left + 0.5, box.top + 0.5) - 0.5
    size = (box.right - box.left, box.bottom - box.top)
    flags = interpolation | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(image, matrix, size, flags=flags, borderMode=border, borderValue=0)
