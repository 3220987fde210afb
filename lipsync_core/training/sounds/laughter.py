"""Made-up laughter, applause and coughs: what people do that is no speech.

Laughter after Bachorowski, Smoski and Owren 2001, "The acoustic features of human laughter": bouts
of calls, four to six a second, voiced or only breathed, a pitch well above speech that falls
within calls and over a bout, and vowels near the centre.
"""

import torch

from .waveforms import (
    RATE,
    Waveform,
    add_at,
    band,
    chance,
    decay,
    faded,
    harmonics,
    integer,
    log_uniform,
    resonant,
    samples,
    uniform,
    white_noise,
)


def laughter(seconds: float, generator: torch.Generator) -> Waveform:
    """One to three people, bout after bout."""
    total = torch.zeros(samples(seconds))
    for person in range(1 if chance(generator, 0.7) else integer(generator, 2, 4)):
        sound = _laughing(seconds, generator)
        total += sound * (1.0 if person == 0 else uniform(generator, 0.2, 0.8))
    return total


def _laughing(seconds: float, generator: torch.Generator) -> Waveform:
    total = torch.zeros(samples(seconds))
    pitch = log_uniform(generator, 150.0, 600.0)
    scale = uniform(generator, 0.9, 1.2)
    vowel = [
        (scale * uniform(generator, 450.0, 900.0), 130.0),
        (scale * uniform(generator, 1100.0, 1900.0), 160.0),
        (scale * uniform(generator, 2400.0, 3000.0), 220.0),
    ]
    voiced = uniform(generator, 0.0, 1.0)
    time = uniform(generator, 0.0, 0.3)
    while time < seconds:
        time = _bout(total, time, pitch * uniform(generator, 0.85, 1.2), vowel, voiced, generator)
        time += uniform(generator, 0.1, 0.8)
    return total


def _bout(
    total: Waveform,
    time: float,
    pitch: float,
    vowel: list[tuple[float, float]],
    voiced: float,
    generator: torch.Generator,
) -> float:
    """Calls one after the other, then breath is drawn; returns when it ends."""
    calls = integer(generator, 2, 13)
    interval = uniform(generator, 0.15, 0.27)
    fall = uniform(generator, 0.93, 1.0)
    loudness = uniform(generator, 0.6, 1.0)
    quieter = uniform(generator, 0.85, 1.0)
    for _ in range(calls):
        length = interval * uniform(generator, 0.4, 0.85)
        call = _call(length, pitch, vowel, chance(generator, voiced), generator)
        add_at(total, samples(time), loudness * call)
        pitch, loudness = pitch * fall, loudness * quieter
        time += interval * uniform(generator, 0.9, 1.12)
    if chance(generator, 0.6):
        breath = _breath(uniform(generator, 0.2, 0.5), vowel, generator)
        add_at(total, samples(time), uniform(generator, 0.1, 0.5) * breath)
        time += len(breath) / RATE
    return time


def _call(
    seconds: float,
    pitch: float,
    vowel: list[tuple[float, float]],
    voiced: bool,
    generator: torch.Generator,
) -> Waveform:
    """One "ha": breath that opens into a voice whose pitch rises a little and falls."""
    count = samples(seconds)
    breath = resonant(white_noise(count, generator), vowel) + 0.1 * white_noise(count, generator)
    breath = breath / breath.std() * decay(count, 0.01, seconds / 2)
    if not voiced:
        return faded(breath, 0.015)
    along = torch.linspace(0, 1, count)
    glide = 1 + uniform(generator, 0.0, 0.15) * torch.sin(torch.pi * along) - 0.3 * along**2
    shake = 1 + 0.02 * torch.randn(count // 160 + 1, generator=generator).repeat_interleave(160)
    rolloff = uniform(generator, 0.6, 1.4)
    voice = harmonics(pitch * glide * shake[:count], [k**-rolloff for k in range(1, 25)])
    voice = resonant(voice, vowel)
    voice = voice / voice.std() * torch.sin(torch.pi * along).clamp_min(0) ** 0.7
    return faded(voice + uniform(generator, 0.1, 0.8) * breath, 0.01)


def _breath(
    seconds: float, vowel: list[tuple[float, float]], generator: torch.Generator
) -> Waveform:
    count = samples(seconds)
    noise = resonant(white_noise(count, generator), vowel)
    return noise / noise.std() * torch.sin(torch.pi * torch.linspace(0, 1, count))


def coughs(seconds: float, generator: torch.Generator) -> Waveform:
    """Coughs, sniffs, sighs and throats cleared, with pauses."""
    total = torch.zeros(samples(seconds))
    time = uniform(generator, 0.0, 0.5)
    while time < seconds:
        vowel = [
            (uniform(generator, 500.0, 1000.0), 300.0),
            (uniform(generator, 1200.0, 2500.0), 500.0),
        ]
        if chance(generator, 0.6):
            count = samples(uniform(generator, 0.12, 0.35))
            noise = resonant(white_noise(count, generator), vowel)
            hum = harmonics(
                torch.full((count,), uniform(generator, 90.0, 250.0)), [1.0, 0.6, 0.4, 0.3]
            )
            sound = (noise / noise.std() + uniform(generator, 0.0, 0.7) * hum) * decay(
                count, 0.005, uniform(generator, 0.03, 0.1)
            )
        else:
            sound = 0.3 * _breath(uniform(generator, 0.2, 0.9), vowel, generator)
        add_at(total, samples(time), faded(sound))
        time += len(sound) / RATE + uniform(generator, 0.05, 1.0)
    return total


def applause(seconds: float, generator: torch.Generator) -> Waveform:
    """From three pairs of hands to a hall, each in its own time."""
    count = samples(seconds)
    total = torch.zeros(count)
    for _ in range(round(log_uniform(generator, 3.0, 60.0))):
        length = samples(0.06)
        clap = band(
            white_noise(length, generator),
            log_uniform(generator, 300.0, 1200.0),
            log_uniform(generator, 1800.0, 6000.0),
        ) * decay(length, 0.001, uniform(generator, 0.003, 0.012))
        distance = log_uniform(generator, 0.1, 1.0)
        period = uniform(generator, 0.18, 0.4)
        time = uniform(generator, 0.0, period)
        while time < seconds:
            add_at(total, samples(time), distance * clap)
            time += period * uniform(generator, 0.85, 1.15)
    hall = band(white_noise(count, generator), 500.0, 4000.0)
    return total + uniform(generator, 0.0, 0.3) * total.std() * hall / hall.std()
