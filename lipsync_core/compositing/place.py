"""Where in its frame a face may be re-made, and how far: mask, silhouette, occluder, presence."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from .mask import soft_mask
from .occlusion import clear_of, seen_in_crop
from .silhouette import inside_face
from .warping import Box, frame_pixels_per_crop_pixel, touched_box, warp_weight


@dataclass(frozen=True)
class Place:
    """One frame's face."""

    frame_to_crop: Float[np.ndarray, "2 3"]
    crop_size: int
    presence: float
    """How much of the new face is shown, in [0, 1]."""
    occluder: Float[np.ndarray, "h w"] | None = None
    """1 where something stands in front of the face."""
    landmarks: Float[np.ndarray, "k 2"] | None = None
    """Of the face, frame pixels; without them the whole mask counts as face."""

    def crop_weight(self) -> Float[np.ndarray, "s s"]:
        """How far each pixel of the crop counts, occluder and presence aside."""
        soft = soft_mask(self.crop_size)
        if self.landmarks is None:
            return soft
        return np.minimum(soft, inside_face(self.landmarks, self.frame_to_crop, self.crop_size))

    def in_frame(self, weight: Float[np.ndarray, "s s"], box: Box) -> Float[np.ndarray, "h w"]:
        """A weight of the crop as the frame takes it inside `box`."""
        warped = warp_weight(weight, self.frame_to_crop, box) * np.float32(self.presence)
        if self.occluder is None:
            return warped
        side = self.crop_size * frame_pixels_per_crop_pixel(self.frame_to_crop)
        return warped * clear_of(self.occluder, box, side)

    def known(self, size: int) -> Float[np.ndarray, "f f"] | None:
        """1 in the pixels of a crop of side `size` that surely show the face, else 0; None where
        all do."""
        shown = None
        if self.landmarks is not None:
            matrix = self.frame_to_crop * (size / self.crop_size)
            shown = (inside_face(self.landmarks, matrix, size) == 1).astype(np.float32)
        if self.occluder is not None and self.occluder.any():
            seen = seen_in_crop(self.occluder, self.frame_to_crop, self.crop_size, size)
            shown = seen if shown is None else shown * seen
        return shown


def composite_mask(
    frame_to_crop: Float[Tensor, "t 2 3"],
    crop_size: int,
    presence: Shaped[Tensor, " t"],
    height: int,
    width: int,
    occluder: Float[Tensor, "t h w"] | None = None,
    landmarks: Float[Tensor, "t k 2"] | None = None,
) -> Float[Tensor, "t h w"]:
    """How far `composite` may change each pixel of height x width frames, in [0, 1].

    0 is never touched. `frame_to_crop` leads to pixels of a crop of `crop_size`; the rest is as
    `composite` takes it.
    """
    weights = torch.zeros(len(presence), height, width)
    for index in presence.nonzero().flatten().tolist():
        place = Place(
            frame_to_crop[index].numpy(force=True),
            crop_size,
            float(presence[index]),
            None if occluder is None else occluder[index].numpy(force=True),
            None if landmarks is None else landmarks[index].numpy(force=True),
        )
        weight = place.crop_weight()
        box = touched_box(weight, place.frame_to_crop, height, width)
        if not box.empty:
            weights[index].numpy()[box.slices] = place.in_frame(weight, box)
    return weights
