"""The way into the aligned crop and back: exact geometry, on both warps, without aliasing."""

import cv2
import pytest
import torch
from kornia.filters import gaussian_blur2d

from lipsync_core.canonical_pose import canonicalise, fit_similarity
from lipsync_core.compositing.warping import Box, warp_picture
from lipsync_core.crop_geometry import stable_template
from lipsync_core.face.alignment import (
    crop_faces,
    fit_frame_to_crop,
    invert,
    shrink_sigma,
    transform,
    warp_kornia,
)
from lipsync_core.landmarks import MOVING, STABLE, TRACKED, canonical, tracked

# OpenCV before 5 rounds positions to 1/32 pixel inside warpAffine, 5 does not.
CV2_ACCURACY = 1e-3 if int(cv2.__version__.split(".")[0]) >= 5 else 1 / 50


def similarity(scale: float, degrees: float, x: float, y: float) -> torch.Tensor:
    angle = torch.deg2rad(torch.tensor(degrees, dtype=torch.float64))
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    return torch.stack([cos, -sin, torch.tensor(x), sin, cos, torch.tensor(y)]).view(1, 2, 3)


def positions(height: int, width: int) -> torch.Tensor:
    """A picture whose red and green are the x and y of its pixel centres, over 100."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x + 0.5, y + 0.5, torch.zeros_like(x)], dim=-1).float()[None] / 100


def centres(size: int) -> torch.Tensor:
    """The pixel centres of a crop, 1 (size * size) 2."""
    return positions(size, size)[..., :2].reshape(1, -1, 2).double() * 100


def rotations(count: int, seed: int = 0) -> torch.Tensor:
    random = torch.randn(count, 3, 3, generator=torch.Generator().manual_seed(seed)).double()
    q, _ = torch.linalg.qr(random)
    return q * torch.linalg.det(q)[:, None, None]


matrices = pytest.mark.parametrize(
    "matrix",
    [similarity(1, 0, -20.25, -10.5), similarity(1.7, 12, -60, -40), similarity(1.05, -31, 10, 60)],
)


@matrices
def test_a_matrix_and_its_inverse_cancel(matrix):
    points = torch.rand(1, 50, 2, generator=torch.Generator().manual_seed(0)).double() * 1000
    assert (transform(invert(matrix), transform(matrix, points)) - points).abs().max() < 1e-6


@matrices
def test_each_crop_pixel_shows_the_place_the_matrix_says(matrix):
    size = 64
    crop = crop_faces(positions(200, 240), matrix, size)[0]
    wanted = transform(
        invert(matrix), positions(size, size)[..., :2].reshape(1, -1, 2).double() * 100
    )
    shown = crop[..., :2].reshape(1, -1, 2).double() * 100
    # The ramp has no place outside the outermost pixel centres, which cubic weights reach past.
    inside = ((wanted > 2) & (wanted < torch.tensor([238, 198]))).all(dim=-1)
    assert inside.float().mean() > 0.2
    assert (shown - of_a_ramp(wanted))[inside].abs().max() < CV2_ACCURACY


def of_a_ramp(places: torch.Tensor) -> torch.Tensor:
    """What the cubic kernel of cv2 and torch (a = -3/4) reads at places of a ramp of pixel
    coordinates: only Keys' own (-1/2) reads the places themselves."""
    whole = (places - 0.5).floor()
    part = places - 0.5 - whole
    shown = torch.zeros_like(places)
    for tap in (-1, 0, 1, 2):
        far = (part - tap).abs()
        near = (1.25 * far - 2.25) * far.square() + 1
        shown += torch.where(far <= 1, near, -0.75 * (((far - 5) * far + 8) * far - 4)) * tap
    return whole + 0.5 + shown


@pytest.mark.parametrize("scale", [0.3, 0.75, 1.0, 2.2])
def test_both_warps_agree(scale):
    frame = torch.rand(1, 150, 170, 3, generator=torch.Generator().manual_seed(1))
    # Smooth, so that a difference in value is a difference in place.
    frame = torch.nn.functional.avg_pool2d(frame.permute(0, 3, 1, 2), 9, 1, 4).permute(0, 2, 3, 1)
    matrix = similarity(scale, 17, 5.3, -12.1)
    by_cv2 = crop_faces(frame, matrix, 96)[0]
    by_kornia = warp_kornia(frame[0], matrix[0], shrink_sigma(scale), 96)
    slope = (frame[:, 1:] - frame[:, :-1]).abs().max()
    assert (by_cv2 - by_kornia).abs().max() < 2 * slope * CV2_ACCURACY + 1e-5


def test_kornias_warp_shows_the_place_the_matrix_says():
    matrix = similarity(1.3, 21, -30, -45)
    crop = warp_kornia(positions(200, 240)[0], matrix[0], 0.0, 64)
    wanted = transform(invert(matrix), positions(64, 64)[..., :2].reshape(1, -1, 2).double() * 100)
    shown = crop[..., :2].reshape(1, -1, 2).double() * 100
    inside = ((wanted > 2) & (wanted < torch.tensor([238, 198]))).all(dim=-1)
    assert (shown - of_a_ramp(wanted))[inside].abs().max() < 1e-3


