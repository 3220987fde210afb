"""Heads that turn away and come back: nothing pops, nothing flickers, the background stays."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor

from lipsync_core.canonical_pose import canonicalise
from lipsync_core.compositing.blending import composite
from lipsync_core.compositing.presence import FADE, presence
from lipsync_core.compositing.silhouette import inside_face
from lipsync_core.crop_geometry import CROP_SIDE, crop_points
from lipsync_core.face.alignment import crop_faces, fit_frame_to_crop, transform
from lipsync_core.face.tracking import BACK_YAW, MAX_YAW, _turned_away
from lipsync_core.landmarks import JAW, LIPS, STABLE, TRACKED, canonical, tracked
from lipsync_core.types import FaceTrack

FPS = Fraction(25)
EYES = 60.0
"""Eye distance in pixels."""


def turned(yaw: Tensor) -> Tensor:
    """TRACKED landmarks of the canonical face turned by `yaw` degrees, in frames of 200 pixels."""
    angle = torch.deg2rad(yaw)
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    columns = [cos, zero, -sin, zero, zero + 1, zero, sin, zero, cos]
    rotation = torch.stack(columns, dim=-1).view(-1, 3, 3)
    face = torch.einsum("tij,kj->tki", rotation, canonical(TRACKED))
    return EYES * face + torch.tensor([100.0, 60.0, 0.0])


def track_of(visible: Tensor, cuts: tuple[int, ...] = (), fps: Fraction = FPS) -> FaceTrack:
    landmarks = turned(torch.zeros(len(visible)))
    matrix = fit_frame_to_crop(landmarks[:, tracked(STABLE), :2], 128)
    return FaceTrack(landmarks, matrix, visible, cuts, landmarks[0], 128, fps)


def test_a_head_counts_as_turned_away_once_until_it_is_well_back():
    swing = [0, 44, 46, 49, 51, 48, 46, 49, 52, 47, 44, 46, 49, 0]
    yaw = torch.tensor(swing, dtype=torch.float32)
    for side in (1, -1):
        landmarks = turned(side * yaw)
        assert torch.allclose(canonicalise(landmarks).yaw.float(), side * yaw, atol=0.1)
        away = _turned_away(landmarks, torch.ones(len(yaw), dtype=torch.bool), ())
        assert away.tolist() == [4 <= frame <= 9 for frame in range(len(yaw))]
    cut = _turned_away(turned(yaw), torch.ones(len(yaw), dtype=torch.bool), (6,))
    assert cut.tolist() == [frame in (4, 5, 8, 9) for frame in range(len(yaw))]
    assert BACK_YAW == 45 < MAX_YAW


def test_a_frame_without_a_face_does_not_bring_the_head_back():
    yaw = torch.tensor([0.0, 60.0, 47.0, 47.0, 47.0])
    found = torch.tensor([True, True, False, True, True])
    assert _turned_away(turned(yaw), found, ())[[1, 3, 4]].all()


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(60)], ids=str)
def test_the_new_face_fades_where_it_comes_and_goes_inside_a_shot(fps):
    count = round(2 * fps)
    visible = torch.ones(count, dtype=torch.bool)
    gone, back = round(0.8 * fps), round(1.2 * fps)
    visible[gone:back] = False
    share = presence(track_of(visible, fps=fps), slice(0, count))
    assert not share[gone:back].any()
    assert (share[visible] > 0).all()
    fade = int(FADE * fps) + 1
    assert (share[: gone - fade] == 1).all() and (share[back + fade :] == 1).all()
    assert share.diff().abs().max() < 2 / (FADE * fps)
    assert (share[:gone].diff() <= 0).all() and (share[back:].diff() >= 0).all()


def test_nothing_fades_at_cuts_and_at_the_ends():
    visible = torch.tensor([True] * 20 + [False] * 10 + [True] * 20)
    share = presence(track_of(visible, cuts=(20, 30)), slice(0, 50))
    assert torch.equal(share, visible.float())
    assert presence(track_of(torch.ones(3, dtype=torch.bool)), slice(0, 3)).tolist() == [1, 1, 1]
    assert not presence(track_of(torch.zeros(3, dtype=torch.bool)), slice(0, 3)).any()


def test_the_share_of_a_span_is_that_of_the_whole():
    generator = torch.Generator().manual_seed(0)
    visible = torch.rand(80, generator=generator) > 0.06
    track = track_of(visible, cuts=(13, 47))
    whole = presence(track, slice(0, 80))
    parts = [presence(track, slice(start, start + 7)) for start in range(0, 77, 7)]
    assert torch.equal(torch.cat(parts), whole[:77])


def crop_of(landmarks: Tensor) -> Tensor:
    return fit_frame_to_crop(landmarks[:, tracked(STABLE), :2], 128)


@pytest.mark.parametrize("yaw", [0.0, 25.0, -45.0])
def test_the_face_is_told_from_the_background(yaw):
    landmarks = turned(torch.tensor([yaw]))
    matrix = crop_of(landmarks)[0].numpy()
    points = landmarks[0, :, :2].double().numpy()
    weight = inside_face(points, matrix, 128)
    in_crop = points @ matrix[:, :2].T + matrix[:, 2]
    for x, y in in_crop[tracked(LIPS + JAW)]:
        column, row = min(max(int(x), 0), 127), min(max(int(y), 0), 127)
        assert weight[row, column] == 1
    for x in in_crop[tracked(JAW), 0]:
        assert weight[127, min(max(int(x), 0), 127)] == 1  # the neck below
    mouth = int(in_crop[tracked(LIPS), 1].mean())
    left, right = in_crop[:, 0].min(), in_crop[:, 0].max()
    beyond = 0.05 * 128
    columns = torch.arange(128) + 0.5
    background = ((columns < left - beyond) | (columns > right + beyond)).numpy()
    assert not weight[mouth, background].any()
    assert yaw == 0 or background.any()


def spread(weight):
    """The largest of each pixel and its neighbours, as far as interpolation reaches."""
    return cv2.dilate(weight, np.ones((3, 3), np.uint8))


def test_behind_a_turned_head_the_background_stays_and_a_faint_face_is_mixed():
    landmarks = turned(torch.tensor([45.0, 45.0]))
    matrix = crop_of(landmarks)
    generator = torch.Generator().manual_seed(0)
    frames = torch.rand(2, 200, 200, 3, generator=generator) * 0.2 + 0.3
    source = crop_faces(frames, matrix, 128)
    share = torch.tensor([1.0, 0.25])
    rendered = torch.full_like(source, 0.9)
    rendered[:, :, :2] = source[:, :, :2]
    points = landmarks[..., :2]
    result = composite(frames, rendered, source, matrix, share, None, points)
    free = composite(frames, rendered, source, matrix, share)
    change, without = (result - frames).abs().amax(-1), (free - frames).abs().amax(-1)
    centres = torch.arange(200) + 0.5
    grid = torch.stack(torch.meshgrid(centres, centres, indexing="xy"), dim=-1)
    columns, rows = transform(matrix[:1].float(), grid.reshape(1, -1, 2))[0].long().unbind(-1)
    face = inside_face(points[0].double().numpy(), matrix[0].numpy(), 128)
    background = torch.from_numpy(spread(face)) == 0
    inside = ((columns >= 0) & (columns < 128) & (rows >= 0) & (rows < 128)).view(200, 200)
    far = inside & background[rows.clamp(0, 127), columns.clamp(0, 127)].view(200, 200)
    assert without[0][far].max() > 0.05
    assert not change[:, far].any()
    mouth = tuple(points[0, tracked(LIPS)].mean(0).int().tolist())[::-1]
    assert change[1][mouth] == pytest.approx(0.25 * float(change[0][mouth]), abs=0.01)


def test_crop_geometry_is_what_these_tests_assume():
    corner = crop_points(torch.tensor([[0.0, 0.0], [1.0, 0.0]]), 128)
    assert float(corner[1, 0] - corner[0, 0]) == pytest.approx(128 / CROP_SIDE)
