"""The picture of lip motion: what is drawn, which part, and whose."""

import pytest
import torch
from synthetic_motion import displacement

from lipsync_core.errors import ModelError
from lipsync_core.landmarks import MOVING
from lipsync_core.motion.basis import LipMotionBasis, fit_basis
from lipsync_core.motion.drawing import HEIGHT, WIDTH, draw_lip_motion
from lipsync_core.types import Audio, LipMotion

RED, BLUE, SAND = (197, 48, 48), (43, 108, 176), (232, 226, 208)


def spoken(steps: int = 75) -> torch.Tensor:
    """Lips that open wide at the beginning, at 0.6 s, and then stay shut."""
    time = torch.arange(steps).float()
    return displacement(0.25 * torch.exp(-(((time - 15) / 4) ** 2)), torch.zeros(steps))


@pytest.fixture(scope="module")
def basis() -> LipMotionBasis:
    generator = torch.Generator().manual_seed(0)
    return fit_basis([spoken(), 0.02 * torch.randn(40, len(MOVING), 3, generator=generator)], 8)


def motion(basis: LipMotionBasis, scale: float = 1.0) -> LipMotion:
    moved = scale * spoken()
    return LipMotion(basis.project(moved), torch.ones(len(moved), dtype=torch.bool), basis.id)


def painted(picture: torch.Tensor, colour: tuple[int, int, int]) -> torch.Tensor:
    """Which pixels have a colour."""
    return (picture * 255 - torch.tensor(colour)).abs().amax(-1) < 4


def test_one_motion_is_drawn_in_red_with_its_mouths_below(basis):
    picture = draw_lip_motion(basis, {"motion": motion(basis)})
    assert picture.shape == (HEIGHT, WIDTH, 3)
    assert painted(picture, RED)[: HEIGHT // 2].sum() > 1000
    assert not painted(picture, BLUE).any()
    inside = painted(picture, (74, 31, 31))[HEIGHT // 2 :]
    assert inside.sum() > 500, "an open mouth is dark"
    assert inside[:, : WIDTH // 2].sum() > 2 * inside[:, WIDTH // 2 :].sum(), "it opens early"


def test_letters_can_be_read_at_node_size(basis):
    """Rows of the title: the tallest run of ink at its left is a letter."""
    picture = draw_lip_motion(basis, {"motion": motion(basis)})
    title = (picture[:47, 86:300] < 0.4).all(-1).any(1)
    assert title.sum() >= 22, "7 pixels, when the picture is shown at a third of its size"


def test_two_motions_are_told_apart(basis):
    one = draw_lip_motion(basis, {"motion": motion(basis)})
    two = draw_lip_motion(basis, {"motion": motion(basis), "other": motion(basis, 0.5)})
    assert two.shape == one.shape
    assert painted(two, BLUE)[: HEIGHT // 2].sum() > 800
    assert painted(two, RED)[HEIGHT // 2 :].any() and painted(two, BLUE)[HEIGHT // 2 :].any()


def test_only_the_part_asked_for_is_drawn(basis):
    whole, early, late = (
        draw_lip_motion(basis, {"motion": motion(basis)}, start=start, duration=duration)
        for start, duration in ((0.0, 0.0), (0.0, 1.0), (2.0, 0.5))
    )
    dark = [int(painted(p, (74, 31, 31))[HEIGHT // 2 :].sum()) for p in (whole, early, late)]
    assert dark[2] < dark[0] < dark[1], dark


def test_the_loudness_of_the_speech_stands_behind_the_curves(basis):
    loud = torch.rand(48_000, generator=torch.Generator().manual_seed(0))
    loud[24_000:] = 0
    picture = draw_lip_motion(basis, {"motion": motion(basis)}, Audio(loud, 16_000))
    sand = painted(picture, SAND)[: HEIGHT // 2]
    assert sand[:, : WIDTH // 2].sum() > 20 * sand[:, WIDTH * 6 // 10 :].sum()
    silent = Audio(torch.zeros(16_000), 16_000)
    assert not painted(draw_lip_motion(basis, {"motion": motion(basis)}, silent), SAND).any()


def test_unseen_steps_leave_a_gap(basis):
    seen = motion(basis)
    hidden = LipMotion(seen.coefficients, torch.zeros(75, dtype=torch.bool), seen.basis)
    picture = draw_lip_motion(basis, {"motion": hidden})
    assert not painted(picture, RED).any()


def test_a_motion_of_another_basis_is_refused(basis):
    other = LipMotion(torch.zeros(10, 8), torch.ones(10, dtype=torch.bool), "lip-pca:other")
    with pytest.raises(ModelError, match="connect the predictor"):
        draw_lip_motion(basis, {"motion": motion(basis), "other": other})


def test_a_start_after_the_end_is_told_so(basis):
    with pytest.raises(ValueError, match=r"ends after 3.00 seconds.*earlier start"):
        draw_lip_motion(basis, {"motion": motion(basis)}, start=4.0)
    assert draw_lip_motion(basis, {"motion": motion(basis)}, start=2.96).shape[0] == HEIGHT


def test_a_shorter_motion_beside_a_longer_one(basis):
    long = motion(basis)
    short = LipMotion(long.coefficients[:20], long.valid[:20], long.basis)
    picture = draw_lip_motion(basis, {"motion": long, "other": short}, start=1.0)
    assert picture.shape == (HEIGHT, WIDTH, 3)
