"""A part of a clip is exactly the frames and the sound of that part."""

from fractions import Fraction

import pytest
import torch

from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.media.trimming import trim_clip
from lipsync_core.types import Audio

FPS = Fraction(30000, 1001)


def numbered(count: int = 60, sound: bool = True) -> TensorClip:
    """Frame i is of brightness i / 1000; sample i of the sound is i / 1e6."""
    frames = torch.arange(count)[:, None, None, None].expand(-1, 2, 2, 3) / 1000
    samples = torch.arange(round(count / FPS * 16000)) / 1e6
    return TensorClip(frames, FPS, Audio(samples, 16000) if sound else None)


def numbers(clip) -> list[int]:
    return (clip.frames(0, clip.frame_count)[:, 0, 0, 0] * 1000).round().int().tolist()


@pytest.mark.parametrize(
    ("start", "duration", "first", "count"),
    [
        (0.0, None, 0, 60),
        (0.5, None, 15, 45),
        (0.5, 1.0, 15, 30),
        (1.9, 9.0, 57, 3),
        (1.0, 0.001, 30, 1),
    ],
)
def test_frames_are_those_of_the_part(start, duration, first, count):
    part = trim_clip(numbered(), start, duration)
    assert numbers(part) == list(range(first, first + count))
    assert part.fps == FPS


def test_sound_begins_and_ends_with_the_frames():
    part = trim_clip(numbered(), 0.5, 1.0)
    audio = part.audio()
    assert audio is not None
    first = float(audio.waveform[0]) * 1e6
    assert abs(first / 16000 - float(15 / FPS)) < 1 / 16000
    assert abs(audio.duration - part.duration) < 1 / 16000


def test_a_part_of_a_part_is_a_part():
    part = trim_clip(trim_clip(numbered(), 0.5), 0.5, 0.2)
    assert numbers(part) == list(range(30, 36))


def test_a_silent_clip_stays_silent():
    assert trim_clip(numbered(sound=False), 0.5).audio() is None


@pytest.mark.parametrize("start", [-0.1, 2.1, 100.0])
def test_a_start_outside_is_refused(start):
    with pytest.raises(ValueError, match="start"):
        trim_clip(numbered(), start)


def test_frames_beyond_the_part_are_refused():
    with pytest.raises(ValueError, match="frames"):
        trim_clip(numbered(), 0.5, 0.5).frames(0, 16)
