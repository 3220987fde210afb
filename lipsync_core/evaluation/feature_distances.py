"""What networks that judge pictures say of a clip beside the real one, over clips of any length.

All three networks come from optional packages and serve nothing but evaluation: see
`weights.EVALUATION_WEIGHTS`. Neighbouring frames say the same, so that only some are looked at.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from .. import weights
from ..crop_geometry import MASK_POLYGON, crop_points
from ..face.alignment import crop_faces
from ..types import FaceTrack
from . import frechet_distance, identity_distance, perceptual_distance
from .efficientnet import FEATURES, SIZE, EfficientNetLite0
from .frechet_distance import FeatureMoments
from .identity_distance import IdentityNetwork
from .perceptual_distance import PerceptualNetwork
from .results import Measure

EVERY = 5
"""Of this many frames one is looked at, the first of the clip to begin with."""
PERCEPTUAL_CROP = 256
"""Side in pixels of the aligned crop out of which the mask's box is cut."""
PERCEPTUAL_MASK = f"{perceptual_distance.NAME} mask"
PERCEPTUAL_FRAME = f"{perceptual_distance.NAME} frame"
LARGEST_FRAME = 512
"""Longer side in pixels to which whole frames are shrunk for the perceptual distance."""
MEASURES = (
    Measure(
        PERCEPTUAL_FRAME, "", "lower",
        "Distance of a network's features, whole frame of at most 512 pixels. Not LPIPS.",
    ),
    Measure(
        PERCEPTUAL_MASK, "", "lower",
        "The same in the mask's box of the aligned crop at 256 pixels. Not LPIPS.",
    ),
    Measure(
        identity_distance.NAME, "", "lower",
        "Of face descriptors; below 0.6 mostly the same person.",
    ),
)  # fmt: skip
"""Of one clip; FRECHET is of all."""
FRECHET = Measure(
    frechet_distance.NAME, "", "lower", "Between all our faces and all real ones. Not FID."
)


@dataclass(frozen=True)
class JudgingNetworks:
    """The networks that look at pictures."""

    perceptual: PerceptualNetwork
    identity: IdentityNetwork
    distribution: EfficientNetLite0

    @classmethod
    def load(cls, folders: Sequence[Path] = ()) -> "JudgingNetworks":
        """Found as `weights.find` does; ModelError names the package that is missing."""
        return cls(
            PerceptualNetwork.load(weights.find(weights.PERCEPTUAL_NETWORK, folders)),
            IdentityNetwork(weights.find(weights.IDENTITY_NETWORK, folders)),
            EfficientNetLite0.load(weights.find(weights.DISTRIBUTION_NETWORK, folders)),
        )


class FeatureMeter:
    """Compares a clip with the real one, chunk after chunk; `track` is the real clip's face."""

    def __init__(self, networks: JudgingNetworks, track: FaceTrack, every: int = EVERY):
        self._networks, self._track, self._every = networks, track, every
        self._distances: dict[str, list[float]] = {measure.name: [] for measure in MEASURES}
        self.ours, self.real = FeatureMoments.none(FEATURES), FeatureMoments.none(FEATURES)
        """Moments of the aligned faces' features: add them up over clips for `frechet_distance`."""

    @torch.no_grad()
    def add(
        self, ours: Float[Tensor, "t h w 3"], real: Float[Tensor, "t h w 3"], span: range
    ) -> None:
        """Frames `span` of both clips, in [0, 1]. Frames without a visible face count only for the
        whole frame's distance. ValueError when shapes do not fit."""
        if ours.shape != real.shape or len(ours) != len(span):
            raise ValueError(
                f"{tuple(ours.shape)} frames against {tuple(real.shape)} for {len(span)} places: "
                "both clips need the same frames, of one size"
            )
        features = [
            self._add_frame(index, one[None], other[None])
            for index, one, other in zip(span, ours, real, strict=True)
            if index % self._every == 0
        ]
        if seen := [pair for pair in features if pair is not None]:
            our_features, real_features = torch.stack(seen, 1)
            self.ours += FeatureMoments.of(our_features)
            self.real += FeatureMoments.of(real_features)

    def figures(self) -> dict[str, float]:
        """Means over the frames looked at, by the names of MEASURES; nan of none."""
        return {
            name: sum(values) / len(values) if values else math.nan
            for name, values in self._distances.items()
        }

    def _add_frame(
        self, index: int, ours: Float[Tensor, "1 h w 3"], real: Float[Tensor, "1 h w 3"]
    ) -> Float[Tensor, "2 d"] | None:
        """Adds the frame's distances; features of both faces, None where none is visible."""
        networks = self._networks
        distance = networks.perceptual(_shrunk(ours), _shrunk(real))
        self._distances[PERCEPTUAL_FRAME].append(float(distance))
        if not self._track.visible[index]:
            return None
        place = range(index, index + 1)
        distance = networks.perceptual(
            *(self._crops(frame, index, PERCEPTUAL_CROP)[mask_box()] for frame in (ours, real))
        )
        self._distances[PERCEPTUAL_MASK].append(float(distance))
        distance = networks.identity.distances(ours, real, self._track, place)
        self._distances[identity_distance.NAME].append(float(distance))
        faces = torch.cat([self._crops(frame, index, SIZE) for frame in (ours, real)])
        return networks.distribution(faces)

    def _crops(self, frame: Float[Tensor, "1 h w 3"], index: int, size: int) -> Tensor:
        matrices = self._track.resized(size).frame_to_crop[index : index + 1]
        return crop_faces(frame.float(), matrices, size)


def mask_box() -> tuple[slice, slice, slice]:
    """What cuts the box of the mask out of crops of PERCEPTUAL_CROP."""
    corners = crop_points(torch.tensor(MASK_POLYGON), PERCEPTUAL_CROP)
    left, top = corners.amin(0).floor().int().tolist()
    right, bottom = corners.amax(0).ceil().int().tolist()
    return slice(None), slice(top, bottom), slice(left, right)


def _shrunk(frames: Float[Tensor, "t h w 3"]) -> Float[Tensor, "t y x 3"]:
    scale = LARGEST_FRAME / max(frames.shape[1:3])
    if scale >= 1:
        return frames.float()
    size = [round(side * scale) for side in frames.shape[1:3]]
    shrunk = torch.nn.functional.interpolate(
        frames.float().movedim(-1, 1), size, mode="bilinear", antialias=True
    )
    return shrunk.movedim(1, -1)
