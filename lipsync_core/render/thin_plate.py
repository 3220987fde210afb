"""Pictures bent smoothly, so that given points come to lie where they are wanted.

Thin-plate splines (Bookstein, "Principal warps", IEEE PAMI 11(6), 1989): of all maps that take the
points there the one that bends least. They need not be met exactly (the smoothing of Wahba, "Spline
models for observational data", 1990): lips that were shut in the picture and shall open would tear
it apart.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

SMOOTHING = 3e-3
"""Added to the spline's diagonal; points are in fractions of the picture's side."""
_GRID = 48
"""Places along a side (fewer for small pictures) at which the spline is evaluated; between
them it is interpolated."""
_AT_ONCE = 16
"""Pictures: their splines at all places of the grid are 25 MB."""
_BORDER = (
    (0.0, 0.0), (0.5, 0.0), (1.0, 0.0), (0.0, 0.5), (1.0, 0.5), (0.0, 1.0), (0.5, 1.0), (1.0, 1.0),
)  # fmt: skip
"""Stay where they are."""


def bend(
    pictures: Float[Tensor, "b c s s"],
    found: Float[Tensor, "b k 2"],
    wanted: Float[Tensor, "b k 2"],
    smoothing: float = SMOOTHING,
) -> Float[Tensor, "b c s s"]:
    """`pictures` with what is seen at `found` brought to about `wanted`.

    Points are (x, y) in fractions of the side, pixel centres at +.5; the border repeats outwards.
    """
    parts = zip(
        pictures.split(_AT_ONCE), found.split(_AT_ONCE), wanted.split(_AT_ONCE), strict=True
    )
    return torch.cat([_bent(*part, smoothing) for part in parts])


def _bent(
    pictures: Float[Tensor, "b c s s"],
    found: Float[Tensor, "b k 2"],
    wanted: Float[Tensor, "b k 2"],
    smoothing: float,
) -> Float[Tensor, "b c s s"]:
    size = pictures.shape[-1]
    places = _places(min(_GRID, size // 3))
    moved = _moves(wanted.double(), found.double(), places, smoothing).to(pictures)
    moved = functional.interpolate(
        rearrange(moved, "b y x two -> b two y x"), size, mode="bicubic", align_corners=False
    )
    grid = _places(size).to(pictures) + rearrange(moved, "b two y x -> b y x two")
    grid = 2 * grid - 1
    bent = functional.grid_sample(pictures, grid, "bicubic", "border", align_corners=False)
    # Cubic interpolation overshoots at edges.
    low, high = pictures.amin((2, 3), keepdim=True), pictures.amax((2, 3), keepdim=True)
    return bent.clamp(low, high)


def _moves(
    points: Float[Tensor, "b k 2"],
    values: Float[Tensor, "b k 2"],
    places: Float[Tensor, "y x 2"],
    smoothing: float,
) -> Float[Tensor, "b y x 2"]:
    """How far from each of `places` that lies which comes there: the spline that is about
    `values` minus `points` at `points`."""
    border = points.new_tensor(_BORDER).expand(len(points), -1, -1)
    points, values = torch.cat([points, border], 1), torch.cat([values, border], 1)
    count = points.shape[1]
    flat = _with_one(points)
    system = points.new_zeros(len(points), count + 3, count + 3)
    system[:, :count, :count] = _kernel(points, points)
    system[:, :count, :count] += smoothing * torch.eye(count).to(points)
    system[:, :count, count:], system[:, count:, :count] = flat, flat.mT
    weights = torch.linalg.solve(system, functional.pad(values - points, (0, 0, 0, 3)))
    # Solved in 64 bits; at the many places 32 are enough, and twice as fast.
    grid = rearrange(places.to(points.device), "y x two -> 1 (y x) two").expand(len(points), -1, -1)
    points, weights = points.to(grid), weights.to(grid)
    moved = _kernel(grid, points) @ weights[:, :count] + _with_one(grid) @ weights[:, count:]
    return rearrange(moved, "b (y x) two -> b y x two", y=len(places))


def _places(size: int) -> Float[Tensor, "size size 2"]:
    """The pixel centres of a picture."""
    line = (torch.arange(size) + 0.5) / size
    return torch.stack(torch.meshgrid(line, line, indexing="xy"), -1)


def _kernel(a: Float[Tensor, "b i 2"], b: Float[Tensor, "b j 2"]) -> Float[Tensor, "b i j"]:
    """r^2 log r."""
    square = torch.cdist(a, b).square()
    return 0.5 * square * square.clamp_min(1e-12).log()


def _with_one(points: Float[Tensor, "b k 2"]) -> Float[Tensor, "b k 3"]:
    return functional.pad(points, (1, 0), value=1.0)
