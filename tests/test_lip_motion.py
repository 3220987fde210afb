"""Lip motion is what the lips do: not the head, not the person, not the frame rate."""

from dataclasses import replace
from fractions import Fraction

import pytest
import torch
from synthetic_motion import closed_face, displacement, made_up_basis, rotation, track_of

from lipsync_core.landmarks import (
    INNER_LOWER,
    INNER_UPPER,
    MOVING,
    STABLE,
    opening,
    tracked,
)
from lipsync_core.motion.basis import LipMotionBasis, fit_basis, motion_to_landmarks
from lipsync_core.motion.measuring import (
    PosedLips,
    canonical_motion,
    measure_lip_motion,
)
from lipsync_core.types import LipMotion

BASIS = made_up_basis()


def talking(times: torch.Tensor) -> torch.Tensor:
    """The same talk at any moment; t points 3."""
    return displacement(0.06 + 0.05 * torch.sin(9 * times), 0.03 * torch.sin(5 * times))


def at_25_hz(seconds: float) -> torch.Tensor:
    return torch.arange(round(seconds * 25)) / 25


def test_basis_is_orthonormal_and_keeps_its_id():
    assert torch.allclose(BASIS.components @ BASIS.components.T, torch.eye(BASIS.size), atol=1e-3)
    stored = LipMotionBasis(BASIS.components.half().float())
    assert stored.id == BASIS.id != made_up_basis(5).id


def test_basis_returns_what_it_was_fitted_on():
    moved = talking(at_25_hz(2))
    assert torch.allclose(BASIS.displacement(BASIS.project(moved)), moved, atol=2e-3)


def test_basis_weighs_people_not_minutes():
    """A short set with its own direction is kept beside a long one of several directions."""
    generator = torch.Generator().manual_seed(0)
    directions = torch.linalg.qr(torch.randn(171, 4, generator=generator)).Q.T
    long = torch.randn(10_000, 3, generator=generator) @ directions[:3]
    short = torch.randn(20, 1, generator=generator) @ directions[3:]
    sets = [x.reshape(-1, 57, 3) for x in (long, short)]
    kept = fit_basis(sets, 4).project(sets[1]).square().sum() / sets[1].square().sum()
    assert kept > 0.99


def test_coefficients_are_in_eye_distances():
    moved = talking(at_25_hz(1))
    motion = measure_lip_motion(track_of(moved), BASIS)
    size = motion.coefficients.norm(dim=1)
    assert torch.allclose(size, moved.flatten(1).norm(dim=1), atol=3e-3)


def test_measures_the_motion_that_was_made():
    moved = talking(at_25_hz(2))
    measured, valid = canonical_motion(track_of(moved))
    assert valid.all()
    assert torch.allclose(measured, moved, atol=1e-5)


def test_head_pose_and_place_do_not_matter():
    times = at_25_hz(2)
    still = track_of(talking(times))
    turn = rotation(0.5 * torch.sin(3 * times), 0.3 * torch.cos(2 * times))
    scale = (1 + 0.4 * torch.sin(times))[:, None, None]
    place = torch.stack([100 * times, -40 * times, 10 * times], dim=1)[:, None]
    moved = scale * torch.einsum("tij,tkj->tki", turn, still.landmarks) + place
    before = measure_lip_motion(still, BASIS).coefficients
    after = measure_lip_motion(replace(still, landmarks=moved), BASIS).coefficients
    assert torch.allclose(before, after, atol=1e-4)


def test_another_nose_and_brows_do_not_leak_into_motion():
    """Turning a head of another shape than the canonical moves its lips by less than 0.3 %."""
    generator = torch.Generator().manual_seed(0)
    face = closed_face()
    face[tracked(STABLE)] += 0.03 * torch.randn(len(STABLE), 3, generator=generator)
    times = at_25_hz(2)
    still = track_of(torch.zeros(len(times), len(MOVING), 3), face)
    turn = rotation(0.4 * torch.sin(3 * times), 0.2 * torch.cos(2 * times))
    turned = torch.einsum("tij,tkj->tki", turn, still.landmarks)
    measured, _ = canonical_motion(replace(still, landmarks=turned))
    assert (measured - measured.mean(dim=0)).norm(dim=-1).max() < 0.003


