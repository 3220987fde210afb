"""Made-up music: chords, melody, bass and drums in random keys, tempos and timbres."""

from dataclasses import dataclass

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

_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 2, 3, 5, 7, 9, 10), (0, 2, 4, 7, 9))
"""Semitones above the key: major, minor, dorian, pentatonic."""
_PROGRESSIONS = ((0, 4, 5, 3), (0, 3, 4, 0), (5, 3, 0, 4), (0, 5, 1, 4), (0, 0, 3, 4), (0, 6, 5, 4))
"""Degrees on which the chords stand."""
_PARTIALS = 24


@dataclass(frozen=True)
class Timbre:
    """How an instrument sounds."""

    amplitudes: list[float]
    stretch: float
    attack: float
    half_life: float
    """Seconds; short is plucked, long is held."""
    vibrato: float
    """Of the pitch."""
    breath: float
    body: list[tuple[float, float]]
    """Resonances (Hz, Hz); none is even."""


def draw_timbre(generator: torch.Generator) -> Timbre:
    """Strings, reeds, pipes, bells, organs and what lies between them."""
    rolloff = uniform(generator, 0.4, 2.2)
    hollow = uniform(generator, 0.0, 1.0) if chance(generator, 0.4) else 1.0
    roughness = 0.6 * torch.rand(_PARTIALS, generator=generator)
    amplitudes = [
        (hollow if k % 2 else 1.0) * (1 - float(roughness[k])) * (k + 1) ** -rolloff
        for k in range(_PARTIALS)
    ]
    body = []
    if chance(generator, 0.4):
        body = [
            (log_uniform(generator, 250.0, 3500.0), uniform(generator, 80.0, 500.0))
            for _ in range(3)
        ]
    return Timbre(
        amplitudes,
        stretch=log_uniform(generator, 1e-4, 0.05) if chance(generator, 0.3) else 0.0,
        attack=log_uniform(generator, 0.003, 0.15),
        half_life=log_uniform(generator, 0.06, 3.0),
        vibrato=uniform(generator, 0.0, 0.015) if chance(generator, 0.5) else 0.0,
        breath=uniform(generator, 0.0, 0.15) if chance(generator, 0.4) else 0.0,
        body=sorted(body),
    )


def play(timbre: Timbre, midi: int, seconds: float, generator: torch.Generator) -> Waveform:
    """One note; `midi` 69 is 440 Hz."""
    count = samples(seconds)
    time = torch.arange(count) / RATE
    wave = torch.sin(2 * torch.pi * uniform(generator, 4.5, 6.5) * time)
    pitch = 440 * 2 ** ((midi - 69) / 12) * (1 + timbre.vibrato * wave)
    tone = harmonics(pitch, timbre.amplitudes, timbre.stretch)
    if timbre.breath:
        tone = tone + timbre.breath * band(white_noise(count, generator), 400.0, 5000.0)
    if timbre.body:
        tone = resonant(tone, timbre.body)
    return faded(tone * decay(count, timbre.attack, timbre.half_life))


def music(seconds: float, generator: torch.Generator) -> Waveform:
    """A band of one to four parts in one key and tempo."""
    parts = [chance(generator, 0.65), chance(generator, 0.75), chance(generator, 0.45)]
    if not any(parts):
        parts[integer(generator, 0, 2)] = True
    beat = 60 / uniform(generator, 60.0, 180.0)
    key = integer(generator, 45, 65)
    scale = _SCALES[integer(generator, 0, len(_SCALES))]
    roots = _PROGRESSIONS[integer(generator, 0, len(_PROGRESSIONS))]
    total = torch.zeros(samples(seconds))
    for active, part in zip(parts, (_chords, _melody, _bass), strict=True):
        if active:
            sound = part(len(total), beat, key, scale, roots, generator)
            total += uniform(generator, 0.4, 1.0) * sound / sound.std().clamp_min(1e-6)
    if chance(generator, 0.45):
        beats = _drum_pattern(len(total), beat, generator)
        total += uniform(generator, 0.3, 1.2) * beats / beats.std().clamp_min(1e-6)
    return total


def drums(seconds: float, generator: torch.Generator) -> Waveform:
    """Drums alone."""
    return _drum_pattern(samples(seconds), 60 / uniform(generator, 60.0, 180.0), generator)


def tones(seconds: float, generator: torch.Generator) -> Waveform:
    """Signals: beeps, ringing, sirens."""
    count = samples(seconds)
    time = torch.arange(count) / RATE
    base = log_uniform(generator, 250.0, 3000.0)
    swing = uniform(generator, 0.0, 0.4) if chance(generator, 0.5) else 0.0
    slow = torch.sin(2 * torch.pi * log_uniform(generator, 0.3, 12.0) * time)
    overtones = [1.0] + [uniform(generator, 0.0, 0.5) for _ in range(4)]
    sound = harmonics(base * (1 + swing * slow), overtones)
    if chance(generator, 0.6):
        period = log_uniform(generator, 0.1, 1.5)
        on = (time / period) % 1.0 < uniform(generator, 0.2, 0.8)
        # 5 ms edges.
        smooth = torch.nn.functional.avg_pool1d(on.float()[None], 81, 1, 40)[0]
        sound = sound * smooth[:count]
    return sound


