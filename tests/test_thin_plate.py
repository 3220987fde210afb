"""Pictures bent until points lie where they are wanted, and no further than needed."""

import pytest
import torch

from lipsync_core.render.thin_plate import SMOOTHING, bend

SIZE = 96
FACE = torch.tensor([[0.3, 0.3], [0.7, 0.3], [0.5, 0.5], [0.3, 0.75], [0.7, 0.75]])
"""Points that stay."""


def dots(points: torch.Tensor) -> torch.Tensor:
    """1 3 s s: a soft dot of each of three colours, at points of fractions of the side."""
    y, x = torch.meshgrid(*[(torch.arange(SIZE) + 0.5) / SIZE] * 2, indexing="ij")
    return torch.stack([(-((x - px) ** 2 + (y - py) ** 2) / 0.0008).exp() for px, py in points])[
        None
    ]


def centres(pictures: torch.Tensor) -> torch.Tensor:
    """Where the dots of `dots` are."""
    line = (torch.arange(SIZE) + 0.5) / SIZE
    weight = pictures[0].clamp_min(0) ** 2
    total = weight.sum((1, 2))
    return torch.stack(
        [(weight.sum(1) * line).sum(1) / total, (weight.sum(2) * line).sum(1) / total], 1
    )


MOUTH = torch.tensor([[0.4, 0.6], [0.5, 0.65], [0.6, 0.6]])


def test_points_come_to_where_they_are_wanted():
    wanted = MOUTH + torch.tensor([[0.03, -0.02], [0.0, 0.05], [-0.02, 0.01]])
    found = torch.cat([FACE, MOUTH])[None]
    bent = bend(dots(MOUTH), found, torch.cat([FACE, wanted])[None], smoothing=1e-6)
    # A dot that is stretched has its centre of mass a little aside.
    assert (centres(bent) - wanted).abs().max() < 0.01
    assert (
        centres(bend(dots(FACE[:3]), found, torch.cat([FACE, wanted])[None])) - FACE[:3]
    ).abs().max() < 0.02


def test_nothing_moves_where_nothing_is_to():
    points = torch.cat([FACE, MOUTH])[None]
    picture = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    assert (bend(picture, points, points) - picture).abs().max() < 1e-3


def test_a_picture_keeps_its_range_and_each_its_own_points():
    generator = torch.Generator().manual_seed(1)
    pictures = torch.rand(2, 3, SIZE, SIZE, generator=generator).round()
    found = torch.cat([FACE, MOUTH]).expand(2, -1, -1)
    wanted = found + 0.03 * torch.randn(found.shape, generator=generator)
    together = bend(pictures, found, wanted)
    assert together.min() >= 0 and together.max() <= 1
    alone = torch.cat([bend(pictures[i, None], found[i, None], wanted[i, None]) for i in range(2)])
    assert torch.allclose(together, alone, atol=1e-5)
    assert not torch.allclose(together[0], bend(pictures[:1], found[1:], wanted[1:])[0], atol=0.01)


@pytest.mark.parametrize(("smoothing", "whole"), [(1e-4, False), (SMOOTHING, True), (1e-2, True)])
def test_shut_lips_that_open_are_not_torn(smoothing, whole):
    """Two points at one place, wanted apart: smoothed enough, the map keeps its order from top to
    bottom."""
    found = torch.cat([FACE, torch.tensor([[0.5, 0.6], [0.5, 0.6]])])[None]
    wanted = torch.cat([FACE, torch.tensor([[0.5, 0.57], [0.5, 0.65]])])[None]
    ramp = ((torch.arange(SIZE) + 0.5) / SIZE)[:, None].expand(1, 3, -1, SIZE)
    bent = bend(ramp.contiguous(), found, wanted, smoothing)
    assert bool((bent[0, 0].diff(dim=0) > 0).all()) == whole, "where it falls, the picture folds"


def test_gradients_and_other_types_pass():
    picture = dots(MOUTH).requires_grad_(True)
    points = torch.cat([FACE, MOUTH])[None]
    bend(picture, points, points + 0.01).sum().backward()
    assert picture.grad is not None and picture.grad.abs().sum() > 0
    half = bend(dots(MOUTH).bfloat16().float(), points.double(), points.double())
    assert half.dtype == torch.float32