def test_fine_texture_does_not_alias_when_shrunk():
    """A checkerboard of single pixels, four to a crop pixel, comes out grey wherever it lies."""
    board = ((torch.arange(400)[:, None] + torch.arange(400)) % 2).float()
    frame = board[None, :, :, None].expand(1, 400, 400, 3)
    for shift in (0.0, 0.13, 0.5):
        crop = crop_faces(frame, similarity(0.25, 3, shift, shift), 80)
        assert (crop[:, 5:-5, 5:-5] - 0.5).abs().max() < 0.02


def test_a_constant_stays_constant_even_outside_the_frame():
    frame = torch.full((1, 40, 50, 3), 0.25)
    for matrix in (similarity(0.5, 10, 30, 30), similarity(2, -40, -500, 900)):
        assert torch.allclose(crop_faces(frame, matrix, 32), torch.tensor(0.25), atol=1e-6)


def test_no_frames_make_no_crops():
    assert crop_faces(torch.zeros(0, 9, 9, 3), torch.zeros(0, 2, 3), 16).shape == (0, 16, 16, 3)


def test_the_fit_finds_the_similarity_that_made_the_points():
    truth = similarity(0.6, 25, 40, -13)
    template = stable_template(256).double()[None]
    found = fit_frame_to_crop(transform(invert(truth), template), 256)
    assert torch.allclose(found, truth, atol=1e-9)


def test_a_raised_brow_moves_the_crop_little():
    points = stable_template(256).double()[None].repeat(2, 1, 1)
    points[1, :10, 1] -= 12  # 0.1 eye distances
    first, raised = fit_frame_to_crop(points, 256)
    mouth = torch.tensor([[[128.0, 180.0]]]).double()
    moved = transform(raised[None], mouth) - transform(first[None], mouth)
    assert moved.norm() < 4


def test_pose_is_taken_out_of_landmarks_exactly_and_speech_is_not():
    face = canonical(TRACKED).double()
    spoken = face.clone()
    spoken[tracked(MOVING), 1] += 0.1
    turned = 80 * torch.einsum("tij,kj->tki", rotations(6), spoken) + 300
    found = canonicalise(turned).landmarks
    assert (found - spoken).abs().max() < 1e-9


def test_yaw_and_pitch_are_read_in_degrees():
    angle = torch.deg2rad(torch.tensor(30.0)).double()
    cos, sin = torch.cos(angle), torch.sin(angle)
    # Right-handed axes x right, y down, z away: this turns the gaze, -z, towards +x.
    yaw = torch.stack([cos, 0 * cos, -sin, 0 * cos, 0 * cos + 1, 0 * cos, sin, 0 * cos, cos])
    face = canonical(TRACKED).double()
    pose = canonicalise((face @ yaw.view(3, 3).T)[None])
    assert pose.yaw.item() == pytest.approx(30, abs=1e-6)
    assert pose.pitch.item() == pytest.approx(0, abs=1e-6)
    nod = torch.stack([0 * cos + 1, 0 * cos, 0 * cos, 0 * cos, cos, -sin, 0 * cos, sin, cos])
    pose = canonicalise((face @ nod.view(3, 3).T)[None])
    assert pose.pitch.item() == pytest.approx(30, abs=1e-6)
    assert pose.yaw.item() == pytest.approx(0, abs=1e-6)


def test_a_fit_never_mirrors():
    face = canonical(STABLE).double()
    mirrored = (face * torch.tensor([-1.0, 1, 1]))[None]
    assert torch.linalg.det(fit_similarity(mirrored, face).rotation) == pytest.approx(1)


@pytest.mark.parametrize("scale", [0.95, 1.4, 1.9])
def test_edges_survive_the_way_into_the_crop_and_back(scale):
    """A face smaller than the crop: cut by linear interpolation it keeps .56 to .65."""
    frame = torch.rand(1, 150, 150, 3, generator=torch.Generator().manual_seed(2))
    # What a camera shows: no finer than its lens.
    frame = gaussian_blur2d(frame.permute(0, 3, 1, 2), (7, 7), (1.0, 1.0)).permute(0, 2, 3, 1)
    matrix = similarity(scale, 7, -60.3, -40.2)
    crop = crop_faces(frame, matrix, 96)[0].numpy()
    low, high = transform(invert(matrix), torch.tensor([[[20.0, 20], [76, 76]]]).double())[0]
    left, top = low.ceil().int().tolist()
    right, bottom = high.floor().int().tolist()
    box = Box(left, top, right, bottom)
    back = torch.from_numpy(warp_picture(crop, matrix[0].numpy(), box))
    kept, had = (
        sum(x.diff(dim=axis).square().sum() for axis in (0, 1))
        for x in (back, frame[0][box.slices])
    )
    assert 0.85 < kept / had < 1.2
