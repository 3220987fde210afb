"""What depth the face landmarker would report for a motion that is known in full.

A landmarker sees one picture: it guesses the depth of lips and jaw from where they are in it. Of
lips that really protrude it reports a tenth. Motion that stands beside measured motion must have
the same guessed depth, which is nearly a linear function of the motion in the picture's plane.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from ..checkpoint import save_tensors
from ..errors import ModelError
from ..landmarks import MOVING, TRACKED, tracked

SHIPPED = Path(__file__).with_name("landmarker_depth.safetensors")


@dataclass(frozen=True)
class LandmarkerDepth:
    """Made by `fit_landmarker_depth` from rendered heads and what was measured in them."""

    depth: Float[Tensor, "xy points"]
    """Depth of every MOVING landmark per x and y of all of them."""
    offset: Float[Tensor, " k"]
    """By how much deeper than the surface the landmarker puts every TRACKED landmark, eye
    distances."""

    def motion(self, true: Float[Tensor, "t points 3"]) -> Float[Tensor, "t points 3"]:
        """A motion with the depth that would have been measured, eye distances."""
        guessed = true[..., :2].flatten(1) @ self.depth.to(true)
        return torch.cat([true[..., :2], guessed[..., None]], dim=-1)

    def neutral(self, true: Float[Tensor, "k 3"]) -> Float[Tensor, "k 3"]:
        """A resting shape with the depth that would have been measured."""
        moved = true.clone()
        moved[:, 2] += self.offset.to(true)
        return moved


def fit_landmarker_depth(
    measured: list[Float[Tensor, "_ points 3"]],
    true: list[Float[Tensor, "_ points 3"]],
    ridge: float = 0.003,
) -> LandmarkerDepth:
    """From the absolute MOVING points of clips, measured and true, in the canonical face.

    Each clip counts with its motion about its own mean; `ridge` is relative to the mean square of
    the motion.
    """
    about_mean = [
        (m - m.mean(dim=0), t - t.mean(dim=0)) for m, t in zip(measured, true, strict=True)
    ]
    plane = torch.cat([t[..., :2].flatten(1) for _, t in about_mean]).double()
    depth = torch.cat([m[..., 2] for m, _ in about_mean]).double()
    gram = plane.T @ plane
    penalty = ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
    weights = torch.linalg.solve(gram + penalty, plane.T @ depth)
    away = [
        m[..., 2].mean(dim=0) - t[..., 2].mean(dim=0) for m, t in zip(measured, true, strict=True)
    ]
    offset = torch.zeros(len(TRACKED))
    offset[tracked(MOVING)] = torch.stack(away).mean(dim=0).float()
    return LandmarkerDepth(weights.float(), offset)


def save_landmarker_depth(path: Path, depth: LandmarkerDepth) -> None:
    """Writes what `load_landmarker_depth` reads."""
    save_tensors(path, {"depth": depth.depth, "offset": depth.offset}, {"format": "pt"})


@cache
def load_landmarker_depth(path: Path = SHIPPED) -> LandmarkerDepth:
    """The fit in `path`; ModelError when it is missing or damaged."""
    try:
        tensors = load_file(path)
        return LandmarkerDepth(tensors["depth"], tensors["offset"])
    except (SafetensorError, OSError, KeyError) as error:
        raise ModelError(f"{path} is no fit of the landmarker's depth ({error})") from error
