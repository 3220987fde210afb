"""Masks beside a clip: one for all of its frames or one per frame, of its size."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ..types import Audio, Clip
from .tensor_clip import TensorClip


def mask_clip(masks: Float[Tensor, "n h w"], like: Clip) -> Clip:
    """Masks in [0, 1] as a clip of grey pictures that goes with `like` (`matched_mask`).

    A single mask of zeros, as loaders give for a picture without one, may have any shape.
    """
    if masks.ndim != 3 or 0 in masks.shape:
        raise ValueError(
            f"the occluder mask has the shape {tuple(masks.shape)}; (masks, height, width) with at "
            "least one mask is needed"
        )
    if len(masks) == 1 and not masks.any():
        masks = masks.new_zeros(1, 1, 1).expand(1, like.height, like.width)
    grey = masks[..., None].expand(-1, -1, -1, 3)
    return matched_mask(TensorClip(grey, like.fps), like)


def matched_mask(mask: Clip, like: Clip) -> Clip:
    """A lazy view of `mask` with the frames and the size of `like`.

    One picture goes for all frames. Another size is brought to the frames' if it has their shape.
    ValueError where the number of pictures or their shape says that they belong to another video.
    """
    if mask.frame_count not in (1, like.frame_count):
        raise ValueError(
            f"there are {mask.frame_count} occluder masks for a video of {like.frame_count} "
            "frames: give one mask for all frames, or one per frame of the video as it comes in; "
            "a batch of another length has lost or repeated frames on its way"
        )
    # A size that was rounded on its way to or from the frames' differs by less than a pixel.
    scale = max(mask.height / like.height, mask.width / like.width)
    short = max(abs(like.height * scale - mask.height), abs(like.width * scale - mask.width))
    if short > max(1.0, scale):
        raise ValueError(
            f"the occluder mask is {mask.width} x {mask.height}, the frames are {like.width} x "
            f"{like.height}: they have another shape, so where the mask lies cannot be known; "
            "make it from these frames, or crop or pad it to their shape"
        )
    return MatchedMask(mask, like)


class MatchedMask(Clip):
    """Every frame of a clip has its mask, in the clip's size."""

    def __init__(self, mask: Clip, like: Clip):
        self._mask = mask
        self.fps, self.frame_count = like.fps, like.frame_count
        self.height, self.width = like.height, like.width

    def frames(self, start: int, stop: int) -> Float[Tensor, "t h w 3"]:
        """A single mask is repeated without copying."""
        if not 0 <= start <= stop <= self.frame_count:
            raise ValueError(f"frames {start} to {stop} of a clip of {self.frame_count}")
        if self._mask.frame_count == 1:
            return self._resized(self._mask.frames(0, 1)).expand(stop - start, -1, -1, -1)
        return self._resized(self._mask.frames(start, stop))

    def audio(self) -> Audio | None:
        """None: masks make no sound."""
        return None

    def _resized(self, masks: Float[Tensor, "t y x 3"]) -> Float[Tensor, "t h w 3"]:
        masks = masks.float().cpu()
        size = (self.height, self.width)
        if masks.shape[1:3] == size or len(masks) == 0:
            return masks if len(masks) else torch.zeros(0, *size, 3)
        shrunk = masks.shape[1] > self.height
        resized = functional.interpolate(
            rearrange(masks[..., :1], "t y x 1 -> t 1 y x"),
            size,
            mode="bilinear",
            align_corners=False,
            antialias=shrunk,
        )
        # Antialiasing overshoots by rounding.
        resized = rearrange(resized.clamp(0, 1), "t 1 h w -> t h w 1")
        return resized.expand(-1, -1, -1, 3)
