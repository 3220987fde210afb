"""What compositing may change, what it must not, and what it leaves of the old picture."""

import math

import numpy as np
import pytest
import torch
from einops import rearrange
from kornia.filters import gaussian_blur2d
from torch import Tensor

from lipsync_core.compositing.blending import check_stacks, composite
from lipsync_core.compositing.colour import colour_offset
from lipsync_core.compositing.mask import changed_weight
from lipsync_core.compositing.occlusion import EDGE
from lipsync_core.compositing.place import composite_mask
from lipsync_core.crop_geometry import crop_mask
from lipsync_core.face.alignment import crop_faces

HEIGHT, WIDTH = 150, 170


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def blurred(images: Tensor, sigma: float) -> Tensor:
    size = 2 * math.ceil(3 * sigma) + 1
    images = rearrange(images, "t h w c -> t c h w")
    return rearrange(
        gaussian_blur2d(images, (size, size), (sigma, sigma), "reflect"), "t c h w -> t h w c"
    )


def face_at(
    crop_size: int, scale: float, height: int = HEIGHT, width: int = WIDTH, turn: float = 0.15
) -> Tensor:
    """frame_to_crop of one face in the middle of the frame, `scale` frame pixels a crop pixel."""
    cos, sin = math.cos(turn) / scale, math.sin(turn) / scale
    linear = torch.tensor([[cos, -sin], [sin, cos]])
    offset = crop_size / 2 - linear @ torch.tensor([width / 2 + 0.3, height / 2 - 0.2])
    return torch.cat([linear, offset[:, None]], dim=1)[None]


