"""Where on a face kit our landmarks lie: each is a point of one triangle of the head.

The shipped map was made by `fitting.fit_landmark_map` for ICT-FaceKit.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float, Int
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..checkpoint import save_tensors
from ..errors import ModelError
from ..landmarks import TRACKED
from .face_kit import FaceKit

SHIPPED = Path(__file__).with_name("landmark_map.safetensors")


@dataclass(frozen=True)
class LandmarkMap:
    """The TRACKED landmarks as weighted sums of three vertices each."""

    vertices: Int[Tensor, "k 3"]
    weights: Float[Tensor, "k 3"]
    """Barycentric: >= 0, sum 1."""
    vertex_count: int
    """Of the head that it belongs to."""

    def landmarks(self, vertices: Float[Tensor, "t v 3"]) -> Float[Tensor, "t k 3"]:
        """The landmarks of a whole head's vertices, in their unit."""
        return (vertices[:, self.vertices] * self.weights[..., None]).sum(dim=-2)

    def of_expressions(
        self, kit: FaceKit, identity: Float[Tensor, " n"], expression: Float[Tensor, "t e"]
    ) -> Float[Tensor, "t k 3"]:
        """The landmarks over time in cm, computed from their own vertices alone."""
        self.check(kit)
        corners = kit.vertices(identity, expression, self.vertices.flatten())
        return (corners.unflatten(1, (-1, 3)) * self.weights[..., None]).sum(dim=-2)

    def check(self, kit: FaceKit) -> None:
        """Raises ModelError when the map was made for another head."""
        if len(kit.neutral) != self.vertex_count:
            raise ModelError(
                f"the face kit has {len(kit.neutral)} vertices, the landmark map was made for "
                f"{self.vertex_count}: use the kit that it was made for, or fit another map"
            )


def save_landmark_map(path: Path, landmark_map: LandmarkMap) -> None:
    """Writes a map that `load_landmark_map` reads."""
    tensors = {"vertices": landmark_map.vertices.int(), "weights": landmark_map.weights.float()}
    metadata = {"vertex_count": str(landmark_map.vertex_count)}
    save_tensors(path, tensors | {"count": torch.tensor([landmark_map.vertex_count])}, metadata)


@cache
def load_landmark_map(path: Path = SHIPPED) -> LandmarkMap:
    """The map in `path`; ModelError when it is missing, damaged or not of our landmarks."""
    try:
        tensors = load_file(path)
        vertices, weights = tensors["vertices"].long(), tensors["weights"]
        count = int(tensors["count"])
    except (SafetensorError, OSError, KeyError) as error:
        raise ModelError(f"{path} is no landmark map ({error}): get it again") from error
    if vertices.shape != (len(TRACKED), 3) or weights.shape != vertices.shape:
        raise ModelError(f"{path} maps {len(vertices)} landmarks, {len(TRACKED)} are tracked")
    return LandmarkMap(vertices, weights, count)
