"""Prepared clips as a source of crops: who is in them, and drawing people evenly enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from ..crop_geometry import CROP_LEFT, CROP_SIDE, CROP_TOP, crop_mask
from ..landmarks import STABLE, tracked
from ..render.references import points_in_crops
from .prepared import read_prepared

MOUTH_BOX = (-0.42, 0.62, 0.42, 1.30)
"""Left, top, right, bottom of where lips and teeth are seen: canonical face, eye distances."""


@dataclass(frozen=True)
class CropClip:
    """The crops of one prepared clip; they stay on disk until they are read."""

    name: str
    person: str
    fps: float
    crops: UInt8[Tensor, "t s s 3"]
    visible: Int[Tensor, " t"]
    """The numbers of the frames in which the face is seen."""
    points: Float[Tensor, "t k 2"]
    """TRACKED landmarks in the crops, as fractions of their side."""

    @property
    def poses(self) -> Float[Tensor, "t p"]:
        """How the head is turned, see `render.references.crop_poses`."""
        return self.points[:, tracked(STABLE)].flatten(1)


def read_crop_clips(prepared: Path, split: str) -> list[CropClip]:
    """The clips of `split` under `prepared`, by path; TrainingError when there are none."""
    clips = [
        CropClip(
            name=clip.name,
            person=clip.person,
            fps=float(clip.fps),
            # Memory-mapped: what is not looked at is not read.
            crops=clip.read("crops"),
            visible=clip.read("visible").nonzero()[:, 0],
            points=points_in_crops(
                clip.read("landmarks"), clip.read("frame_to_crop"), clip.crop_size
            ),
        )
        for clip in read_prepared(prepared, split)
    ]
    return [clip for clip in clips if len(clip.visible)]


def clip_weights(clips: Sequence[CropClip], balance: float) -> Float[Tensor, " n"]:
    """How often to draw each clip: a person with f frames gets a share of f ** balance, which is
    split over the person's clips by their length. 1 draws all frames alike, 0 all people."""
    frames: dict[str, int] = {}
    for clip in clips:
        frames[clip.person] = frames.get(clip.person, 0) + len(clip.visible)
    weights = [len(clip.visible) * frames[clip.person] ** (balance - 1) for clip in clips]
    return torch.tensor(weights, dtype=torch.float64).float()


def network_images(crops: UInt8[Tensor, "b s s 3"]) -> Float[Tensor, "b 3 s s"]:
    """Stored crops as floats in [0, 1], channels first."""
    return rearrange(crops, "b h w c -> b c h w").float() / 255


def resized(crops: Float[Tensor, "b 3 s s"], size: int) -> Float[Tensor, "b 3 size size"]:
    """`crops` in [0, 1] at another size."""
    if crops.shape[-1] == size:
        return crops
    other = functional.interpolate(
        crops, size=size, mode="bicubic", align_corners=False, antialias=True
    )
    return other.clamp(0, 1)


def mouth_box(size: int) -> tuple[slice, slice]:
    """(rows, columns) of the mouth in a picture or latent of a whole crop, `size` a side."""
    left, top, right, bottom = MOUTH_BOX
    scale = size / CROP_SIDE
    rows = slice(int((top - CROP_TOP) * scale), round((bottom - CROP_TOP) * scale))
    columns = slice(int((left - CROP_LEFT) * scale), round((right - CROP_LEFT) * scale))
    return rows, columns


def pixel_weights(crop_size: int, outside: float, inside: float, mouth: float) -> Tensor:
    """How much each pixel of a crop counts (s s): outside the mask, inside it, in the mouth box."""
    weights = outside + (inside - outside) * crop_mask(crop_size)
    weights[mouth_box(crop_size)] = mouth
    return weights


def psnr(images: Float[Tensor, "b 3 h w"], target: Float[Tensor, "b 3 h w"]) -> Float[Tensor, " b"]:
    """Peak signal-to-noise ratio per image in dB, for images in [0, 1]."""
    return -10 * (images - target).square().mean((1, 2, 3)).clamp_min(1e-10).log10()


def gradient_energy(images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, ""]:
    """Mean squared difference of neighbouring pixels: how sharp pictures are."""
    horizontal = (images[..., 1:] - images[..., :-1]).square().mean()
    vertical = (images[..., 1:, :] - images[..., :-1, :]).square().mean()
    return horizontal + vertical
