"""Another voice says the same words at the same times."""

import pytest
import torch

from lipsync_core.training.voices import VoiceRecipe, another_voice, shift_voice
from lipsync_core.types import Audio

RATE = 16_000
NONE = VoiceRecipe(voice=0.0, room=0.0, noise=0.0, tilt=0.0, telephone=0.0, gain=(0.0, 0.0))


def vowel(pitch: float, formants: tuple[float, ...], seconds: float = 1.5) -> torch.Tensor:
    """Harmonics of `pitch`, strong near the formants (Hz); in syllables of a quarter second."""
    time = torch.arange(round(seconds * RATE)) / RATE
    wave = torch.zeros_like(time)
    for harmonic in range(1, int(7000 / pitch)):
        frequency = harmonic * pitch
        strength = sum(1 / (1 + ((frequency - f) / 150) ** 2) for f in formants)
        wave += strength * torch.sin(2 * torch.pi * frequency * time)
    return 0.05 * wave * (0.55 + 0.45 * torch.cos(2 * torch.pi * 4 * time))


def pitch_of(wave: torch.Tensor) -> float:
    """Hz, by the strongest autocorrelation between 70 and 300 Hz."""
    spectrum = torch.fft.rfft(wave, 2 * len(wave)).abs().square()
    correlation = torch.fft.irfft(spectrum)
    low, high = RATE // 300, RATE // 70
    return RATE / float(low + correlation[low:high].argmax())


def strongest(wave: torch.Tensor) -> float:
    """Hz, where a heavily smoothed spectrum peaks above 400 Hz."""
    power = torch.fft.rfft(wave).abs().square()
    width = round(500 * len(wave) / RATE) | 1
    smooth = torch.nn.functional.avg_pool1d(power[None, None], width, 1, width // 2)[0, 0]
    start = round(400 * len(wave) / RATE)
    return (start + int(smooth[start:].argmax())) * RATE / len(wave)


def loudness(wave: torch.Tensor) -> torch.Tensor:
    return wave.unfold(0, 640, 640).square().mean(dim=1).sqrt()


def test_pitch_moves_and_formants_stay():
    wave = vowel(110, (1500,))
    higher = shift_voice(wave, RATE, 4.0, 0.0)
    assert pitch_of(higher) / pitch_of(wave) == pytest.approx(2 ** (4 / 12), rel=0.03)
    assert strongest(higher) == pytest.approx(strongest(wave), rel=0.08)


def test_formants_move_and_pitch_stays():
    wave = vowel(110, (1500,))
    longer = shift_voice(wave, RATE, 0.0, -0.2)
    assert pitch_of(longer) == pytest.approx(pitch_of(wave), rel=0.02)
    assert strongest(longer) / strongest(wave) == pytest.approx(2.718**-0.2, rel=0.08)


@pytest.mark.parametrize("seed", range(8))
def test_timing_and_length_stay(seed):
    wave = vowel(120, (700, 1800))
    heard = another_voice(
        Audio(wave, RATE), torch.Generator().manual_seed(seed), VoiceRecipe(noise=0.0)
    )
    assert heard.sample_rate == RATE and len(heard.waveform) == len(wave)
    assert torch.isfinite(heard.waveform).all()
    own, other = loudness(wave)[4:-4], loudness(heard.waveform)
    best = [
        float(torch.corrcoef(torch.stack([own, other.roll(shift)[4:-4]]))[0, 1])
        for shift in (-2, -1, 0, 1, 2)
    ]
    assert max(best) == max(best[1:4]) and max(best) > 0.6


def test_same_seed_same_voice_and_other_seeds_differ():
    audio = Audio(vowel(120, (700, 1800)), RATE)
    first, again, other = (
        another_voice(audio, torch.Generator().manual_seed(seed)).waveform for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_no_change_is_none():
    audio = Audio(vowel(120, (700, 1800)), RATE)
    assert torch.equal(another_voice(audio, torch.Generator(), NONE).waveform, audio.waveform)


@pytest.mark.parametrize("part", ["room", "noise", "tilt", "telephone", "voice"])
def test_every_part_changes_the_sound_but_not_silence(part):
    audio = Audio(vowel(120, (700, 1800)), RATE)
    recipe = VoiceRecipe(**{**NONE.__dict__, part: 1.0})
    generator = torch.Generator().manual_seed(3)
    changed = another_voice(audio, generator, recipe).waveform
    assert (changed - audio.waveform).abs().max() > 0.01
    silence = another_voice(Audio(torch.zeros(RATE), RATE), generator, recipe).waveform
    assert silence.abs().max() < 1e-3


def test_noise_is_as_loud_as_said():
    audio = Audio(vowel(120, (700, 1800)), RATE)
    recipe = VoiceRecipe(**{**NONE.__dict__, "noise": 1.0, "signal_to_noise": (10.0, 10.0)})
    heard = another_voice(audio, torch.Generator().manual_seed(0), recipe).waveform
    noise = heard - audio.waveform
    ratio = 10 * torch.log10(audio.waveform.square().mean() / noise.square().mean())
    assert float(ratio) == pytest.approx(10.0, abs=0.1)