def _degree(scale: tuple[int, ...], degree: int) -> int:
    """Semitones of a degree of the scale, which goes on in both directions."""
    octave, step = divmod(degree, len(scale))
    return 12 * octave + scale[step]


def _chords(
    count: int,
    beat: float,
    key: int,
    scale: tuple[int, ...],
    roots: tuple[int, ...],
    generator: torch.Generator,
) -> Waveform:
    timbre = draw_timbre(generator)
    beats = (1, 2, 4)[integer(generator, 0, 3)]
    strum = uniform(generator, 0.0, 0.06)
    total = torch.zeros(count)
    length = beats * beat
    for number in range(int(count / RATE / length) + 1):
        root = roots[number * beats // 4 % len(roots)]
        start = number * length + uniform(generator, 0.0, 0.01)
        for voice, third in enumerate((0, 2, 4)):
            note = play(timbre, key + _degree(scale, root + third), length, generator)
            add_at(total, samples(start + voice * strum), note)
    return total


def _melody(
    count: int,
    beat: float,
    key: int,
    scale: tuple[int, ...],
    roots: tuple[int, ...],
    generator: torch.Generator,
) -> Waveform:
    timbre = draw_timbre(generator)
    total = torch.zeros(count)
    time, degree = 0.0, len(scale)
    while time < count / RATE:
        length = beat * (0.25, 0.5, 0.5, 1.0, 1.5, 2.0)[integer(generator, 0, 6)]
        degree = min(max(degree + integer(generator, -3, 4), 0), 2 * len(scale))
        if not chance(generator, 0.15):
            held = length * uniform(generator, 0.6, 1.1)
            note = play(timbre, key + _degree(scale, degree), held, generator)
            add_at(total, samples(time), note * uniform(generator, 0.5, 1.0))
        time += length
    return total


def _bass(
    count: int,
    beat: float,
    key: int,
    scale: tuple[int, ...],
    roots: tuple[int, ...],
    generator: torch.Generator,
) -> Waveform:
    timbre = draw_timbre(generator)
    length = beat * (0.5, 1.0, 2.0)[integer(generator, 0, 3)]
    total = torch.zeros(count)
    for number in range(int(count / RATE / length) + 1):
        root = roots[int(number * length / (4 * beat)) % len(roots)]
        note = play(timbre, key - 24 + _degree(scale, root), length, generator)
        add_at(total, samples(number * length), note)
    return total


def _drum_pattern(count: int, beat: float, generator: torch.Generator) -> Waveform:
    """Kick, snare, cymbal and tom on a grid of quarters of a beat that repeats every four beats."""
    total = torch.zeros(count)
    for hit, density in ((_kick, 0.25), (_snare, 0.2), (_cymbal, 0.5), (_tom, 0.1)):
        if chance(generator, 0.3):
            continue
        grid = torch.rand(16, generator=generator) < density * uniform(generator, 0.6, 1.6)
        grid[integer(generator, 0, 4) * 4] = True
        sound = hit(generator)
        for number in range(int(count / RATE / (beat / 4)) + 1):
            if grid[number % 16]:
                loudness = uniform(generator, 0.5, 1.0)
                add_at(total, samples(number * beat / 4), loudness * sound)
    if not total.any():
        sound = _snare(generator)
        for number in range(int(count / RATE / beat) + 1):
            add_at(total, samples(number * beat), sound)
    return total


def _kick(generator: torch.Generator) -> Waveform:
    count = samples(0.3)
    time = torch.arange(count) / RATE
    fall = torch.exp(-time / uniform(generator, 0.02, 0.06))
    pitch = uniform(generator, 40.0, 70.0) + uniform(generator, 80.0, 250.0) * fall
    return 2.0 * harmonics(pitch, [1.0, 0.2]) * decay(count, 0.002, uniform(generator, 0.03, 0.1))


def _snare(generator: torch.Generator) -> Waveform:
    count = samples(0.25)
    rattle = band(white_noise(count, generator), uniform(generator, 500.0, 2000.0), 7000.0)
    body = harmonics(torch.full((count,), uniform(generator, 150.0, 250.0)), [1.0, 0.5])
    return (rattle + 0.7 * body) * decay(count, 0.001, uniform(generator, 0.02, 0.07))


def _cymbal(generator: torch.Generator) -> Waveform:
    count = samples(0.4)
    hiss = band(white_noise(count, generator), uniform(generator, 3000.0, 5500.0), 7800.0)
    return 0.6 * hiss * decay(count, 0.001, log_uniform(generator, 0.01, 0.15))


def _tom(generator: torch.Generator) -> Waveform:
    count = samples(0.35)
    time = torch.arange(count) / RATE
    pitch = uniform(generator, 80.0, 220.0) * (1 + 0.5 * torch.exp(-time / 0.05))
    return harmonics(pitch, [1.0, 0.3, 0.1]) * decay(count, 0.002, uniform(generator, 0.05, 0.12))
