"""Grey pictures of the mouth out of aligned crops, for an expert that sees pixels."""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn

from ..crop_geometry import crop_points
from .expert import PICTURE_HEIGHT, PICTURE_WIDTH

MOUTH_LEFT, MOUTH_TOP, MOUTH_WIDTH = -0.49, 0.56, 0.98
"""Of the picture, in the canonical face, eye distances; its height follows from its shape."""
_LUMA = (0.299, 0.587, 0.114)


def mouth_pictures(crops: Float[Tensor, "t s s 3"]) -> Float[Tensor, "t h w"]:
    """Luma in [0, 1] of the fixed mouth region, PICTURE_HEIGHT x PICTURE_WIDTH; the region is the
    same in every crop, so that it tells nothing of the mouth's shape."""
    size = crops.shape[1]
    height = MOUTH_WIDTH * PICTURE_HEIGHT / PICTURE_WIDTH
    corners = torch.tensor(
        [[MOUTH_LEFT, MOUTH_TOP], [MOUTH_LEFT + MOUTH_WIDTH, MOUTH_TOP + height]]
    )
    low, high = crop_points(corners, size) * (2 / size) - 1
    columns = _centres(PICTURE_WIDTH) * (high[0] - low[0]) + low[0]
    rows = _centres(PICTURE_HEIGHT) * (high[1] - low[1]) + low[1]
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1).to(crops)
    grey = rearrange(crops @ crops.new_tensor(_LUMA), "t h w -> t 1 h w")
    grid = grid.expand(len(crops), -1, -1, -1)
    return nn.functional.grid_sample(grey, grid, align_corners=False)[:, 0]


def _centres(count: int) -> Float[Tensor, " n"]:
    return (torch.arange(count) + 0.5) / count
