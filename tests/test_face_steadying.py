"""Cuts, gaps and jitter: what is bridged and smoothed over time, and what never is."""

import numpy as np
import pytest
import torch

from lipsync_core.face.neutral import neutral_shape
from lipsync_core.face.shots import face_jumps, mark_cuts
from lipsync_core.face.smoothing import bridge, shots, smooth, steady
from lipsync_core.landmarks import INNER_LOWER, TRACKED, canonical, opening, tracked


def scene(seed: int, offset: int = 0) -> np.ndarray:
    """A picture of coarse random patches, moved to the left by `offset` pixels."""
    patches = np.random.default_rng(seed).integers(0, 255, (9, 32, 3), dtype=np.uint8)
    wide = patches.repeat(20, axis=0).repeat(20, axis=1)
    return np.ascontiguousarray(wide[:, offset : offset + 320])


def cuts_of(frames: list[np.ndarray]) -> list[int]:
    marked = list(mark_cuts(frames))
    assert all(shown is frame for (shown, _), frame in zip(marked, frames, strict=True))
    return [index for index, (_, is_cut) in enumerate(marked) if is_cut]


def test_a_cut_is_found_where_it_is():
    assert cuts_of([scene(0)] * 8 + [scene(1)] * 5 + [scene(2)] * 6) == [8, 13]


def test_a_jump_cut_within_a_studio_is_found():
    moved = scene(0).copy()
    moved[60:120, 100:180] = scene(3)[60:120, 100:180]
    noise = np.random.default_rng(0)
    frames = [
        (picture + noise.normal(0, 3, picture.shape)).clip(0, 255).astype(np.uint8)
        for picture in [scene(0)] * 9 + [moved] * 9
    ]
    assert cuts_of(frames) == [9]


def test_flash_pan_and_still_picture_are_no_cuts():
    still = [scene(0)] * 6
    flash = [np.full_like(scene(0), 255)]
    pan = [scene(0, offset) for offset in range(0, 300, 25)]
    assert cuts_of(still + flash + still + pan) == []


def test_repeated_frames_of_a_slower_source_are_no_cuts():
    frames = [scene(0, offset) for offset in range(0, 120, 12) for _ in range(3)]
    assert cuts_of(frames) == []


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_short_clips_have_no_cuts(count):
    assert cuts_of([scene(0)] * count) == []


def test_a_face_that_jumps_once_is_a_cut_and_one_that_runs_is_not():
    rest, far = torch.zeros(6, 4, 2), torch.full((6, 4, 2), 50.0)
    unit, found = torch.full((12,), 40.0), torch.ones(12, dtype=torch.bool)
    assert face_jumps(torch.cat([rest, far]), unit, found) == [6]
    running = torch.arange(12.0)[:, None, None].expand(12, 4, 2) * 15
    assert face_jumps(running, unit, found) == []
    assert face_jumps(rest[:1], unit[:1], found[:1]) == []
    found[4:7] = False
    assert face_jumps(torch.cat([rest, far]), unit, found) == [7]


def test_a_gap_is_bridged_in_a_straight_line():
    truth = torch.arange(10.0)[:, None, None] * torch.tensor([[1.0, -2.0]])
    seen = torch.ones(10, dtype=torch.bool)
    seen[3:7] = False
    broken = torch.where(seen[:, None, None], truth, torch.tensor(999.0))
    assert torch.allclose(bridge(broken, seen, ()), truth)


def test_nothing_is_bridged_across_a_cut():
    values = torch.arange(10.0)[:, None]
    seen = torch.ones(10, dtype=torch.bool)
    seen[3:7] = False
    bridged = bridge(values, seen, (5,))[:, 0]
    assert bridged.tolist() == [0, 1, 2, 2, 2, 7, 7, 7, 8, 9]


def test_a_shot_without_a_face_takes_the_nearest_values():
    values = torch.tensor([1.0, 2.0, 0, 0, 0, 6.0])[:, None]
    seen = torch.tensor([True, True, False, False, False, True])
    assert bridge(values, seen, (2, 5))[:, 0].tolist() == [1, 2, 2, 2, 2, 6]


def test_shots_are_the_runs_between_cuts():
    assert shots(9, (4, 6)) == [slice(0, 4), slice(4, 6), slice(6, 9)]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
