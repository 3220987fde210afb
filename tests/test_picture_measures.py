"""Picture measures: known answers on drawn faces, and what must not change them."""

import math
from dataclasses import replace

import pytest
import torch
from tiny_renderer import SIZE, face_track, mouth_crops
from torch import Tensor

from lipsync_core.crop_geometry import crop_mask
from lipsync_core.evaluation.picture_measures import (
    MEASURES,
    PSNR_CAP,
    PictureMeter,
    gradient_energy,
    psnr,
    ssim_map,
)
from lipsync_core.evaluation.picture_regions import (
    inside_outline,
    lips_in_crop,
    lips_in_frame,
    mask_outlines,
    mouth_box,
)
from lipsync_core.face.alignment import invert, transform
from lipsync_core.types import FaceTrack

COUNT = 5
OPENINGS = torch.linspace(0.0, 0.1, COUNT)


def texture(seed: int = 0, size: int = SIZE) -> Tensor:
    return torch.rand(size, size, 3, generator=torch.Generator().manual_seed(seed)) * 0.06 - 0.03


def talking() -> Tensor:
    """Drawn mouths on skin with a grain that does not move."""
    return (mouth_crops(OPENINGS) + texture()).clamp(0, 1)


def track(count: int = COUNT) -> FaceTrack:
    return face_track(torch.full((count,), 5.0))


def figures(ours: Tensor, real: Tensor, chunk: int = COUNT, face: FaceTrack | None = None) -> dict:
    meter = PictureMeter(face or track(len(real)))
    for start in range(0, len(real), chunk):
        span = range(start, min(start + chunk, len(real)))
        meter.add(ours[span.start : span.stop], real[span.start : span.stop], span)
    return meter.figures()


def test_an_untouched_clip_scores_the_ideal_exactly():
    real = talking()
    found = figures(real.clone(), real)
    assert set(found) == {measure.name for measure in MEASURES}
    for measure in MEASURES:
        ideal = PSNR_CAP if measure.unit == "dB" else 0.0 if measure.better == "lower" else 1.0
        assert found[measure.name] == ideal, measure.name


def test_psnr_is_that_of_the_error_and_only_where_it_is_asked():
    real = torch.full((8, 8, 3), 0.5)
    where = torch.zeros(8, 8, dtype=torch.bool)
    where[:4] = True
    ours = real.clone()
    ours[4:] += 0.2
    assert psnr(real + 0.1, real) == pytest.approx(20.0, abs=1e-4)
    assert psnr(ours, real, where) == PSNR_CAP
    assert psnr(ours, real, ~where) == pytest.approx(-20 * math.log10(0.2), abs=1e-4)
    assert math.isnan(psnr(ours, real, torch.zeros_like(where)))


def test_ssim_is_its_formula_for_pictures_of_one_colour():
    a, b, c1 = 0.4, 0.6, 0.01**2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    found = ssim_map(torch.full((32, 32, 3), a), torch.full((32, 32, 3), b))
    assert found.shape == (32, 32)
    assert torch.allclose(found, torch.full((32, 32), expected), atol=1e-4)


def test_gradient_energy_is_that_of_a_ramp():
    ramp = (torch.arange(5.0) * 0.1)[None, :, None].expand(4, 5, 3)
    assert gradient_energy(ramp) == pytest.approx(4 * 4 * 3 * 0.01, rel=1e-5)


def test_the_mask_follows_the_face_into_the_frame():
    """A frame that shows the crop turned, larger and elsewhere has the crop's mask there."""
    angle, scale = 0.3, 2.0
    turn = scale * torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    )
    crop_to_frame = torch.cat([turn, torch.tensor([[90.0], [10.0]])], 1)[None]
    face = replace(track(1), frame_to_crop=invert(crop_to_frame).float())
    inside = inside_outline(mask_outlines(face)[0], 400, 400)
    in_crop = inside_outline(mask_outlines(track(1))[0], SIZE, SIZE)
    assert torch.equal(in_crop, crop_mask(SIZE).bool())
    y, x = inside.nonzero().double().unbind(1)
    back = transform(face.frame_to_crop.double(), torch.stack([x + 0.5, y + 0.5], 1)[None])[0]
    taken = back.floor().long().clamp(0, SIZE - 1)
    assert in_crop[taken[:, 1], taken[:, 0]].float().mean() > 0.98
    assert int(inside.sum()) == pytest.approx(scale**2 * int(in_crop.sum()), rel=0.02)


