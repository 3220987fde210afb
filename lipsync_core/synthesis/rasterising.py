"""Triangles to pixels on the CPU: which triangle each pixel sees, and where in it.

All triangles whose bounds have about one size are tested against all pixels of such bounds at
once; the nearest triangle of a pixel is the smallest of (depth, number) packed in one integer, so
the result does not depend on the order of work.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

_BOXES = (1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""Sides of the boxes that triangles are sorted into, pixels."""
_CANDIDATES = 1 << 20
"""Pixel tests done at once; bounds memory."""
_DEPTH_LEVELS = (1 << 31) - 1
_NUMBER_BITS = 32
_EMPTY = torch.iinfo(torch.int64).max


@dataclass(frozen=True)
class Raster:
    """What every pixel sees."""

    triangle: Int[Tensor, "h w"]
    """Number of the nearest triangle, -1 where there is none."""
    weights: Float[Tensor, "n 3"]
    """Barycentric weights of the covered pixels, in the order of `triangle[covered]`."""

    @property
    def covered(self) -> Bool[Tensor, "h w"]:
        """Where there is a triangle."""
        return self.triangle >= 0

    def interpolate(
        self, values: Float[Tensor, "v d"], triangles: Int[Tensor, "f 3"]
    ) -> Float[Tensor, "n d"]:
        """Values of vertices at the covered pixels."""
        corners = triangles[self.triangle[self.covered]]
        return sum(self.weights[:, i, None] * values[corners[:, i]] for i in range(3))  # type: ignore[return-value]


def rasterise(
    points: Float[Tensor, "v 3"],
    triangles: Int[Tensor, "f 3"],
    height: int,
    width: int,
    two_sided: bool = False,
) -> Raster:
    """Draws `triangles` of `points`: x, y in pixels (centres at +.5), z the depth away from us.

    Seen are triangles whose corners run counter-clockwise on the screen, as ICT-FaceKit's do, or
    all with `two_sided`. Depth is interpolated in the screen, which is exact for 1 / z and for
    parallel projection, and good enough for triangles much smaller than their distance.
    """
    corners = points[triangles].double()
    area = _area(corners[:, 0], corners[:, 1], corners[:, 2])
    low, high = corners[..., :2].amin(dim=1), corners[..., :2].amax(dim=1)
    # The first and the last pixel whose centre lies inside the bounds.
    first = (low - 0.5).ceil().clamp_min(0)
    last = torch.minimum((high - 0.5).floor(), first.new_tensor((width - 1, height - 1)))
    extent = (last - first + 1).amax(dim=1)
    drawn = (last >= first).all(dim=1) & ((area < 0) | ((area != 0) & two_sided))
    buffer = torch.full((height * width,), _EMPTY)
    near, far = _depth_range(corners[drawn])
    smaller = 0
    for side in _BOXES:
        chosen = (drawn & (extent > smaller) & (extent <= side)).nonzero()[:, 0]
        smaller = side
        for numbers in chosen.split(max(1, _CANDIDATES // side**2)):
            pixel, depth, number = _inside(
                corners[numbers], first[numbers], area[numbers], side, height, width
            )
            level = ((depth - near) / (far - near) * _DEPTH_LEVELS).clamp(0, _DEPTH_LEVELS)
            key = (level.long() << _NUMBER_BITS) | numbers[number]
            buffer.scatter_reduce_(0, pixel, key, "amin")
    seen = buffer.view(height, width)
    triangle = torch.where(seen == _EMPTY, -1, seen & ((1 << _NUMBER_BITS) - 1))
    return Raster(triangle, _weights(corners, area, triangle).to(points.dtype))


def _area(
    a: Float[Tensor, "*n 3"], b: Float[Tensor, "*n 3"], c: Float[Tensor, "*n 3"]
) -> Float[Tensor, "*n"]:
    """Twice the signed area on the screen; > 0 is clockwise, as y points down."""
    one, other = b - a, c - a
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]


def _depth_range(corners: Float[Tensor, "f 3 3"]) -> tuple[float, float]:
    if len(corners) == 0:
        return 0.0, 1.0
    near, far = float(corners[..., 2].min()), float(corners[..., 2].max())
    return near, max(far, near + 1e-6)


def _inside(
    corners: Float[Tensor, "f 3 3"],
    first: Float[Tensor, "f 2"],
    area: Float[Tensor, " f"],
    side: int,
    height: int,
    width: int,
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Pixels inside the triangles, their depths, and which of the triangles they are in."""
    steps = torch.arange(side)
    x = (first[:, 0, None, None] + steps).expand(-1, side, -1).flatten(1)
    y = (first[:, 1, None, None] + steps[:, None]).expand(-1, -1, side).flatten(1)
    weights = [
        _edge(corners[:, (i + 1) % 3], corners[:, (i + 2) % 3], x + 0.5, y + 0.5) / area[:, None]
        for i in range(3)
    ]
    inside = (weights[0] >= 0) & (weights[1] >= 0) & (weights[2] >= 0) & (x < width) & (y < height)
    number, place = inside.nonzero(as_tuple=True)
    depth = sum(weights[i][number, place] * corners[number, i, 2] for i in range(3))
    pixel = (y[number, place] * width + x[number, place]).long()
    return pixel, torch.as_tensor(depth, dtype=torch.float64), number


def _edge(
    a: Float[Tensor, "f 3"],
    b: Float[Tensor, "f 3"],
    x: Float[Tensor, "f n"],
    y: Float[Tensor, "f n"],
) -> Float[Tensor, "f n"]:
    """Twice the signed area of (a, b, pixel)."""
    along = b - a
    return along[:, 0, None] * (y - a[:, 1, None]) - along[:, 1, None] * (x - a[:, 0, None])


def _weights(
    corners: Float[Tensor, "f 3 3"], area: Float[Tensor, " f"], triangle: Int[Tensor, "h w"]
) -> Float[Tensor, "n 3"]:
    row, column = (triangle >= 0).nonzero(as_tuple=True)
    number = triangle[row, column]
    pixel = torch.stack([column + 0.5, row + 0.5, torch.zeros(len(row))], dim=1).double()
    seen = corners[number]
    weights = [_area(seen[:, (i + 1) % 3], seen[:, (i + 2) % 3], pixel) for i in range(3)]
    return torch.stack(weights, dim=1) / area[number, None]