def crop_positions(matrix: Tensor, height: int = HEIGHT, width: int = WIDTH) -> Tensor:
    """Where the centre of every frame pixel lies in the crop, x and y."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    return torch.stack([x, y], dim=-1) @ matrix[0, :, :2].T + matrix[0, :, 2]


def inside_hard_mask(matrix: Tensor, crop_size: int) -> Tensor:
    """Frame pixels whose centre falls on a pixel of the crop that the mask covers."""
    x, y = crop_positions(matrix).floor().long().unbind(-1)
    on_crop = (x >= 0) & (y >= 0) & (x < crop_size) & (y < crop_size)
    limit = crop_size - 1
    return on_crop & (crop_mask(crop_size)[y.clamp(0, limit), x.clamp(0, limit)] > 0)


SEEN = torch.tensor([True])
SIZES = pytest.mark.parametrize(("crop_size", "scale"), [(40, 3.0), (64, 1.7), (128, 0.6)])


@SIZES
def test_an_untouched_crop_gives_back_the_frame_bit_for_bit(crop_size, scale):
    frames, matrix = noise(1, HEIGHT, WIDTH, 3), face_at(crop_size, scale)
    source = crop_faces(frames, matrix, crop_size)
    trips = {
        "as it is": source,
        "rounded to 8 bits": (source * 255).round() / 255,
        "cut to 8 bits": (source * 255).to(torch.uint8) / 255,
        "half precision": source.half().float(),
    }
    for trip, crops in trips.items():
        assert torch.equal(composite(frames, crops, source, matrix, SEEN), frames), trip


@SIZES
def test_pixels_outside_the_mask_do_not_change(crop_size, scale):
    frames, matrix = noise(1, HEIGHT, WIDTH, 3), face_at(crop_size, scale)
    source = crop_faces(frames, matrix, crop_size)
    result = composite(frames, noise(*source.shape, seed=1), source, matrix, SEEN)
    changed = (result != frames).any(dim=-1)[0]
    inside = inside_hard_mask(matrix, crop_size)
    assert not (changed & ~inside).any()
    assert (changed & inside).sum() > 0.8 * inside.sum()
    mask = composite_mask(matrix, crop_size, SEEN, HEIGHT, WIDTH)[0]
    assert not (changed & (mask == 0)).any()
    assert changed[mask > 0.01].float().mean() > 0.99


def wave_packet(position: Tensor, scale: float, crop_size: int) -> Tensor:
    """A picture as a function of the place in the crop: waves 24 frame pixels long in the mask's
    middle, nothing at its edge."""
    x, y = (position - crop_size * torch.tensor([0.5, 0.66])).unbind(-1)
    window = torch.exp(-(x**2 + y**2) / (2 * (0.1 * crop_size) ** 2))
    wavelength = 24 / scale / (2 * math.pi)
    return 0.2 * window * (torch.sin(x / wavelength) + torch.sin(y / wavelength))


@SIZES
def test_the_crop_lands_where_it_was_cut(crop_size, scale):
    frames, matrix = torch.full((1, HEIGHT, WIDTH, 3), 0.5), face_at(crop_size, scale)
    source = crop_faces(frames, matrix, crop_size)
    centres = torch.arange(crop_size) + 0.5
    position = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)
    rendered = source + wave_packet(position, scale, crop_size)[None, :, :, None]
    result = composite(frames, rendered, source, matrix, SEEN)
    expected = 0.5 + wave_packet(crop_positions(matrix), scale, crop_size)
    beside = 0.5 + wave_packet(crop_positions(matrix) + 0.5 / scale, scale, crop_size)
    half_a_pixel = (beside - expected).abs().max()
    core = composite_mask(matrix, crop_size, SEEN, HEIGHT, WIDTH)[0] > 0.999
    assert (result[0, :, :, 0] - expected)[core].abs().max() < 0.3 * half_a_pixel


def test_frames_without_a_visible_face_pass_through():
    frames, matrix = noise(3, HEIGHT, WIDTH, 3), face_at(64, 1.5).expand(3, 2, 3)
    source = crop_faces(frames, matrix, 64)
    visible = torch.tensor([True, False, True])
    before = frames.clone()
    result = composite(frames, noise(3, 64, 64, 3, seed=1), source, matrix, visible)
    assert torch.equal(result[1], frames[1])
    assert not torch.equal(result[0], frames[0])
    assert not torch.equal(result[2], frames[2])
    assert torch.equal(frames, before)
    assert not composite_mask(matrix, 64, visible, HEIGHT, WIDTH)[1].any()


@pytest.mark.parametrize("crop_size", [64, 160])
def test_away_from_a_change_the_frame_keeps_its_own_pixels(crop_size):
    frames, matrix = noise(1, HEIGHT, WIDTH, 3), face_at(crop_size, 128 / crop_size)
    source = crop_faces(frames, matrix, crop_size)
    rendered = source.clone()
    top, left = round(0.6 * crop_size), round(0.45 * crop_size)
    side = crop_size // 8
    rendered[:, top : top + side, left : left + side] = torch.tensor([1.0, 0.0, 0.0])
    result = composite(frames, rendered, source, matrix, SEEN)
    x, y = crop_positions(matrix).unbind(-1)
    beside = torch.stack([left - x, x - left - side, top - y, y - top - side]).amax(dim=0)
    changed = (result != frames).any(dim=-1)[0]
    assert not changed[beside > 0.05 * crop_size].any()
    red = result[0][beside < -0.03 * crop_size]
    assert (red - torch.tensor([1.0, 0.0, 0.0])).abs().max() < 0.01


def test_a_change_has_soft_edges_and_no_pinholes():
    source = noise(64, 64, 3).numpy()
    rendered = source.copy()
    rendered[30:50, 20:40] += 0.1
    rendered[35, 25] = rendered[41, 33] = 0
    source[35, 25] = source[41, 33] = 0  # where the two pictures happen to agree
    weight = torch.from_numpy(changed_weight(rendered, source))
    assert (weight[30:50, 20:40] == 1).all()
    assert weight.diff(dim=0).abs().max() < 0.8
    assert 0 < weight[40, 41] < 1


def detail(images: Tensor) -> Tensor:
    return images - blurred(images, 2)


def correlation(first: Tensor, second: Tensor) -> float:
    return float(torch.corrcoef(torch.stack([first.flatten(), second.flatten()]))[0, 1])


def test_no_ghost_of_the_old_mouth_on_a_face_three_times_the_crop():
    """Adding the masked difference, exact as it is on untouched crops, leaves one."""
    crop_size, scale = 48, 3.0
    matrix = face_at(crop_size, scale)
    frames = blurred(noise(1, HEIGHT, WIDTH, 3), 0.7) * 2 - 0.5
    source = crop_faces(frames, matrix, crop_size)
    rendered = blurred(noise(*source.shape, seed=1), 1.5) * 2 - 0.5
    mask = composite_mask(matrix, crop_size, SEEN, HEIGHT, WIDTH)
    inside = mask > 0.999
    assert inside.sum() > 2000
    old = detail(frames)[inside]

    result = composite(frames, rendered, source, matrix, SEEN)
    assert abs(correlation(detail(result)[inside], old)) < 0.05

    back = face_back_to_frame(matrix)
    enlarged = crop_faces(rendered - source, back, max(HEIGHT, WIDTH))[:, :HEIGHT, :WIDTH]
    added = frames + mask[..., None] * enlarged
    assert correlation(detail(added)[inside], old) > 0.6


def face_back_to_frame(matrix: Tensor) -> Tensor:
    linear = torch.linalg.inv(matrix[:, :, :2])
    return torch.cat([linear, -linear @ matrix[:, :, 2:]], dim=-1)


def test_a_tint_of_the_rendered_crop_is_taken_back():
    crop_size = 64
    frames = 0.3 + 0.4 * blurred(noise(1, HEIGHT, WIDTH, 3), 3)
    matrix = face_at(crop_size, 1.5)
    source = crop_faces(frames, matrix, crop_size)
    ramp = torch.linspace(-0.05, 0.05, crop_size)[None, :, None, None]
    tinted = source + torch.tensor([0.12, -0.06, 0.04]) + ramp
    result = composite(frames, tinted, source, matrix, SEEN)
    assert (result - frames).abs().max() < 0.02
    assert (tinted - source).abs().max() > 0.15


def test_a_chin_that_moved_does_not_pull_the_colour():
    source = 0.3 + 0.4 * blurred(noise(1, 64, 64, 3), 3)[0]
    tint = torch.tensor([0.06, -0.04, 0.0])
    rendered = source + tint
    rendered[50:] = 0.05  # a dark collar where there was skin
    offset = colour_offset(rendered.numpy(), source.numpy())
    assert offset is not None
    assert (torch.from_numpy(offset)[:50] + tint).abs().max() < 0.01


def test_equal_crops_have_no_colour_offset():
    source = noise(64, 64, 3).numpy()
    assert colour_offset(source, source.copy()) is None
    only_the_middle = source.copy()
    only_the_middle[28:40, 26:38] = 0
    assert colour_offset(only_the_middle, source) is None


def test_crops_of_any_size_give_the_same_picture():
    frames = blurred(noise(1, HEIGHT, WIDTH, 3), 2)
    pictures = []
    for crop_size in (64, 128, 256, 511):
        matrix = face_at(64, 1.8) * (crop_size / 64)
        source = crop_faces(frames, matrix, crop_size)
        position = (torch.arange(crop_size) + 0.5) / crop_size
        wave = 0.5 + 0.2 * torch.sin(12 * position)[:, None] * torch.cos(9 * position)
        rendered = wave[None, :, :, None].expand(1, -1, -1, 3).contiguous()
        pictures.append(composite(frames, rendered, source, matrix, SEEN))
    mask = composite_mask(face_at(64, 1.8), 64, SEEN, HEIGHT, WIDTH)
    for picture in pictures[1:]:
        assert (picture - pictures[0])[mask > 0.999].abs().max() < 0.02
        assert (picture - pictures[0]).abs().mean() < 0.002


def test_a_crop_much_larger_than_the_face_is_averaged_not_sampled():
    crop_size, scale = 256, 0.3
    frames, matrix = torch.full((1, HEIGHT, WIDTH, 3), 0.5), face_at(crop_size, scale)
    source = crop_faces(frames, matrix, crop_size)
    checks = torch.arange(crop_size)[:, None] + torch.arange(crop_size)
    rendered = source + 0.4 * (1 - 2 * (checks % 2))[None, :, :, None]
    result = composite(frames, rendered, source, matrix, SEEN)
    assert (result - frames).abs().max() < 0.1


def test_what_stands_in_front_of_the_face_stays():
    frames, matrix = noise(1, HEIGHT, WIDTH, 3), face_at(64, 1.8)
    source, rendered = crop_faces(frames, matrix, 64), noise(1, 64, 64, 3, seed=1)
    occluder = torch.zeros(1, HEIGHT, WIDTH)
    occluder[:, :, WIDTH // 2 :] = 1
    result = composite(frames, rendered, source, matrix, SEEN, occluder)
    half, edge = WIDTH // 2, math.ceil(EDGE * 64 * 1.8) + 2
    assert torch.equal(result[:, :, half:], frames[:, :, half:])
    assert not torch.equal(result[:, :, :half], frames[:, :, :half])
    mask = composite_mask(matrix, 64, SEEN, HEIGHT, WIDTH, occluder)
    free = composite_mask(matrix, 64, SEEN, HEIGHT, WIDTH)
    assert free[:, :, half:].any() and not mask[:, :, half:].any()
    assert torch.equal(mask[:, :, : half - edge], free[:, :, : half - edge])
    assert not (result != frames).any(-1)[mask == 0].any()


def test_the_edge_of_a_hand_is_soft_outside_and_untouched_inside():
    """No smear: across the edge the picture goes from the hand to the new face without a step of
    its own and without a mixed rim on the hand."""
    matrix = face_at(128, 1.2)
    frames = torch.full((1, HEIGHT, WIDTH, 3), 0.6)
    hand = torch.zeros(1, HEIGHT, WIDTH)
    hand[:, 60:110, 60:90] = 1
    frames[hand > 0] = torch.tensor([0.2, 0.7, 0.3])
    source = crop_faces(frames, matrix, 128)
    rendered = torch.full_like(source, 0.5)  # a face without a hand, of another tone
    result = composite(frames, rendered, source, matrix, SEEN, hand)
    assert torch.equal(result[hand > 0], frames[hand > 0])
    row = result[0, 85, :, 1]
    beside = row[90:106]
    assert beside.diff().abs().max() < 0.05
    colour = result[0][(hand[0] == 0) & inside_hard_mask(matrix, 128)]
    assert (colour.std(dim=-1) < 0.01).all()  # nothing of the green hand beside the hand


def test_a_hand_over_half_the_edge_does_not_pull_the_colour():
    source = 0.3 + 0.4 * blurred(noise(1, 64, 64, 3), 3)[0]
    rendered = source - torch.tensor([0.06, -0.04, 0.0])
    truth = colour_offset(rendered.numpy(), source.numpy())
    covered = source.clone()
    covered[:, 30:] = torch.tensor([0.1, 0.9, 0.1])
    known = torch.ones(64, 64)
    known[:, 28:] = 0
    found = colour_offset(rendered.numpy(), covered.numpy(), known.numpy())
    assert truth is not None and found is not None
    assert np.abs(found - truth)[10:60, 8:56].max() < 0.015
    nowhere = colour_offset(rendered.numpy(), covered.numpy(), np.zeros((64, 64), np.float32))
    assert nowhere is None


def test_skin_that_does_not_change_keeps_its_own_texture_and_lips_do_not():
    """The crops know less than the frame of a face three times their size."""
    crop_size, scale, side = 64, 3.0, 260
    matrix = face_at(crop_size, scale, side, side)
    pores = 0.2 * (noise(1, side, side, 3) - 0.5)
    frames = 0.5 + pores
    source = crop_faces(frames, matrix, crop_size)
    rendered = torch.full_like(source, 0.48)
    result = composite(frames, rendered, source, matrix, SEEN)
    in_face = crop_positions(matrix, side, side) / crop_size * 2.1 - torch.tensor([1.05, 0.58])
    x, y = in_face.unbind(-1)
    lips = (x.abs() < 0.25) & (y > 0.75) & (y < 0.95)
    chin = (x.abs() < 0.15) & (y > 1.1) & (y < 1.25)
    cheeks = (x.abs() > 0.62) & (x.abs() < 0.68) & (y > 0.55) & (y < 0.9)
    kept = {
        name: correlation(result[0][where], frames[0][where])
        for name, where in (("lips", lips), ("chin", chin), ("cheeks", cheeks))
    }
    assert kept["cheeks"] > 0.95
    assert abs(kept["lips"]) < 0.05 and abs(kept["chin"]) < 0.1
    assert detail(result)[0][cheeks].std() > 0.9 * detail(frames)[0][cheeks].std()


def test_the_soft_edge_grows_with_the_face():
    """The share of the mask that is edge is the same for a face twice as large."""
    shares = []
    for scale in (1.0, 2.0):
        mask = composite_mask(face_at(128, scale, 400, 400), 128, SEEN, 400, 400)
        assert mask.min() == 0 and mask.max() == 1
        shares.append(float(((mask > 0) & (mask < 1)).sum() / (mask > 0).sum()))
    assert shares[1] == pytest.approx(shares[0], rel=0.05)


@pytest.mark.parametrize("shift", [(-80.0, 0.0), (0.0, 90.0), (500.0, 0.0)])
def test_a_face_at_the_frames_border_or_beyond(shift):
    frames, matrix = noise(1, HEIGHT, WIDTH, 3), face_at(64, 1.8)
    matrix = matrix.clone()
    matrix[:, :, 2] += torch.tensor(shift)
    source, rendered = crop_faces(frames, matrix, 64), noise(1, 64, 64, 3, seed=1)
    result = composite(frames, rendered, source, matrix, SEEN)
    changed = (result != frames).any(dim=-1)[0]
    assert not (changed & ~inside_hard_mask(matrix, 64)).any()


def test_stacks_that_do_not_fit_are_refused():
    frames, matrix, crops = (
        noise(2, 60, 60, 3),
        face_at(32, 1.5).expand(2, 2, 3),
        noise(2, 32, 32, 3),
    )
    seen = torch.tensor([True, True])
    refuse = {
        "NaN": (crops * float("nan"), crops, matrix, seen, None),
        "size of the crops": (noise(2, 64, 64, 3), crops, matrix, seen, None),
        "one of each per frame": (crops[:1], crops[:1], matrix, seen, None),
        "resize it to the frames": (crops, crops, matrix, seen, torch.zeros(2, 30, 30)),
    }
    for message, arguments in refuse.items():
        with pytest.raises(ValueError, match=message):
            check_stacks(frames, *arguments)
