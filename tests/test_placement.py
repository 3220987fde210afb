"""References in place: details of few, tones of all, the light of the frame."""

import pytest
import torch
from tiny_renderer import face_track, mouth_crops

from lipsync_core.crop_geometry import crop_mask
from lipsync_core.render.blur import blurred
from lipsync_core.render.placement import DETAILED, MOST_LIGHT, Pool, in_light_of, place
from lipsync_core.render.references import points_in_crops

SIZE = 128


@pytest.fixture(scope="module")
def crops():
    """Five crops with mouths of several openings, channels first."""
    return mouth_crops(torch.linspace(0.02, 0.2, 5)).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def points():
    track = face_track(torch.zeros(5))
    return points_in_crops(track.landmarks, track.frame_to_crop, track.crop_size)


def texture(size: int = SIZE):
    """Stripes of two pixels: no tone of their own."""
    return 0.1 * torch.sign(torch.sin(torch.pi * (torch.arange(size) + 0.5) / 2)).expand(size, -1)


def test_details_are_of_the_nearest_tones_of_all(points):
    """Four references of other greys, each with fine stripes of its own direction and strength."""
    stripes = torch.stack([texture(), texture().T, texture(), texture().T])
    greys = torch.tensor([0.3, 0.4, 0.6, 0.7])
    pool = (greys[:, None, None] + stripes)[:, None].expand(-1, 3, -1, -1)
    choice, alike = torch.arange(4)[None], torch.zeros(1, 4)
    found, wanted = points[:4], points[:1]
    mixed = place(Pool.of(pool), choice, alike, found, wanted)[0, 0, 32:-32, 32:-32]
    assert mixed.mean() == pytest.approx(float(greys.mean()), abs=5e-3)
    # Of a mean of all, stripes both ways would have half of their contrast.
    apart = torch.tensor([[0.0, 0.5, 0.5, 0.5]])
    sharp = place(Pool.of(pool), choice, apart, found, wanted)[0, 0, 32:-32, 32:-32]
    assert sharp.mean() == pytest.approx(float(greys[0]), abs=5e-3)
    assert torch.allclose(sharp, pool[0, 0, 32:-32, 32:-32], atol=0.02)
    near = torch.tensor([[0.0, 0.12, 0.12, 0.12]])
    both = place(Pool.of(pool), choice, near, found, wanted)[0, 0, 32:-32, 32:-32]
    assert float(greys[0]) + 0.05 < both.mean() < float(greys.mean())
    assert both.diff(dim=1).abs().max() > 0.9 * sharp.diff(dim=1).abs().max()


def test_references_at_an_infinite_distance_count_nothing(crops, points):
    choice = torch.tensor([[0, 1, 2, 3]])
    distance = torch.tensor([[torch.inf, 0.1, torch.inf, torch.inf]])
    alone = place(Pool.of(crops), choice, distance, points, points[:1])
    assert torch.allclose(
        alone, place(Pool.of(crops), choice[:, 1:2], distance[:, 1:2], points, points[:1])
    )


@pytest.mark.parametrize("size", [32, 64, SIZE])
def test_what_is_in_its_place_stays(size, points):
    """A picture smaller than its tones' usual size is as well treated."""
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(1, 3, size, size, generator=generator).half().float()
    choice, near = torch.zeros(2, 1, dtype=torch.long), torch.zeros(2, 1)
    stays = place(Pool.of(picture), choice, near, points[:1], points[:1].expand(2, -1, -1))
    assert torch.allclose(stays, picture.expand(2, -1, -1, -1), atol=1e-4)


def test_a_pool_tells_all_levels_of_ten_bits():
    levels = torch.arange(1024.0)
    kept = Pool.of((levels / 1023).reshape(1, 1, 32, 32)).pictures.float().flatten()
    assert torch.equal((kept * 1023).round(), levels)


def test_few_give_details(crops, points):
    """A fourth reference, however near, changes no edge: only tones."""
    choice = torch.tensor([[0, 1, 2, 4]])
    distance = torch.tensor([[0.0, 0.01, 0.015, 0.02]])
    assert DETAILED == 3
    four = place(Pool.of(crops), choice, distance, points, points[:1])
    three = place(Pool.of(crops), choice[:, :3], distance[:, :3], points, points[:1])
    change = four - three
    fine = change - blurred(change, 2.0)
    assert change.abs().max() > 4 * fine.abs().max() > 0


def test_the_light_of_the_frame_is_taken_over(crops):
    factor = torch.tensor([0.6, 0.7, 0.8])[:, None, None]
    lit = in_light_of(factor * crops, crops)
    assert torch.allclose(lit, factor * crops, atol=1e-5)


def test_what_is_made_anew_does_not_light(crops):
    painted = torch.where(crop_mask(SIZE) > 0, torch.tensor([0.0, 1.0, 0.0])[:, None, None], crops)
    assert torch.equal(in_light_of(painted, crops), in_light_of(crops, crops))


def test_light_changes_by_a_bounded_factor(crops):
    dark = in_light_of(torch.zeros_like(crops), crops)
    assert torch.allclose(dark, crops / MOST_LIGHT, atol=1e-6)


def test_a_blur_keeps_what_is_even_and_takes_what_is_fine():
    even = torch.full((1, 2, 40, 30), 0.4)
    assert torch.allclose(blurred(even, 3.0), even, atol=1e-6)
    assert blurred(texture(64)[None, None], 3.0)[..., 12:-12, 12:-12].abs().max() < 1e-3
    dot = torch.zeros(1, 1, 41, 41)
    dot[..., 20, 20] = 1
    spread = blurred(dot, 2.0)
    assert spread.sum() == pytest.approx(1, abs=1e-5)
    place_of = torch.arange(41.0) - 20
    assert (spread[0, 0].sum(0) * place_of**2).sum() == pytest.approx(4, rel=0.05)
