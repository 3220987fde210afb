"""What is held while a long video is re-spoken: numbers of each frame, nothing of the sound."""

import gc
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from test_pipeline import FPS, models, speech, talking_clip
from test_streaming import held_bytes

from lipsync_core import pipeline
from lipsync_core.audio.features import encode_speech
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.motion.measuring import measure_lip_motion
from lipsync_core.motion.prediction import predict_lip_motion
from lipsync_core.pipeline import (
    LipSyncSettings,
    hear_and_predict,
    lip_sync,
    most_seen,
    own_style,
    part_of_track,
)
from lipsync_core.render import references
from lipsync_core.types import Sound

BYTES_PER_FRAME = 1350
"""What pipeline.py says. Ten minutes at 25 frames a second are 20 MB."""


class LongSound(Sound):
    """Sound in stereo of any length, made while it is read."""

    sample_rate = 48_000
    channel_count = 2
    sample_count = 0

    def __init__(self, seconds: float):
        self.sample_count = round(seconds * self.sample_rate)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[torch.Tensor]:
        end = self.sample_count if stop is None else stop
        for place in range(start, end, 9600):
            time = torch.arange(place, min(place + 9600, end)) / self.sample_rate
            yield 0.3 * torch.sin(900 * time + 40 * torch.sin(3 * time)).expand(2, -1)


def test_a_frame_leaves_a_few_numbers(monkeypatch: pytest.MonkeyPatch):
    """From 2 s of speech to 6, in the clip's own style; the sound is made while it is read. The
    pool of references, which does not grow for ever, is full in both."""
    monkeypatch.setattr(references, "POOL", 48)
    clip = talking_clip(30)
    held = {}
    for seconds in (2, 6):
        before = held_bytes()
        work = lip_sync(models(), clip, LongSound(seconds), LipSyncSettings())
        held[seconds] = held_bytes() - before
        assert work.clip.frame_count == 25 * seconds
        del work
        gc.collect()
    assert 0 < held[6] - held[2] < BYTES_PER_FRAME * 25 * 4


def test_nothing_of_the_speech_stays_while_its_motion_is_predicted():
    """Sound, features and tokens of 24 s and of 48 s: what is held at any layer is the same."""
    most = {}
    predictor = models().predictor
    for seconds in (24, 48):
        before, seen = held_bytes(), [0]
        hooks = [
            module.register_forward_hook(
                lambda *_, before=before, seen=seen: seen.append(held_bytes() - before)
            )
            for module in (predictor.speech_in, predictor.motion_out)
        ]
        motion = hear_and_predict(models(), LongSound(seconds), None, 1.0)
        for hook in hooks:
            hook.remove()
        assert len(motion.coefficients) == len(motion.valid) == 25 * seconds
        most[seconds] = max(seen)
        del motion
    features_of_the_rest = 4 * 768 * 25 * 24
    assert most[48] - most[24] < 0.02 * features_of_the_rest


def test_motion_of_heard_speech_is_that_of_encoded_speech():
    new = LongSound(10.3)
    streamed = hear_and_predict(models(), new, None, 1.0)
    whole = predict_lip_motion(models().predictor, encode_speech(models().encoder, new))
    assert torch.allclose(streamed.coefficients, whole.coefficients, atol=1e-5)
    assert streamed.basis == whole.basis and streamed.valid.all()


# The video's own style


@pytest.mark.parametrize(
    ("seen", "count", "span"),
    [
        ("1111", 4, (0, 4)), ("1111", 9, (0, 4)), ("0011", 2, (2, 4)), ("1111", 2, (0, 2)),
        ("1001110", 3, (3, 6)), ("0100110", 2, (4, 6)), ("100000011", 3, (6, 9)),
    ],
)  # fmt: skip
def test_the_span_that_shows_the_face_the_most(seen, count, span):
    visible = torch.tensor([digit == "1" for digit in seen])
    assert most_seen(visible, count) == slice(*span)


def test_of_a_long_video_a_span_tells_its_style(monkeypatch):
    """Where the face is seen the most, with what is heard there."""
    clip = talking_clip(30)
    track = lip_sync(models(), clip, speech(1.2), LipSyncSettings()).track
    visible = torch.ones(30, dtype=torch.bool)
    visible[:12] = False
    track = replace(track, visible=visible, cuts=(3, 14))
    monkeypatch.setattr(pipeline, "OWN_STYLE_SECONDS", 0.4)
    style = own_style(models(), clip, clip, track)
    assert style is not None and len(style.clip) == 10 and style.motion.valid.all()

    sound = clip.sound()
    assert sound is not None
    rate = sound.sample_rate
    said = encode_speech(models().encoder, sound.samples(12 * rate // 25, 22 * rate // 25))
    assert torch.equal(style.speech.features, said.features)
    part = part_of_track(track, slice(12, 22))
    assert part.cuts == (2,) and torch.equal(part.landmarks, track.landmarks[12:22])
    moved = measure_lip_motion(part, models().predictor.basis)
    assert torch.equal(style.motion.coefficients, moved.coefficients)


def test_a_short_video_tells_its_style_whole():
    clip = talking_clip(30)
    track = lip_sync(models(), clip, speech(1.2), LipSyncSettings()).track
    style = own_style(models(), clip, clip, track)
    assert style is not None and len(style.clip) == 30
    silent = TensorClip(clip.frames(0, 30), FPS)
    assert own_style(models(), silent, silent, track) is None
