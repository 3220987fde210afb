"""Crops that come back from upscalers and face restorers, in any size: they lie where they lay."""

import math

import pytest
import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional

from lipsync_core.compositing.blending import composite
from lipsync_core.compositing.place import composite_mask
from lipsync_core.face.alignment import crop_faces

SIDE, CROP, SCALE = 240, 64, 2.2
"""Of the frame and of the renderer's crop, pixels; frame pixels for each crop pixel."""
SEEN = torch.tensor([True])


def frame_to_crop(crop_size: int) -> Tensor:
    """The same face in crops of any size."""
    unit = crop_size / CROP / SCALE
    cos, sin = unit * math.cos(0.1), unit * math.sin(0.1)
    linear = torch.tensor([[cos, -sin], [sin, cos]])
    offset = crop_size / 2 - linear @ torch.tensor([SIDE / 2 + 0.4, SIDE / 2 - 0.3])
    return torch.cat([linear, offset[:, None]], dim=1)[None]


def spoken() -> Tensor:
    """The frame with another picture about the mouth."""
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    far = (x - SIDE / 2) ** 2 + (y - SIDE / 2 - 0.16 * CROP * SCALE) ** 2
    window = torch.exp(-far / (2 * (0.07 * CROP * SCALE) ** 2))[None, ..., None]
    return torch.lerp(smooth_frame(0), smooth_frame(1), window)


def smooth_frame(seed: int) -> Tensor:
    coarse = torch.rand(1, 3, 14, 14, generator=torch.Generator().manual_seed(seed))
    wide = functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic", align_corners=False)
    return rearrange(0.2 + 0.6 * wide.clamp(0, 1), "1 c h w -> 1 h w c")


def enlarged(crops: Tensor, size: int, **how) -> Tensor:
    images = rearrange(crops, "t h w c -> t c h w")
    resized = functional.interpolate(images, (size, size), **how)
    return rearrange(resized, "t c h w -> t h w c").clamp(0, 1)


def shift(ours: Tensor, real: Tensor, where: Tensor) -> Tensor:
    """How far the picture lies to the right and below, pixels (Lucas and Kanade 1981)."""
    down, right = (torch.gradient(real[0], dim=axis)[0][where].flatten() for axis in (0, 1))
    slopes = torch.stack([right, down], dim=1)
    return -torch.linalg.lstsq(slopes, (ours - real)[0][where].flatten()[:, None]).solution[:, 0]


def put_back(crops: Tensor) -> tuple[Tensor, Tensor]:
    """The crops composited, and where the mouth is."""
    size = crops.shape[1]
    frames, matrix = smooth_frame(0), frame_to_crop(size)
    result = composite(frames, crops, crop_faces(frames, matrix, size), matrix, SEEN)
    return result, composite_mask(matrix, size, SEEN, SIDE, SIDE)[0] > 0.9


def drawn() -> Tensor:
    """What a renderer draws."""
    return crop_faces(spoken(), frame_to_crop(CROP), CROP)


def test_the_measure_sees_a_shift():
    frames = smooth_frame(1)
    where = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    where[80:160, 80:160] = True
    moved = (frames + frames.roll(1, 2)) / 2
    assert shift(moved, frames, where).tolist() == pytest.approx([0.5, 0.0], abs=0.03)


def drift(crops: Tensor) -> Tensor:
    """Of the lips, in pixels of the renderer's crop, to the right and below."""
    result, where = put_back(crops)
    return shift(result, spoken(), where) / SCALE


def test_the_renderers_own_crop_lies_where_it_was_cut():
    assert drift(drawn()).abs().max() < 0.05


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [2 * CROP, 4 * CROP, 127, 511])
def test_an_upscaled_crop_lies_where_it_lay(size, mode):
    crops = enlarged(drawn(), size, mode=mode, align_corners=False)
    assert (drift(crops) - drift(drawn())).abs().max() < 0.03


@pytest.mark.parametrize("size", [2 * CROP, 4 * CROP, 511])
def test_a_crop_whose_corners_were_pinned_moves_by_less_than_a_sixth_of_a_pixel(size):
    """Pinning the corner pixels instead of the edges stretches a picture about its centre, by one
    pixel of the small crop from side to side; the mouth lies .16 of a side below the centre."""
    crops = enlarged(drawn(), size, mode="bicubic", align_corners=True)
    right, below = (drift(crops) - drift(drawn())).tolist()
    assert abs(right) < 0.05
    assert 0.05 < below < 0.17


def test_a_restorer_that_shifts_its_picture_shifts_the_lips_by_as_much():
    size = 4 * CROP
    crops = enlarged(drawn(), size, mode="bicubic", align_corners=False)
    right, below = (drift(crops.roll(2, 2)) - drift(crops)).tolist()
    assert right == pytest.approx(2 / 4, abs=0.1)
    assert below == pytest.approx(0.0, abs=0.05)
