"""The synthetic face is as it says: measured with the real landmark network."""

from fractions import Fraction

import pytest
import torch
from synthetic_face import (
    LARGEST_OPENING,
    POINTS,
    REST_OPENING,
    humming,
    portrait,
    sway,
    syllables,
    talking_face,
)

from lipsync_core.face.landmarking import FaceLandmarker
from lipsync_core.face.tracking import track_face
from lipsync_core.landmarks import INNER_LOWER, INNER_UPPER, tracked
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.weights import FACE_LANDMARKER, find

HEIGHT, WIDTH, SCALE = 240, 320, 1.5


@pytest.fixture(scope="module")
def face():
    opening = syllables(36)
    return talking_face(opening, sway(36, HEIGHT, WIDTH, SCALE), HEIGHT, WIDTH)


@pytest.fixture(scope="module")
def landmarks(face):
    landmarker = FaceLandmarker.load(find(FACE_LANDMARKER))
    track = track_face(landmarker, TensorClip(face.frames, face.fps))
    assert track.visible.all()
    return track.landmarks[..., :2]


def test_the_measured_opening_follows_the_one_asked_for(face, landmarks):
    upper, lower = landmarks[:, tracked((INNER_UPPER, INNER_LOWER))].unbind(1)
    left, right = landmarks[:, tracked((33, 263))].unbind(1)
    measured = (lower - upper).norm(dim=-1) / (right - left).norm(dim=-1)
    assert torch.corrcoef(torch.stack([measured, face.opening]))[0, 1] > 0.95
    assert (measured - face.opening).abs().mean() < 0.03
    assert measured[face.opening < 0.01].max() < 0.03


def test_the_head_is_where_it_is_said_to_be(face, landmarks):
    measured = landmarks[:, tracked(tuple(POINTS))]
    eye_distance = (measured[:, 0] - measured[:, 1]).norm(dim=-1).mean()
    away = (measured - face.points()).norm(dim=-1) / eye_distance
    assert away.mean() < 0.015
    assert away.max() < 0.04


def test_at_rest_it_is_the_portrait():
    still = torch.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]])
    face = talking_face(torch.tensor([REST_OPENING]), still, 512, 512)
    original = torch.from_numpy(portrait()) / 255
    assert (face.frames[0] - original).abs().mean() < 1e-3
    assert (face.frames[0] - original).abs().amax(dim=-1).gt(0.1).sum() < 60


def test_only_the_lips_cheeks_and_chin_move(face):
    still = sway(1, HEIGHT, WIDTH, SCALE).expand(2, 2, 3)
    closed, wide = talking_face(torch.tensor([0.0, 0.3]), still, HEIGHT, WIDTH).frames
    moved = (closed - wide).abs().amax(dim=-1) > 1e-6
    eyes_and_nose = face.points()[0].round().long()
    for x, y in eyes_and_nose.tolist():
        assert not moved[y - 3 : y + 4, x - 3 : x + 4].any()
    assert moved.float().mean() > 0.05


def test_the_sound_is_as_loud_as_the_mouth_is_open(face):
    audio = humming(face.opening, face.fps)
    assert audio.duration == pytest.approx(36 / 25)
    loudness = audio.waveform.view(36, -1).square().mean(dim=1).sqrt()
    assert torch.corrcoef(torch.stack([loudness, face.opening]))[0, 1] > 0.9


def test_the_same_seed_says_the_same():
    fps = Fraction(30000, 1001)
    assert torch.equal(syllables(50, fps, seed=1), syllables(50, fps, seed=1))
    assert not torch.equal(syllables(50, fps, seed=1), syllables(50, fps, seed=2))


def test_a_jaw_that_no_face_has_is_refused():
    with pytest.raises(ValueError, match="eye distances"):
        talking_face(torch.tensor([LARGEST_OPENING + 0.1]), sway(1, 64, 64, 1.0), 64, 64)
