"""Whether it is still the same person: distance of dlib's face descriptors.

The network (D. King, https://github.com/davisking/dlib-models, CC0) sees a chip of 150 pixels that
we cut by our own track, so that no second face detector has a say. Distances of two pictures of one
person are mostly below 0.6, its author's threshold; at 0.5 it still takes some people for another.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..canonical_pose import fit_similarity
from ..crop_geometry import crop_points
from ..errors import ModelError
from ..face.alignment import crop_faces
from ..landmarks import canonical
from ..types import FaceTrack

NAME = "identity distance (dlib ResNet)"
CHIP = 150
PACKAGE = "dlib-bin==20.0.1.post1"
_PADDING = 0.25
_CHIP_LANDMARKS = (263, 362, 33, 133, 2)
_CHIP_POINTS = (
    (0.8595674595992, 0.2134981538014), (0.6460604764104, 0.2289674387677),
    (0.1205750620789, 0.2137274526848), (0.3340850613712, 0.2290642403242),
    (0.4901123135679, 0.6277975316475),
)  # fmt: skip
"""Eye corners and the foot of the nose in dlib's mean face (dlib/image_transforms/interpolation.h,
`get_face_chip_details`), as fractions of the chip without its padding."""


class IdentityNetwork:
    """128 numbers for the person in a picture."""

    def __init__(self, path: Path):
        """From the file of `weights.IDENTITY_NETWORK`; ModelError without dlib, or when the file
        cannot be read."""
        if importlib.util.find_spec("dlib") is None:
            raise ModelError(
                "identity distance needs dlib, which is not installed: "
                f"pip install --no-deps {PACKAGE}"
            )
        import dlib

        # Its names come from compiled code that carries no types.
        library: Any = dlib
        try:
            self._network = library.face_recognition_model_v1(str(path))
        except RuntimeError as error:
            raise ModelError(
                f"{path} holds no dlib face recognition model ({error}): install the package that "
                "carries it again"
            ) from error

    def describe(
        self,
        frames: Float[Tensor, "t h w 3"],
        frame_to_crop: Float[Tensor, "t 2 3"],
        crop_size: int,
    ) -> Float[Tensor, "t 128"]:
        """Descriptors of the face that the matrices lead to, in frames in [0, 1]."""
        chips = crop_faces(frames.float(), chip_matrices(frame_to_crop, crop_size), CHIP)
        pictures = (chips * 255).round().clamp(0, 255).to(torch.uint8).numpy(force=True)
        found = [np.asarray(self._network.compute_face_descriptor(chip)) for chip in pictures]
        return torch.from_numpy(np.stack(found)) if found else torch.zeros(0, 128).double()

    def distances(
        self,
        ours: Float[Tensor, "t h w 3"],
        real: Float[Tensor, "t h w 3"],
        track: FaceTrack,
        span: range,
    ) -> Float[Tensor, " t"]:
        """Of the same frames `span` of two clips; `track` is the real clip's face."""
        matrices = track.frame_to_crop[span.start : span.stop]
        one, other = (self.describe(x, matrices, track.crop_size) for x in (ours, real))
        return (one - other).norm(dim=-1)


def chip_matrices(frame_to_crop: Float[Tensor, "t 2 3"], crop_size: int) -> Float[Tensor, "t 2 3"]:
    """From frame pixels to pixels of dlib's chip, by way of the aligned crop."""
    in_crop = crop_points(canonical(_CHIP_LANDMARKS)[:, :2].double(), crop_size)
    fractions = torch.tensor(_CHIP_POINTS).double()
    in_chip = (fractions + _PADDING) / (1 + 2 * _PADDING) * CHIP
    fit = fit_similarity(in_crop[None], in_chip, torch.ones(len(in_chip)).double())
    linear = (fit.scale[:, None, None] * fit.rotation)[0].double()
    matrices = linear @ frame_to_crop.double()
    matrices[..., 2] += fit.translation[0].double()
    return matrices
