"""The score of one video: whose sound counts, what is said, what cannot be scored."""

from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest
import torch
from synthetic_face import humming, sway, syllables, talking_face
from tiny_models import tiny_predictor

from lipsync_core import weights
from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.errors import NoFaceError, SpeechError
from lipsync_core.evaluation.measured_face import measure_face
from lipsync_core.evaluation.scoring import LipSyncScore, score_lip_sync
from lipsync_core.evaluation.sync_measures import judge_sync, mouth_at_steps, sync_figures
from lipsync_core.face.choice import FaceChoice
from lipsync_core.face.landmarking import FaceLandmarker
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.sync.expert import PICTURE_HEIGHT, PICTURE_WIDTH, SyncExpert, SyncExpertConfig
from lipsync_core.sync.offset import MOST_OFFSET, SyncScore

HEIGHT, WIDTH = 150, 200


@cache
def clip(frames: int = 40, fps: Fraction = Fraction(25), sound: bool = True) -> TensorClip:
    opening = syllables(frames, fps)
    face = talking_face(opening, sway(frames, HEIGHT, WIDTH, 1.0, fps), HEIGHT, WIDTH, fps)
    return TensorClip(face.frames, fps, humming(opening, fps) if sound else None)


@cache
def landmarker() -> FaceLandmarker:
    return FaceLandmarker.load(weights.find(weights.FACE_LANDMARKER))


@cache
def encoder():
    return load_speech_encoder(weights.find(weights.SPEECH_ENCODER))


@cache
def expert(sees: str = "landmarks") -> SyncExpert:
    torch.manual_seed(0)
    config = SyncExpertConfig(tiny_predictor().config.encoder, sees, width=16, embedding=8)
    return SyncExpert(config).eval()


def score(*given, **named) -> LipSyncScore:
    return score_lip_sync(landmarker(), encoder(), expert(), *given, **named)


def test_a_score_is_told_in_words_numbers_and_a_plot():
    seen = []
    found = score(clip(), None, FaceChoice(), clip(), lambda *done: seen.append(done))
    assert found.offset == 40 * found.sync.offset and found.confidence >= 0
    assert f"Confidence {found.confidence:.1f}" in found.summary
    assert "Beside the real video" in found.summary and "- opening r: 1.00" in found.summary
    picture = found.plot()
    assert picture.shape[0] == 1 and picture.shape[-1] == 3 and 0 <= picture.min() < picture.max()
    assert seen[-1] == (40, 40)


def test_other_speech_takes_the_place_of_the_videos_own():
    own, other = score(clip(), None, FaceChoice()), clip(50).audio()
    assert torch.equal(score(clip(), clip().audio(), FaceChoice()).sync.curve, own.sync.curve)
    swapped = score(clip(), other, FaceChoice())
    assert not torch.equal(swapped.sync.curve, own.sync.curve)
    assert swapped.speech is other


def test_what_cannot_be_scored_is_said():
    with pytest.raises(SpeechError, match="no sound"):
        score(clip(sound=False), None, FaceChoice())
    with pytest.raises(SpeechError, match="longer video"):
        score(clip(20), None, FaceChoice())
    grey = TensorClip(torch.full((30, 120, 160, 3), 0.5), Fraction(25), clip().audio())
    with pytest.raises(NoFaceError):
        score(grey, None, FaceChoice())


@pytest.mark.parametrize("offset", [0, 3, -2, MOST_OFFSET])
def test_an_offset_is_told_with_its_direction(offset):
    face = measure_face(landmarker(), clip())
    curve = torch.zeros(2 * MOST_OFFSET + 1)
    audio = clip().audio()
    assert audio is not None
    summary = LipSyncScore(SyncScore(offset, 1.0, 0.1, curve), face, audio).summary
    told = {0: "no offset", 3: "120 ms after", -2: "80 ms before", MOST_OFFSET: "600 ms or more"}
    assert told[offset] in summary


def test_an_expert_that_sees_pixels_is_shown_the_frame_of_each_step():
    slow = clip()
    face = measure_face(landmarker(), slow)
    pictures = mouth_at_steps(slow, face)
    assert pictures.shape == (len(face.valid), PICTURE_HEIGHT, PICTURE_WIDTH)
    assert (pictures.diff(dim=0).abs().amax(dim=(1, 2)) > 0.01).all(), "the mouth moves"
    fast = TensorClip(clip().frames(0, 40).repeat_interleave(2, 0), Fraction(50))
    twice = {
        name: getattr(face.track, name).repeat_interleave(2, 0)
        for name in ("landmarks", "frame_to_crop", "visible")
    }
    seen = replace(face, track=replace(face.track, fps=Fraction(50), **twice))
    assert torch.allclose(mouth_at_steps(fast, seen), pictures)
    audio = slow.audio()
    assert audio is not None
    assert judge_sync(expert("pixels"), encoder(), slow, face, audio) is not None


def test_figures_of_a_score_are_in_milliseconds():
    curve = torch.zeros(2 * MOST_OFFSET + 1)
    late = sync_figures(SyncScore(-2, 1.5, 0.1, curve))
    assert late["sync offset"] == -80 and late["sync offset, absolute"] == 80
    assert late["sync within 40 ms"] == 0
    assert sync_figures(SyncScore(1, 1.5, 0.1, curve))["sync within 40 ms"] == 1
    assert all(value != value for value in sync_figures(None).values())