@pytest.mark.parametrize("sigma", [0.8, 3.0])
def test_even_acceleration_is_left_exactly_where_it_is(count, sigma):
    time = torch.arange(count, dtype=torch.float64)
    values = torch.stack([3 + 0 * time, 2 * time - 7, 0.5 * time**2 - time], dim=1)
    assert (smooth(values, sigma, ()) - values).abs().max() < 1e-6


def test_shots_are_smoothed_each_for_itself():
    values = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    whole = smooth(values, 2.0, (11,))
    assert torch.equal(whole[:11], smooth(values[:11], 2.0, ()))
    assert torch.equal(whole[11:], smooth(values[11:], 2.0, ()))


def jittery(path: torch.Tensor, jitter: float) -> torch.Tensor:
    """Twenty points that follow `path` (t, pixels), with noise common to all of them."""
    noise = torch.randn(len(path), 1, 2, generator=torch.Generator().manual_seed(3)) * jitter
    corners = 20 * torch.randn(1, 20, 2, generator=torch.Generator().manual_seed(4))
    return path[:, None, None] + corners + noise


def shake(points: torch.Tensor) -> float:
    return points.diff(n=2, dim=0).square().mean().sqrt().item()


def test_jitter_of_a_resting_face_goes():
    points, unit = jittery(torch.zeros(80), 0.2), torch.full((80,), 80.0)
    assert shake(steady(points, unit, 25.0, ())) < 0.15 * shake(points)


def test_a_quick_nod_is_followed_without_lag():
    """2.5 nods a second, a tenth of the eye distance: the steadied points are where they were."""
    path = 8 * torch.sin(2 * torch.pi * 2.5 * torch.arange(80) / 25)
    points, unit = jittery(path, 0.1), torch.full((80,), 80.0)
    error = steady(points, unit, 25.0, ()) - points
    assert error.square().mean().sqrt() < 0.25
    # Without the choice of window it would be far off.
    assert (smooth(points, 3.0, ()) - points).square().mean().sqrt() > 2


def test_a_head_that_snaps_round_keeps_both_rests_steady():
    path = 40 * torch.sigmoid((torch.arange(80) - 40) / 0.8)
    points, unit = jittery(path, 0.2), torch.full((80,), 80.0)
    steadied = steady(points, unit, 25.0, ())
    assert (steadied - points)[36:45].abs().max() < 2
    for rest in (slice(0, 28), slice(52, 80)):
        assert shake(steadied[rest]) < 0.25 * shake(points[rest])


def mouths(gap: torch.Tensor, seed: int) -> torch.Tensor:
    """Faces whose lower lip hangs by `gap` eye distances (t), in frame pixels, with jaw noise."""
    generator = torch.Generator().manual_seed(seed)
    faces = canonical(TRACKED).repeat(len(gap), 1, 1)
    lower = tracked((INNER_LOWER,))[0]
    faces[:, :57, 1] += 0.01 * torch.randn(len(gap), 1, generator=generator)
    faces[:, lower, 1] += gap + 0.002 * torch.randn(len(gap), generator=generator)
    return faces * 90 + torch.tensor([300.0, 200.0, 0.0])


def test_the_neutral_is_the_same_for_one_person_in_pieces_and_ignores_outliers():
    gap = torch.linspace(0, 0.2, 40).repeat(4)
    faces, seen = mouths(gap, 6), torch.ones(160, dtype=torch.bool)
    whole = neutral_shape(faces, seen)
    pieces = torch.stack([neutral_shape(piece, seen[:40]) for piece in faces.split(40)])
    assert (pieces - whole).norm(dim=-1).max() < 0.01
    rest = opening(faces).sort().values[:16].mean().item() / 90
    assert opening(whole[None]).item() == pytest.approx(rest, abs=0.01)
    faces[::20, :57] += 40
    assert (neutral_shape(faces, seen) - whole).norm(dim=-1).max() < 0.015


def test_unseen_frames_do_not_touch_the_neutral():
    faces, seen = mouths(torch.linspace(0, 0.2, 50), 7), torch.ones(50, dtype=torch.bool)
    seen[10:20] = False
    wild = faces.clone()
    wild[10:20] *= 3
    assert torch.equal(neutral_shape(faces, seen), neutral_shape(wild, seen))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_few_frames_still_have_a_neutral(count):
    faces = mouths(torch.zeros(count), 8)
    neutral = neutral_shape(faces, torch.ones(count, dtype=torch.bool))
    assert (neutral - canonical(TRACKED)).norm(dim=-1).max() < 0.05
