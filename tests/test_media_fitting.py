"""Fitting a clip to the length of the speech, in four ways."""

from fractions import Fraction

import pytest
import torch
from synthetic_media import numbered_frames, read_numbers, write_numbered_video

from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.fitting import fit_clip
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.types import Audio, Clip

ORDER = {
    "cut": [0, 1, 2, 3, 4],
    "freeze": [0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4],
    "ping-pong": [0, 1, 2, 3, 4, 3, 2, 1, 0, 1, 2, 3],
    "loop": [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1],
}


def small_clip(count: int = 5, fps: Fraction = Fraction(25)) -> TensorClip:
    return TensorClip(numbered_frames(count), fps, Audio(torch.ones(100), 1000))


@pytest.mark.parametrize("policy", ORDER)
def test_each_policy_goes_on_in_its_own_way(policy):
    fitted = fit_clip(small_clip(), 12 / 25, policy)
    assert fitted.frame_count == len(ORDER[policy])
    assert read_numbers(fitted.frames(0, fitted.frame_count)) == ORDER[policy]
    assert (fitted.fps, fitted.height, fitted.width) == (25, 48, 80)


@pytest.mark.parametrize("policy", ORDER)
def test_a_longer_video_is_cut(policy):
    fitted = fit_clip(small_clip(), 3 / 25, policy)
    assert read_numbers(fitted.frames(0, fitted.frame_count)) == [0, 1, 2]


@pytest.mark.parametrize("policy", ORDER)
@pytest.mark.parametrize("count", [1, 2])
def test_the_shortest_clips_can_be_extended(policy, count):
    fitted = fit_clip(small_clip(count), 7 / 25, policy)
    numbers = read_numbers(fitted.frames(0, fitted.frame_count))
    assert len(numbers) == (count if policy == "cut" else 7) and set(numbers) <= {0, 1}


@pytest.mark.parametrize("policy", ["freeze", "ping-pong", "loop"])
@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(25), Fraction(60)], ids=str)
@pytest.mark.parametrize("duration", [0.0, 0.004, 1.0, 2.345, 61.71])
def test_the_length_is_the_speech_to_the_nearest_frame(policy, fps, duration):
    fitted = fit_clip(small_clip(fps=fps), duration, policy)
    assert fitted.frame_count == max(1, round(duration * fps))
    assert fitted.frame_count == 1 or abs(fitted.duration - duration) <= 0.5 / fps + 1e-9


@pytest.mark.parametrize("policy", ORDER)
def test_any_window_equals_its_part_of_the_whole(policy):
    pictures = torch.arange(6.0)[:, None, None, None].expand(6, 1, 1, 3)
    fitted = fit_clip(TensorClip(pictures, Fraction(25)), 24 / 25, policy)
    whole = fitted.frames(0, fitted.frame_count)
    for start in range(fitted.frame_count):
        for stop in range(start, min(start + 8, fitted.frame_count) + 1, 3):
            assert torch.equal(fitted.frames(start, stop), whole[start:stop])


@pytest.mark.parametrize("policy", ["ping-pong", "loop", "freeze"])
def test_a_file_read_in_blocks_equals_the_file_indexed(tmp_path, policy):
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 30, gop=11))
    whole = clip.frames(0, 30)
    fitted = fit_clip(clip, 100 / 25, policy)
    blocks = [fitted.frames(at, min(100, at + 7)) for at in range(0, 100, 7)]
    order = {
        "ping-pong": [*range(30), *range(28, -1, -1), *range(1, 30), *range(28, 16, -1)],
        "loop": [i % 30 for i in range(100)],
        "freeze": [min(i, 29) for i in range(100)],
    }[policy]
    assert torch.equal(torch.cat(blocks), whole[order])


class CountingClip(Clip):
    """Notes what is asked of it."""

    def __init__(self, clip: Clip):
        self.clip, self.asked = clip, []
        self.fps, self.frame_count = clip.fps, clip.frame_count
        self.height, self.width = clip.height, clip.width

    def frames(self, start, stop):
        self.asked.append((start, stop))
        return self.clip.frames(start, stop)

    def audio(self):
        return self.clip.audio()


def test_each_run_is_read_once_and_nothing_else():
    clip = CountingClip(small_clip())
    fit_clip(clip, 20 / 25, "ping-pong").frames(2, 11)
    assert clip.asked == [(2, 5), (0, 4), (1, 3)]
    clip.asked.clear()
    fit_clip(clip, 20 / 25, "freeze").frames(3, 20)
    assert clip.asked == [(3, 5), (4, 5)]
    clip.asked.clear()
    assert len(fit_clip(clip, 20 / 25, "loop").frames(4, 4)) == 0


def test_the_old_sound_is_gone():
    assert fit_clip(small_clip(), 0.1, "cut").audio() is None


def test_wrong_arguments_are_refused():
    for duration in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="duration"):
            fit_clip(small_clip(), duration, "loop")
    fitted = fit_clip(small_clip(), 1.0, "loop")
    for start, stop in ((-1, 3), (0, 26), (5, 4)):
        with pytest.raises(ValueError, match="frames"):
            fitted.frames(start, stop)


def test_a_tensor_clip_gives_what_it_was_given():
    clip = small_clip(5)
    assert clip.frame_count == 5 and clip.duration == pytest.approx(0.2)
    assert torch.equal(clip.frames(1, 4), numbered_frames(3, first=1))
    sound = clip.audio()
    assert sound and sound.sample_rate == 1000
    with pytest.raises(ValueError, match="at least one"):
        TensorClip(torch.zeros(0, 4, 4, 3), Fraction(25))
    with pytest.raises(ValueError, match="frames"):
        clip.frames(3, 6)
