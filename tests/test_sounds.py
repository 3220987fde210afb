"""Sounds that are no speech: the same seed is the same sound, levels hold, kinds sound as named."""

import pytest
import torch

from lipsync_core.training.silence import AFTER, ALONE, BEFORE, SOUND_PIECES, sound_plan
from lipsync_core.training.sounds import KINDS, LEVELS, draw_sound
from lipsync_core.training.sounds.laughter import laughter
from lipsync_core.training.sounds.music import draw_timbre, play
from lipsync_core.training.sounds.noises import clicks
from lipsync_core.training.sounds.waveforms import (
    RATE,
    band,
    coloured_noise,
    harmonics,
    slow_curve,
)

SECONDS = 1.5
kinds = pytest.mark.parametrize("kind", list(KINDS))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def level(waveform: torch.Tensor) -> float:
    return float(waveform.square().mean().sqrt())


def share(waveform: torch.Tensor, low: float, high: float) -> float:
    """Of the power that lies between two frequencies."""
    power = torch.fft.rfft(waveform).abs().square()
    hertz = torch.fft.rfftfreq(len(waveform), 1 / RATE)
    return float(power[(hertz >= low) & (hertz < high)].sum() / power.sum())


@kinds
def test_a_seed_is_a_sound(kind):
    first, same = (draw_sound(kind, SECONDS, seeded(3)).waveform for _ in range(2))
    other = draw_sound(kind, SECONDS, seeded(4)).waveform
    assert torch.equal(first, same)
    assert not torch.allclose(first, other, atol=1e-3)
    assert first.shape == other.shape == (round(SECONDS * RATE),)


@kinds
def test_sounds_are_finite_levelled_and_never_clip(kind):
    levels = []
    for seed in range(6):
        sound = draw_sound(kind, SECONDS, seeded(seed)).waveform
        assert sound.isfinite().all() and sound.abs().max() < 1
        levels.append(level(sound))
    assert LEVELS[0] * 0.5 < min(levels) and max(levels) <= LEVELS[1] * 1.001
    assert max(levels) > 2 * min(levels), "some are loud, some are faint"
    asked = draw_sound(kind, SECONDS, seeded(0), level=0.01).waveform
    assert level(asked) == pytest.approx(0.01, rel=1e-3)


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match=r"'speech'.*music"):
        draw_sound("speech", 1.0, seeded(0))


def test_training_hears_every_kind_in_every_place():
    plan = sound_plan(SOUND_PIECES)
    assert len(plan) == SOUND_PIECES
    assert {(kind, place) for kind in KINDS for place in (ALONE, AFTER, BEFORE)} == set(plan)
    drawn = [kind for kind, _ in plan]
    assert min(drawn.count("music"), drawn.count("laughter")) > 2 * drawn.count("hum")


def test_noise_has_the_colour_asked_for():
    power = []
    for slope in (0.0, 1.0, 2.0):
        noise = coloured_noise(RATE * 4, slope, seeded(0))
        low, high = share(noise, 100, 200), share(noise, 1600, 3200)
        power.append(high / low)
    # An octave four octaves up: 16 times the width, 16^-slope the density.
    assert power == pytest.approx([16, 1, 1 / 16], rel=0.15)


def test_partials_never_fold_down():
    pitch = torch.full((RATE,), 3000.0)
    tone = harmonics(pitch, [1.0] * 10)
    assert share(tone, 2990, 3010) + share(tone, 5990, 6010) > 0.99


def test_a_band_lets_through_what_is_in_it():
    noise = band(torch.randn(RATE * 2, generator=seeded(0)), 500.0, 1000.0, sharpness=6.0)
    assert share(noise, 400, 1200) > 0.95


def test_slow_curves_are_slow():
    curve = slow_curve(RATE * 4, 3.0, seeded(0))
    assert curve.min() >= 0 and curve.max() <= 1
    assert share(curve - curve.mean(), 0, 4) > 0.98


def test_notes_have_their_pitch():
    generator = seeded(1)
    for midi in (57, 69):
        note = play(draw_timbre(generator), midi, 0.5, generator)
        hertz = 440 * 2 ** ((midi - 69) / 12)
        near = sum(share(note, k * hertz * 0.96, k * hertz * 1.06) for k in range(1, 12))
        assert near > 0.7


def test_laughter_comes_in_four_to_six_calls_a_second():
    peaks = []
    for seed in range(8):
        loud = laughter(6.0, seeded(seed)).abs().unflatten(0, (-1, 160)).mean(dim=1)
        power = torch.fft.rfft(loud - loud.mean()).abs().square()
        hertz = torch.fft.rfftfreq(len(loud), 0.01)
        inside = (hertz > 2) & (hertz < 15)
        peaks.append(float(hertz[inside][power[inside].argmax()]))
    assert 3.5 < sum(peaks) / len(peaks) < 7


def test_clicks_are_mostly_silence():
    loud = clicks(4.0, seeded(0)).abs().unflatten(0, (-1, 160)).amax(dim=1)
    assert (loud < 0.1 * loud.max()).float().mean() > 0.5
