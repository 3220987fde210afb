"""Random changes of aligned crops, so that few speakers under one light teach about many.

Every function takes its randomness from the generator alone.
"""

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional


def random_uniform(
    count: int, low: float, high: float, generator: torch.Generator
) -> Float[Tensor, " b"]:
    """`count` numbers in [low, high)."""
    return low + (high - low) * torch.rand(count, generator=generator)


def colour_changes(
    count: int, generator: torch.Generator, strength: float = 1.0
) -> tuple[Float[Tensor, "b 3 3"], Float[Tensor, "b 3"], Float[Tensor, " b"]]:
    """Random (matrix, offset, gamma): hue, saturation, white balance, contrast and brightness.

    A fifth of them keep the colours as they are. Kept apart from `change_colours`, because the
    crops of one person under one light must change alike.
    """
    angle = random_uniform(count, -0.25, 0.25, generator) * strength
    saturation = 1 + random_uniform(count, -0.5, 0.3, generator) * strength
    gain = 1 + random_uniform(count, -0.25, 0.25, generator) * strength
    balance = 1 + (torch.rand(count, 3, generator=generator) - 0.5) * 0.24 * strength
    offset = random_uniform(count, -0.12, 0.12, generator) * strength
    gamma = torch.exp(random_uniform(count, -0.4, 0.4, generator) * strength)
    # A rotation about the grey axis (Rodrigues' formula) turns the hue.
    grey = torch.full((3, 3), 1 / 3)
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    cosine, sine = (f(angle)[:, None, None] for f in (torch.cos, torch.sin))
    turn = grey + cosine * (torch.eye(3) - grey) + sine * cross
    saturated = grey + saturation[:, None, None] * (torch.eye(3) - grey)
    matrix = (gain[:, None] * balance)[:, :, None] * (saturated @ turn)
    keep = torch.rand(count, generator=generator) < 0.2
    matrix = torch.where(keep[:, None, None], torch.eye(3), matrix)
    offset = torch.where(keep, 0.0, offset)[:, None].expand(-1, 3)
    return matrix, offset, torch.where(keep, 1.0, gamma)


def change_colours(
    crops: Float[Tensor, "b 3 h w"],
    matrix: Float[Tensor, "b 3 3"],
    offset: Float[Tensor, "b 3"],
    gamma: Float[Tensor, " b"],
) -> Float[Tensor, "b 3 h w"]:
    """`crops` in [0, 1] with other colours, in [0, 1]; contrast turns about mid-grey."""
    changed = torch.einsum("bij,bjhw->bihw", matrix, crops - 0.5) + 0.5 + offset[:, :, None, None]
    return changed.clamp(1e-4, 1).pow(gamma[:, None, None, None])


def random_similarities(
    count: int, generator: torch.Generator, scale: float, turn: float, shift: float
) -> Float[Tensor, "b 2 3"]:
    """Random similarities in grid_sample's coordinates, from places of the output to the input's.

    `scale` is the largest log-scale, `turn` the largest angle in radians, `shift` the largest
    shift as a fraction of the crop's side.
    """
    factor = torch.exp(random_uniform(count, -scale, scale, generator))
    angle = random_uniform(count, -turn, turn, generator)
    moved = (torch.rand(count, 2, 1, generator=generator) * 2 - 1) * 2 * shift
    cosine, sine = factor * torch.cos(angle), factor * torch.sin(angle)
    rotation = torch.stack([cosine, -sine, sine, cosine], 1).reshape(-1, 2, 2)
    return torch.cat([rotation, moved], 2)


def warp(
    crops: Float[Tensor, "b 3 h w"], similarities: Float[Tensor, "b 2 3"]
) -> Float[Tensor, "b 3 h w"]:
    """`crops` seen through `similarities`; the border is repeated outwards."""
    grid = functional.affine_grid(similarities, list(crops.shape), align_corners=False)
    warped = functional.grid_sample(crops, grid, "bicubic", "border", align_corners=False)
    return warped.clamp(0, 1)


def windows(
    crops: Float[Tensor, "b c h w"], left: Int[Tensor, " b"], top: Int[Tensor, " b"], size: int
) -> Float[Tensor, "b c s s"]:
    """The size x size windows of `crops` whose upper left pixels are (left, top)."""
    return torch.stack(
        [crop[:, y : y + size, x : x + size] for crop, x, y in zip(crops, left, top, strict=True)]
    )


def degrade(
    crops: Float[Tensor, "b 3 h w"], chosen: Bool[Tensor, " b"], size: float
) -> Float[Tensor, "b 3 h w"]:
    """The `chosen` crops through `size` of their size and back: many pictures are soft."""
    if not chosen.any():
        return crops
    small = functional.interpolate(crops[chosen], scale_factor=size, mode="area")
    crops = crops.clone()
    crops[chosen] = functional.interpolate(
        small, size=crops.shape[-1], mode="bilinear", align_corners=False
    )
    return crops


def smooth_fields(
    count: int, channels: int, knots: int, size: int, generator: torch.Generator
) -> Float[Tensor, "b channels size size"]:
    """Random smooth fields of about unit variance with `knots` features to a side."""
    coarse = torch.randn(count, channels, knots, knots, generator=generator)
    return functional.interpolate(coarse, size=size, mode="bicubic", align_corners=False)


def face_shapes(
    count: int, size: int, generator: torch.Generator, strength: float
) -> Float[Tensor, "b size size 2"]:
    """Random smooth deformations as grids for grid_sample: other proportions, another face.

    Widths and heights change by up to 12 %, places by about 3 % of the crop's side.
    """
    stretch = torch.exp((torch.rand(count, 2, generator=generator) - 0.5) * 0.24 * strength)
    similarities = torch.diag_embed(stretch)
    similarities = torch.cat([similarities, torch.zeros(count, 2, 1)], 2)
    grid = functional.affine_grid(similarities, [count, 1, size, size], align_corners=False)
    moved = smooth_fields(count, 2, 5, size, generator) * 0.05 * strength
    return grid + moved.permute(0, 2, 3, 1)


def skin_textures(
    count: int, size: int, generator: torch.Generator, strength: float
) -> Float[Tensor, "b 3 size size"]:
    """Random factors per pixel: light, blotches and fine marks that only a reference can tell."""
    light = smooth_fields(count, 1, 3, size, generator) * 0.15
    blotches = smooth_fields(count, 1, 12, size, generator) * 0.06
    tints = smooth_fields(count, 3, 8, size, generator) * 0.04
    marks = smooth_fields(count, 1, size // 3, size, generator) * 0.03
    return torch.exp((light + blotches + tints + marks) * strength)