def test_the_mouths_box_is_the_lips_and_their_margin_cut_to_the_frame():
    lips = torch.tensor([[40.0, 60.0], [60.0, 70.0]])
    assert mouth_box(lips, 100, 100) == (33, 53, 67, 77)
    assert mouth_box(lips - 55, 100, 100) == (0, 0, 12, 22)
    assert mouth_box(lips + 200, 100, 100).empty
    assert torch.allclose(lips_in_crop(track()), lips_in_frame(track()))


def pasted(real: Tensor, step: float) -> Tensor:
    return real + step * crop_mask(SIZE)[..., None]


def test_a_pasted_patch_of_another_colour_shows_as_a_seam():
    real = talking()
    for step in (0.05, -0.05):
        found = figures(pasted(real, step), real)
        assert found["seam"] > 1.3
        assert found["seam step"] == pytest.approx(255 * abs(step), rel=0.05)
    assert figures(pasted(real, 0.1), real)["seam"] > 2


def test_new_lips_inside_the_mask_leave_no_seam_and_another_light_on_all_of_it_neither():
    real = talking()
    found = figures(real.flip(0), real)
    assert found["seam"] == pytest.approx(1, abs=0.01) and found["seam step"] < 0.1
    assert found["PSNR mouth"] < 40
    lighter = figures(real + 0.02, real)
    assert lighter["seam"] == pytest.approx(1, abs=0.01) and lighter["seam step"] < 0.01


def test_blur_takes_sharpness_and_flicker_adds_motion():
    real = talking()
    blurred = torch.nn.functional.avg_pool2d(
        real.permute(0, 3, 1, 2), 3, 1, 1, count_include_pad=False
    ).permute(0, 2, 3, 1)
    assert figures(blurred, real)["sharpness"] < 0.7
    flicker = real + 2 * torch.stack([texture(seed) for seed in range(COUNT)])
    noisy = figures(flicker, real)
    assert noisy["motion energy"] > 1.3
    assert abs(noisy["motion energy, blurred"] - 1) < 0.2 * (noisy["motion energy"] - 1)
    still = figures(real[:1].expand_as(real), real)
    assert still["motion energy"] == still["motion energy, blurred"] == 0


def test_a_moving_head_is_no_motion_of_the_mouth():
    real = talking()[:1].expand(COUNT, -1, -1, -1)
    shifts = torch.arange(COUNT) * 2
    frames = torch.stack([frame.roll(int(s), 1) for frame, s in zip(real, shifts, strict=True)])
    face = track()
    matrices, landmarks = face.frame_to_crop.clone(), face.landmarks.clone()
    matrices[:, 0, 2] -= shifts
    landmarks[..., 0] += shifts[:, None]
    moved = replace(face, frame_to_crop=matrices, landmarks=landmarks)
    shaking = frames + torch.linspace(0, 0.01, COUNT)[:, None, None, None]
    # The real mouth does not move at all in its crop: there is nothing to compare with.
    assert math.isnan(figures(shaking, frames, face=moved)["motion energy"])
    assert figures(shaking, frames)["motion energy"] == pytest.approx(1, abs=0.05)


def test_chunks_do_not_change_the_figures():
    real = talking()
    ours = real.flip(0)
    assert figures(ours, real, chunk=1) == figures(ours, real, chunk=4) == figures(ours, real)


def test_unseen_faces_and_cuts_are_left_out():
    real = talking()
    ours = real.clone()
    ours[2] = 0
    face = track()
    visible = torch.ones(COUNT, dtype=torch.bool)
    visible[2] = False
    found = figures(ours, real, face=replace(face, visible=visible))
    assert found["PSNR mask"] == PSNR_CAP and found["PSNR frame"] < PSNR_CAP
    assert found["motion energy"] == found["seam"] == 1
    nowhere = figures(ours, real, face=replace(face, visible=torch.zeros_like(visible)))
    assert math.isfinite(nowhere["PSNR frame"]) and math.isfinite(nowhere["SSIM frame"])
    assert all(math.isnan(v) for k, v in nowhere.items() if not k.endswith("frame"))
    jump = torch.cat([real[:3], 1 - real[3:]])
    cut = figures(jump, real, face=replace(face, cuts=(3,)))
    assert cut["motion energy"] < figures(jump, real)["motion energy"] / 2


def test_clips_that_do_not_fit_are_refused():
    real = talking()
    with pytest.raises(ValueError, match="same frames"):
        PictureMeter(track()).add(real, real, range(COUNT - 1))
    with pytest.raises(ValueError, match="0 comes next"):
        PictureMeter(track()).add(real[2:], real[2:], range(2, COUNT))
    with pytest.raises(ValueError, match="of 5"):
        PictureMeter(track()).add(
            real.repeat(2, 1, 1, 1), real.repeat(2, 1, 1, 1), range(2 * COUNT)
        )
