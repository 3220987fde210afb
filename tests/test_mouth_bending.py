"""Lips that shut hide the teeth, lips that stay open show them, and nothing else moves."""

import cv2
import numpy as np
import pytest
import torch

from lipsync_core.crop_geometry import CROP_LEFT, CROP_SIDE, CROP_TOP
from lipsync_core.landmarks import LIPS_INNER, LIPS_OUTER, TRACKED, canonical, tracked
from lipsync_core.render import mouth_bending
from lipsync_core.render.mouth_bending import bend_mouth
from lipsync_core.render.thin_plate import bend

SIZE = 256
SKIN, LIPS, TEETH = (0.7, 0.5, 0.4), (0.6, 0.1, 0.1), (0.95, 0.95, 0.9)
HALF = len(LIPS_INNER) // 2
CHIN = (152, 148, 377, 176, 400, 199, 200, 18, 175)


def mouth(opening: float) -> torch.Tensor:
    """1 k 2: a face in its crop whose lower lip, and chin, stand `opening` eye distances lower."""
    points = canonical(TRACKED)[:, :2].clone()
    inner, outer = tracked(LIPS_INNER), tracked(LIPS_OUTER)
    upper = torch.tensor([inner[0], *inner[:HALF:-1], inner[HALF]])
    lower = torch.tensor(inner[: HALF + 1])
    arch = torch.sin(torch.linspace(0, torch.pi, HALF + 1))
    points[lower] = points[upper]
    points[lower, 1] += opening * arch
    points[outer[1:HALF] + tracked(CHIN), 1] += opening
    return ((points - torch.tensor([CROP_LEFT, CROP_TOP])) / CROP_SIDE)[None]


def picture(points: torch.Tensor) -> torch.Tensor:
    """1 3 s s: skin, lips, and teeth wherever the lips are apart."""
    image = np.full((SIZE, SIZE, 3), SKIN, np.float32)
    for contour, colour in ((LIPS_OUTER, LIPS), (LIPS_INNER, TEETH)):
        corners = (points[0, tracked(contour)] * SIZE - 0.5).numpy() * 16
        cv2.fillPoly(image, [corners.round().astype(np.int32)], colour, cv2.LINE_AA, shift=4)
    return torch.from_numpy(image).permute(2, 0, 1)[None]


def teeth(pictures: torch.Tensor) -> float:
    """How many pixels of teeth a picture shows."""
    lips, white = (torch.tensor(colour) for colour in (LIPS, TEETH))
    # Skin is yellower: only from its blue and green together do teeth stand out of it.
    share = (pictures[0, 2] - lips[2]) / (white[2] - lips[2])
    return float(share[120:230, 70:186].clamp(0, 1)[pictures[0, 2, 120:230, 70:186] > 0.5].sum())


def test_lips_that_shut_hide_the_teeth():
    wide, shut = mouth(0.15), mouth(0.0)
    shown = picture(wide)
    assert teeth(shown) > 500
    # A contour is drawn half a pixel too wide, so that even the shut mouth has its line.
    assert teeth(bend_mouth(shown, wide, shut)) < teeth(picture(shut)) < 80
    # What it is for: one smooth map leaves a slit.
    assert teeth(bend(shown, wide, shut)) > 200


@pytest.mark.parametrize("opening", [0.05, 0.1, 0.2])
def test_lips_that_stay_open_show_the_teeth(opening):
    wide, wanted = mouth(0.15), mouth(opening)
    bent = bend_mouth(picture(wide), wide, wanted)
    assert teeth(bent) == pytest.approx(teeth(picture(wanted)), rel=0.15)


def test_what_lies_between_open_lips_comes_of_all_points():
    """A few pixels inside the lips' edges nothing is of either lip's own map."""
    wide, wanted = mouth(0.15), mouth(0.1)
    noise = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    apart = (bend_mouth(noise, wide, wanted) - bend(noise, wide, wanted)).abs()[0].amax(0)
    upper, lower = (float(wanted[0, tracked((i,))[0], 1]) * SIZE for i in (13, 14))
    column = apart[:, SIZE // 2]
    assert column[int(upper) + 4 : int(lower) - 3].max() < 1e-3
    assert column[: int(upper) - 2].max() > 0.1 and column[int(lower) + 3 :].max() > 0.1


def test_lips_lie_where_they_are_wanted():
    """Shut from wide open and half open: the picture that is drawn there in the first place."""
    wide = mouth(0.15)
    shown = picture(wide)
    for opening in (0.0, 0.08):
        wanted = mouth(opening)
        error = (bend_mouth(shown, wide, wanted) - picture(wanted)).abs().mean()
        assert error < 0.6 * (bend(shown, wide, wanted) - picture(wanted)).abs().mean()


def test_nothing_moves_where_nothing_is_to():
    points = mouth(0.06)
    noise = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    assert (bend_mouth(noise, points, points) - noise).abs().max() < 1e-3


def test_away_from_the_mouths_sides_all_is_one_map():
    """Left of the left corner and right of the right one a lip's own map counts nothing."""
    wide, shut = mouth(0.15), mouth(0.0)
    noise = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    same = (bend_mouth(noise, wide, shut) == bend(noise, wide, shut)).all(1)[0].all(0)
    left, right = (float(shut[0, tracked((i,))[0], 0]) * SIZE for i in (78, 308))
    reach = mouth_bending.CORNER * SIZE
    assert same[: int(left - reach)].all() and same[int(right + reach) + 1 :].all()
    assert not same[int(left + reach) : int(right - reach)].any()


def test_each_picture_has_its_own_lips():
    found, wanted = (torch.cat([mouth(a), mouth(b)]) for a, b in ((0.15, 0.1), (0.0, 0.12)))
    pictures = torch.cat([picture(mouth(0.15)), picture(mouth(0.1))])
    together = bend_mouth(pictures, found, wanted)
    alone = [bend_mouth(pictures[i, None], found[i, None], wanted[i, None]) for i in range(2)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-5)
    assert together.min() >= 0 and together.max() <= 1


def test_small_pictures_are_bent_alike():
    """Tones are mixed in pictures of a quarter of the size."""
    wide, shut = mouth(0.15), mouth(0.0)
    small = torch.nn.functional.avg_pool2d(bend_mouth(picture(wide), wide, shut), 4)
    bent = bend_mouth(torch.nn.functional.avg_pool2d(picture(wide), 4), wide, shut)
    assert (small - bent).abs().mean() < 0.01


def test_lips_that_cross_are_shut():
    """Predicted lips may lie a little behind one another."""
    wide, crossed = mouth(0.15), mouth(-0.02)
    assert teeth(bend_mouth(picture(wide), wide, crossed)) < 40
