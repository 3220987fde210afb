"""Clips one after another: frames, sounds and times as if they had been one file."""

from fractions import Fraction

import pytest
import torch

from lipsync_core.errors import MediaError
from lipsync_core.media.chaining import chain_clips
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.types import Audio

FPS, RATE = Fraction(25), 16_000


def clip(frames: int, seed: int, sound: Audio | None = None, size=(8, 12), fps=FPS):
    generator = torch.Generator().manual_seed(seed)
    return TensorClip(torch.rand(frames, *size, 3, generator=generator), fps, sound)


def tone(seconds: float, level: float, rate: int = RATE):
    return Audio(torch.full((round(seconds * rate),), level), rate)


def test_every_stretch_of_a_chain_is_the_same_stretch_of_all_frames():
    clips = [clip(3, 0), clip(1, 1), clip(5, 2)]
    chain, whole = chain_clips(clips), torch.cat([c.frames(0, c.frame_count) for c in clips])
    assert (chain.frame_count, chain.height, chain.width, chain.fps) == (9, 8, 12, FPS)
    for start in range(10):
        for stop in range(start, 10):
            assert torch.equal(chain.frames(start, stop), whole[start:stop]), (start, stop)


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 10)])
def test_frames_outside_a_chain_are_refused(start, stop):
    with pytest.raises(ValueError, match="of a clip of 9"):
        chain_clips([clip(4, 0), clip(5, 1)]).frames(start, stop)


def test_each_sound_is_heard_with_its_own_pictures():
    """One longer than its pictures, a clip without sound, one shorter and of another rate."""
    clips = [
        clip(5, 0, tone(1.0, 0.1)),
        clip(5, 1),
        clip(10, 2, tone(0.2, 0.3, 2 * RATE)),
    ]
    heard = chain_clips(clips).audio()
    assert heard is not None and heard.sample_rate == RATE
    levels = heard.waveform.unflatten(0, (-1, 3200))[:, 1000:2200]
    assert len(levels) == 4
    expected = torch.tensor([0.1, 0.0, 0.3, 0.0])[:, None].expand_as(levels)
    assert torch.allclose(levels, expected, atol=2e-3)


def test_a_chain_of_silent_clips_is_silent():
    assert chain_clips([clip(2, 0), clip(2, 1)]).audio() is None


def test_a_single_clip_stays_what_it_is():
    alone = clip(2, 0)
    assert chain_clips([alone]) is alone


@pytest.mark.parametrize(
    "other", [{"size": (12, 8)}, {"fps": Fraction(30)}], ids=["another size", "another rate"]
)
def test_clips_that_cannot_follow_are_refused_with_what_was_found(other):
    with pytest.raises(MediaError, match=r"12x8 at 25 fps, .*one size and frame rate"):
        chain_clips([clip(2, 0), clip(2, 1, **other)])


def test_a_chain_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        chain_clips([])
