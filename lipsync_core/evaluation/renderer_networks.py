"""What the networks that judge pictures say of made faces, in a few frames of a stretch."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..face.alignment import crop_faces
from ..types import Clip, FaceTrack
from .feature_distances import PERCEPTUAL_CROP, PERCEPTUAL_MASK, JudgingNetworks, mask_box
from .identity_distance import NAME as IDENTITY
from .renderer_clips import PICKED
from .seen_clips import SeenClip


class FaceJudge:
    """Compares faces with the real ones in the same frames; `track` is the real clip's."""

    def __init__(self, networks: JudgingNetworks, track: FaceTrack, real: Clip, picked: slice):
        seen = range(picked.start, picked.stop, picked.step or 1)
        self.frames = [frame for frame in seen if track.visible[frame]]
        """Those that are looked at, counted in `track` and `real`."""
        self._networks, self._track = networks, track
        pictures = pick(real, self.frames)
        self._masks = self._mask_boxes(pictures)
        self.descriptors = self.describe(pictures)
        """Of the real faces."""

    def figures(self, pictures: Float[Tensor, "n h w 3"]) -> dict[str, float]:
        """Mean perceptual distance in the mask's box, and identity distance, of the frames."""
        with torch.no_grad():
            perceptual = self._networks.perceptual(self._mask_boxes(pictures), self._masks)
        identity = (self.describe(pictures) - self.descriptors).norm(dim=-1)
        return {PERCEPTUAL_MASK: float(perceptual.mean()), IDENTITY: float(identity.mean())}

    def describe(self, pictures: Float[Tensor, "n h w 3"]) -> Float[Tensor, "n 128"]:
        """dlib's descriptors of the faces."""
        matrices = self._track.frame_to_crop[self.frames]
        return self._networks.identity.describe(pictures, matrices, self._track.crop_size)

    def describe_clip(self, seen: SeenClip) -> Float[Tensor, "n 128"]:
        """The same of PICKED frames of another clip, or some more."""
        visible = seen.track.visible.nonzero()[:, 0]
        frames = visible[:: max(1, len(visible) // PICKED)].tolist()
        matrices, size = seen.track.frame_to_crop[frames], seen.track.crop_size
        return self._networks.identity.describe(pick(seen.pictures, frames), matrices, size)

    def _mask_boxes(self, pictures: Float[Tensor, "n h w 3"]) -> Float[Tensor, "n y x 3"]:
        matrices = self._track.resized(PERCEPTUAL_CROP).frame_to_crop[self.frames]
        return crop_faces(pictures.float(), matrices, PERCEPTUAL_CROP)[mask_box()]


def pick(clip: Clip, frames: list[int]) -> Float[Tensor, "n h w 3"]:
    """Some frames of a clip."""
    return torch.cat([clip.frames(frame, frame + 1) for frame in frames])
