"""A face bent until its lips lie where they are wanted, the two lips apart from one another.

No single smooth map can shut an open mouth: where the lips shall meet, each comes from another
place, and the teeth between would have to go somewhere. So the picture is bent three times, as the
upper lip wants it, as the lower one does, and as all points together do; the first is seen above
the line where the lips meet, the second below it, the third between lips that stay open.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from ..landmarks import LIPS_INNER, LIPS_OUTER, TRACKED, tracked
from .thin_plate import bend

LIP_SMOOTHING = 1e-3
"""Of the maps of one lip; tighter than the usual one, since points of one lip never meet."""
EDGE = 0.5
"""Pixels over which one map gives way to the next at the lips' edges, on either side."""
CORNER = 0.02
"""Of the side: over so much about the mouth's corners the three become one."""

_CORNERS = (0, len(LIPS_INNER) // 2)
_LOWER = tracked(LIPS_INNER[: _CORNERS[1] + 1])
_UPPER = tracked((LIPS_INNER[0], *LIPS_INNER[: _CORNERS[1] - 1 : -1]))
"""The inner contours from the left corner to the right one."""


def _without(outer: tuple[int, ...], inner: tuple[int, ...]) -> list[int]:
    return tracked(tuple(point for point in TRACKED if point not in outer + inner))


_UPPER_FACE = _without(LIPS_OUTER[1 : _CORNERS[1]], LIPS_INNER[1 : _CORNERS[1]])
_LOWER_FACE = _without(LIPS_OUTER[_CORNERS[1] + 1 :], LIPS_INNER[_CORNERS[1] + 1 :])
"""All points but those of the other lip; corners belong to both."""


def bend_mouth(
    pictures: Float[Tensor, "b c s s"],
    found: Float[Tensor, "b k 2"],
    wanted: Float[Tensor, "b k 2"],
) -> Float[Tensor, "b c s s"]:
    """`pictures` with the TRACKED landmarks that are seen at `found` brought to about `wanted`.

    Points are (x, y) in fractions of the side, pixel centres at +.5; the border repeats outwards.
    """
    size = pictures.shape[-1]
    upper, lower = (
        bend(pictures, found[:, points], wanted[:, points], LIP_SMOOTHING)
        for points in (_UPPER_FACE, _LOWER_FACE)
    )
    above, below = (rearrange(x, "b y x -> b 1 y x") for x in _apart(wanted.to(pictures), size))
    return above * upper + below * lower + (1 - above - below) * bend(pictures, found, wanted)


def _apart(
    points: Float[Tensor, "b k 2"], size: int
) -> tuple[Float[Tensor, "b s s"], Float[Tensor, "b s s"]]:
    """How much each pixel belongs above the lips' line, and below it; nowhere else than between the
    mouth's corners."""
    places = ((torch.arange(size) + 0.5) / size).to(points)
    lips = torch.stack([_heights(points[:, contour], places) for contour in (_UPPER, _LOWER)])
    middle, half = lips.mean(0), ((lips[1] - lips[0]) / 2).clamp_min(0)
    down = places[:, None] - middle[:, None]
    sides = torch.stack([-down, down]) - half[:, None]
    # Lips that touch leave nothing between them.
    above, below = torch.sigmoid(sides * (size / EDGE))
    left, right = (points[:, tracked((LIPS_INNER[corner],))[0], :1] for corner in _CORNERS)
    inside = ((places - left) / CORNER + 0.5).clamp(0, 1)
    inside = inside * ((right - places) / CORNER + 0.5).clamp(0, 1)
    return above * inside[:, None], below * inside[:, None]


def _heights(line: Float[Tensor, "b p 2"], columns: Float[Tensor, " s"]) -> Float[Tensor, "b s"]:
    """y of lines from left to right, at columns; level beyond their ends."""
    x, y = line.unbind(-1)
    # A head that is turned far may have points that go back a little.
    x = x.cummax(1).values.contiguous()
    after = torch.searchsorted(x, columns.expand(len(x), -1).contiguous())
    after = after.clamp(1, x.shape[1] - 1)
    x0, x1, y0, y1 = (values.gather(1, at) for values in (x, y) for at in (after - 1, after))
    return torch.lerp(y0, y1, ((columns - x0) / (x1 - x0).clamp_min(1e-6)).clamp(0, 1))
