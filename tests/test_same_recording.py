"""One talk in two files is known by its sound, whatever was done to it since."""

import torch

from lipsync_core.evaluation.same_recording import same_recording
from lipsync_core.types import Audio

RATE = 16_000


def noise(seconds: float, seed: int) -> torch.Tensor:
    """Noise that swells as syllables do."""
    generator = torch.Generator().manual_seed(seed)
    count = round(seconds * RATE)
    swell = (torch.arange(count) / RATE * 4 * torch.pi).sin().square()
    return 0.2 * swell * torch.randn(count, generator=generator)


def test_another_cut_of_one_talk_is_known_at_any_loudness_and_rate():
    talk = noise(4, seed=0)
    cut = Audio(0.3 * talk[RATE:], RATE)
    assert same_recording(Audio(talk, RATE), cut)
    hiss = 0.1 * noise(4, seed=5)
    assert same_recording(cut, Audio(talk + hiss, RATE))
    assert same_recording(Audio(talk, RATE), Audio(torch.repeat_interleave(talk, 2), 2 * RATE))


def test_another_talk_of_the_same_rhythm_is_not():
    assert not same_recording(Audio(noise(4, seed=0), RATE), Audio(noise(3, seed=1), RATE))


def test_a_hum_that_both_share_is_no_talk():
    hum = 0.05 * torch.sin(torch.arange(4 * RATE) / RATE * 2 * torch.pi * 50)
    first, second = (Audio(noise(4, seed=seed) + hum, RATE) for seed in (0, 1))
    assert not same_recording(first, second)


def test_without_sound_nothing_is_known():
    silent = Audio(torch.zeros(RATE), RATE)
    assert not same_recording(None, silent)
    assert not same_recording(silent, silent)
    assert not same_recording(silent, Audio(noise(1, seed=0), RATE))
