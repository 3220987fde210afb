"""The real ICT-FaceKit: our landmarker sees the heads, and measures the motion that they make."""

import pytest
import torch

from lipsync_core.canonical_pose import canonicalise
from lipsync_core.face.landmarking import FaceLandmarker
from lipsync_core.face.tracking import track_face
from lipsync_core.landmarks import (
    INNER_LEFT,
    INNER_LOWER,
    INNER_RIGHT,
    INNER_UPPER,
    LIPS,
    MOVING,
    STABLE,
    TRACKED,
    canonical,
    opening,
    tracked,
    width,
)
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.motion.measuring import canonical_motion
from lipsync_core.synthesis.appearance import Appearance
from lipsync_core.synthesis.camera import Camera
from lipsync_core.synthesis.face_kit import load_face_kit
from lipsync_core.synthesis.landmark_map import load_landmark_map
from lipsync_core.synthesis.lip_contact import LipContact
from lipsync_core.synthesis.phones import TimedPhone, TimedSpeech
from lipsync_core.synthesis.rendering import render_head
from lipsync_core.synthesis.talking_clip import TalkingClip
from lipsync_core.synthesis.talking_head import TalkingHead
from lipsync_core.synthesis.talking_style import TalkingStyle
from lipsync_core.types import Audio
from lipsync_core.weights import FACE_LANDMARKER, find

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def kit(shared):
    return load_face_kit(shared / "data" / "ict_facekit" / "ict_packed_f16.npz")


@pytest.fixture(scope="module")
def landmark_map():
    return load_landmark_map()


@pytest.fixture(scope="module")
def landmarker():
    return FaceLandmarker.load(find(FACE_LANDMARKER))


def measured(landmarker, picture):
    """TRACKED landmarks in the canonical face, of the one face in a picture."""
    frame = (picture * 255).byte().numpy()
    (face,) = landmarker.find(frame)
    landmarks = torch.from_numpy(landmarker.follow(frame, face).landmarks[list(TRACKED)])
    return canonicalise(landmarks[None]).landmarks


def test_the_map_has_the_shape_of_a_face(kit, landmark_map):
    """The landmarks of the mean head lie where they do on the canonical face."""
    points = landmark_map.of_expressions(kit, torch.zeros(1), kit.expressions())
    away = (canonicalise(points).landmarks[0] - canonical(TRACKED)).norm(dim=1)
    assert away[tracked(STABLE)].mean() < 0.04
    assert away.mean() < 0.09


def test_lips_are_on_the_right_side_of_the_mouth(kit, landmark_map):
    """Whatever the mouth does, upper inner lips stay with the head and lower ones with the jaw."""
    still = landmark_map.of_expressions(kit, torch.zeros(1), kit.expressions())[0]
    open_ = landmark_map.of_expressions(kit, torch.zeros(1), kit.expressions(jawOpen=0.5))[0]
    fall = (open_ - still)[:, 1]
    upper = [TRACKED.index(i) for i in (13, 82, 312, 81, 311, 0, 37, 267)]
    lower = [TRACKED.index(i) for i in (14, 87, 317, 178, 402, 17, 84, 314)]
    assert fall[upper].abs().max() < 0.3
    assert fall[lower].min() > 0.8


def test_the_landmarker_reads_what_the_face_does(kit, landmark_map, landmarker):
    expression = torch.cat(
        [
            kit.expressions(),
            kit.expressions(jawOpen=0.8),
            kit.expressions(mouthPucker=1.0),
            kit.expressions(mouthSmile_L=0.7, mouthSmile_R=0.7),
        ]
    )
    for seed in range(2):
        generator = torch.Generator().manual_seed(seed)
        head = TalkingHead.draw(generator, kit)
        pictures = render_head(
            kit, landmark_map, head.identity, expression, torch.zeros(4, 5),
            Appearance.draw(generator), Camera(view=28.0, centre=(0.0, 0.5)), 256,
        )  # fmt: skip
        still, gaping, puckered, smiling = (measured(landmarker, p) for p in pictures)
        assert opening(still) < 0.06
        assert opening(gaping) > 0.2
        assert width(puckered) < width(still) - 0.05
        assert width(smiling) > width(still) + 0.05


def test_bilabials_close_on_any_head(kit, landmark_map):
    for seed in range(6):
        head = TalkingHead.draw(torch.Generator().manual_seed(seed), kit)
        contact = LipContact.of(kit, landmark_map, head.identity)
        weights = contact.closed(kit.expressions(jawOpen=0.15), torch.ones(1))
        points = canonicalise(landmark_map.of_expressions(kit, head.identity, weights)).landmarks
        upper, lower = (points[0, TRACKED.index(i), 1] for i in (INNER_UPPER, INNER_LOWER))
        assert abs(float(lower - upper)) < 0.02


def test_tracking_measures_the_true_motion(kit, landmark_map, landmarker):
    symbols = ["b", "aa", "p", "iy", "m", "uw", "ae", "sil"]
    phones = tuple(TimedPhone(s, 0.12 * i, 0.12 * (i + 1)) for i, s in enumerate(symbols))
    speech = TimedSpeech(Audio(torch.zeros(round(16_000 * 0.96)), 16_000), phones)
    head = TalkingHead.draw(torch.Generator().manual_seed(1), kit)
    clip = TalkingClip(kit, landmark_map, head, speech, TalkingStyle.neutral(), seed=0, size=224)
    frames = clip.frames(0, clip.frame_count)
    track = track_face(landmarker, TensorClip(frames, clip.fps))
    assert track.visible.all()
    found, true = canonical_motion(track)[0], clip.measurable_motion().float()
    found, true = found - found.mean(dim=0), true - true.mean(dim=0)

    def between(motion, one, other):
        axis = 1 if one == INNER_UPPER else 0
        return motion[:, MOVING.index(other), axis] - motion[:, MOVING.index(one), axis]

    for one, other, least in (
        (INNER_UPPER, INNER_LOWER, 0.95),
        (INNER_LEFT, INNER_RIGHT, 0.7),
    ):
        pair = torch.stack([between(found, one, other), between(true, one, other)])
        assert torch.corrcoef(pair)[0, 1] > least
    error = (found - true)[:, : len(LIPS)].norm(dim=-1).mean()
    assert error < 0.02, f"{100 * error:.2f} % eye distance"
    other_time = (found - true.flip(0))[:, : len(LIPS)].norm(dim=-1).mean()
    assert error < 0.7 * other_time