def test_opening_the_mouth_opens_it():
    heights = torch.linspace(0, 0.2, 30)
    track = track_of(displacement(heights, torch.zeros(30)))
    motion = measure_lip_motion(track, BASIS)
    points = motion_to_landmarks(motion, BASIS, track.neutral)
    whole = track.neutral.expand(30, -1, -1).clone()
    whole[:, : len(MOVING)] = points
    assert torch.allclose(opening(whole), heights, atol=0.005)


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(30), Fraction(50), Fraction(60)])
def test_every_frame_rate_gives_the_same_motion(fps):
    seconds = 3
    frames = round(seconds * fps)
    motion = measure_lip_motion(
        track_of(talking(torch.arange(frames) / float(fps)), fps=fps), BASIS
    )
    assert len(motion.coefficients) in (75, 76)
    reference = BASIS.project(talking(at_25_hz(seconds)))
    # The last frame is held, and linear interpolation rounds off the peaks.
    error = (motion.coefficients[:74] - reference[:74]).abs().max()
    assert error < 0.015 * reference.abs().max() + (0.012 if fps < 25 else 0.006)


def test_a_step_is_valid_only_if_its_frames_are_seen():
    visible = torch.ones(60, dtype=torch.bool)
    visible[30:40] = False
    moved = talking(torch.arange(60) / 30)
    motion = measure_lip_motion(track_of(moved, fps=Fraction(30), visible=visible), BASIS)
    seen = motion.valid.nonzero()[:, 0] / 25
    assert ((seen <= 29 / 30) | (seen >= 40 / 30)).all()
    assert motion.valid.sum() == 50 - 9  # steps 25 (1.00 s) to 33 (1.32 s) lack a frame


def test_nothing_is_mixed_across_a_cut():
    shut, wide = (displacement(torch.full((30,), h), torch.zeros(30)) for h in (0.0, 0.2))
    track = track_of(torch.cat([shut, wide]), fps=Fraction(30), cuts=(30,))
    heights = measure_lip_motion(track, BASIS).coefficients.norm(dim=1)
    middle = heights.max() / 2
    assert ((heights < 0.1 * middle) | (heights > 1.9 * middle)).all()


def test_unseen_throughout_is_not_valid():
    hidden = torch.zeros(20, dtype=torch.bool)
    motion = measure_lip_motion(track_of(talking(at_25_hz(0.8)), visible=hidden), BASIS)
    assert not motion.valid.any()


def test_motion_of_another_basis_is_refused():
    motion = LipMotion(torch.zeros(3, BASIS.size), torch.ones(3, dtype=torch.bool), "lip-pca:other")
    with pytest.raises(ValueError, match="lip-pca:other"):
        motion_to_landmarks(motion, BASIS, closed_face())


def test_measured_motion_is_put_back_into_every_pose():
    """Landmarks come back from the motion that was measured on them; another motion moves lips and
    jaw alone, with the head."""
    moved = talking(at_25_hz(2))
    turns = torch.linspace(-0.5, 0.5, len(moved))
    still = track_of(moved)
    turned = torch.einsum("tij,tkj->tki", rotation(turns, turns / 2), still.landmarks) * 1.2
    track = replace(still, landmarks=turned)
    measured, _ = canonical_motion(track)
    posed, every = PosedLips(track), slice(0, len(moved))
    assert torch.allclose(posed.landmarks(measured, every), track.landmarks, atol=0.02)
    shut = posed.landmarks(torch.zeros_like(moved), every)
    part = slice(7, 19)
    assert torch.allclose(posed.landmarks(torch.zeros_like(moved)[part], part), shut[part])
    assert torch.equal(shut[:, tracked(STABLE)], track.landmarks[:, tracked(STABLE)])
    again, _ = canonical_motion(replace(track, landmarks=shut))
    assert again.abs().max() < 1e-4


def test_coefficients_tell_how_far_they_part_the_lips():
    motion = torch.randn(20, BASIS.size, generator=torch.Generator().manual_seed(3))
    moved = BASIS.displacement(motion)
    upper, lower = MOVING.index(INNER_UPPER), MOVING.index(INNER_LOWER)
    apart = moved[:, lower, 1] - moved[:, upper, 1]
    assert torch.allclose(motion @ BASIS.opening, apart, atol=1e-6) and apart.std() > 0.01
