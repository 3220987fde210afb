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
_TOLERANCE = 1e-5
"""By how much a pixel may lie outside: neighbours share their edges' pixels, and leave no gap."""
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
    corners = points[triangles].float()
    low, high = corners[..., :2].amin(dim=1), corners[..., :2].amax(dim=1)
    # The first and the last pixel whose centre lies inside the bounds.
    first = (low - 0.5).ceil().clamp_min(0)
    last = torch.minimum((high - 0.5).floor(), first.new_tensor((width - 1, height - 1)))
    area = _area(corners)
    faces_us = (area < 0) | ((area != 0) & two_sided)
    drawn = ((last >= first).all(dim=1) & faces_us).nonzero()[:, 0]
    corners, first, last = corners[drawn], first[drawn], last[drawn]
    extent = (last - first + 1).amax(dim=1)
    near, far = _depth_range(corners)
    level = (corners[..., 2].double() - near) / (far - near) * _DEPTH_LEVELS
    setup = _setup(corners, first)
    buffer = torch.full((height * width,), _EMPTY)
    smaller = 0
    for side in _BOXES:
        chosen = ((extent > smaller) & (extent <= side)).nonzero()[:, 0]
        smaller = side
        if len(chosen) == 0:
            continue
        for numbers in chosen.split(max(1, _CANDIDATES // side**2)):
            pixel, depth, number = _inside(
                setup[numbers], level[numbers], first[numbers], last[numbers], side, width
            )
            key = (depth.clamp(0, _DEPTH_LEVELS).long() << _NUMBER_BITS) | numbers[number]
            buffer.scatter_reduce_(0, pixel, key, "amin")
    seen = buffer.view(height, width)
    covered = seen != _EMPTY
    number = seen[covered] & ((1 << _NUMBER_BITS) - 1)
    triangle = torch.full((height, width), -1)
    triangle[covered] = drawn[number]
    row, column = covered.nonzero(as_tuple=True)
    place = torch.stack([column, row], dim=1) - first[number]
    return Raster(triangle, _weights(setup[number], place))


def _area(corners: Float[Tensor, "f 3 3"]) -> Float[Tensor, " f"]:
    """Twice the signed area on the screen; > 0 is clockwise, as y points down."""
    one, other = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    return one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0]


def _setup(corners: Float[Tensor, "f 3 3"], first: Float[Tensor, "f 2"]) -> Float[Tensor, "f 2 3"]:
    """The first two barycentric weights as a x + b y + c, with x and y in whole pixels from each
    triangle's first: numbers stay small and float32 suffices."""
    local = corners[..., :2] - (first + 0.5)[:, None]
    rows = []
    area = _area(corners)
    for one, other in ((1, 2), (2, 0)):
        start, along = local[:, one], local[:, other] - local[:, one]
        constant = along[:, 1] * start[:, 0] - along[:, 0] * start[:, 1]
        rows.append(torch.stack([-along[:, 1], along[:, 0], constant], dim=1) / area[:, None])
    return torch.stack(rows, dim=1)


def _depth_range(corners: Float[Tensor, "f 3 3"]) -> tuple[float, float]:
    if len(corners) == 0:
        return 0.0, 1.0
    near, far = float(corners[..., 2].min()), float(corners[..., 2].max())
    return near, max(far, near + 1e-6)


def _inside(
    setup: Float[Tensor, "f 2 3"],
    level: Float[Tensor, "f 3"],
    first: Float[Tensor, "f 2"],
    last: Float[Tensor, "f 2"],
    side: int,
    width: int,
) -> tuple[Int[Tensor, " n"], Float[Tensor, " n"], Int[Tensor, " n"]]:
    """Pixels inside the triangles, their depth levels, and which of the triangles they are in."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    x, y = x.flatten().float(), y.flatten().float()
    a, b, c = setup.unbind(dim=2)
    one = a[:, :1] * x + (b[:, :1] * y + c[:, :1])
    other = a[:, 1:] * x + (b[:, 1:] * y + c[:, 1:])
    inside = (one >= -_TOLERANCE) & (other >= -_TOLERANCE) & (one + other <= 1 + _TOLERANCE)
    size = last - first
    inside &= (x <= size[:, :1]) & (y <= size[:, 1:])
    number, place = inside.nonzero(as_tuple=True)
    weights = one[number, place], other[number, place]
    corner = level[number]
    depth = corner[:, 2] + sum(w * (corner[:, i] - corner[:, 2]) for i, w in enumerate(weights))
    pixel = (first[number, 1] + y[place]) * width + (first[number, 0] + x[place])
    return pixel.long(), depth, number


def _weights(setup: Float[Tensor, "n 2 3"], place: Float[Tensor, "n 2"]) -> Float[Tensor, "n 3"]:
    two = (setup[..., :2] * place[:, None]).sum(dim=-1) + setup[..., 2]
    return torch.cat([two, 1 - two.sum(dim=1, keepdim=True)], dim=1).clamp(0, 1)
