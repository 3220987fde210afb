"""Made-up noises: steady noise, hum, wind, rain, clicks, engines, many voices at once."""

import torch

from .waveforms import (
    Waveform,
    add_at,
    band,
    chance,
    coloured_noise,
    decay,
    harmonics,
    integer,
    log_uniform,
    resonant,
    samples,
    slow_curve,
    uniform,
    white_noise,
)


def steady_noise(seconds: float, generator: torch.Generator) -> Waveform:
    """White, pink, brown or in between; sometimes a band of it: fans, hiss, traffic far off."""
    noise = coloured_noise(samples(seconds), uniform(generator, 0.0, 2.2), generator)
    if chance(generator, 0.4):
        low = log_uniform(generator, 60.0, 2000.0)
        noise = band(noise, low, low * log_uniform(generator, 1.5, 8.0))
    return noise


def hum(seconds: float, generator: torch.Generator) -> Waveform:
    """Mains hum and its multiples over faint noise."""
    count = samples(seconds)
    mains = (50.0, 60.0)[integer(generator, 0, 2)] * uniform(generator, 0.999, 1.001)
    strengths = torch.rand(30, generator=generator) / torch.arange(1, 31).sqrt()
    tone = harmonics(torch.full((count,), mains), strengths.tolist())
    return tone + uniform(generator, 0.0, 0.3) * coloured_noise(count, 1.0, generator)


def wind(seconds: float, generator: torch.Generator) -> Waveform:
    """Bands of noise that swell, whistle and rumble on their own, and gusts over all."""
    count = samples(seconds)
    total = torch.zeros(count)
    for _ in range(integer(generator, 2, 6)):
        centre = log_uniform(generator, 80.0, 2500.0)
        noise = band(white_noise(count, generator), centre, centre * uniform(generator, 1.1, 2.5))
        swell = slow_curve(count, log_uniform(generator, 0.3, 5.0), generator) ** 2
        total += noise / noise.std() * swell * (300 / (300 + centre))
    rumble = coloured_noise(count, 2.0, generator)
    gusts = 0.2 + slow_curve(count, 1.0, generator)
    return (total + uniform(generator, 0.0, 0.5) * rumble) * gusts


def rain(seconds: float, generator: torch.Generator) -> Waveform:
    """Hiss, and drops that ring for a few milliseconds; also frying and fire."""
    count = samples(seconds)
    total = uniform(generator, 0.05, 0.6) * coloured_noise(
        count, uniform(generator, 0.0, 1.0), generator
    )
    drops = [_ring(generator, 1500.0, 7000.0, 0.004) for _ in range(8)]
    for _ in range(int(seconds * log_uniform(generator, 8.0, 250.0))):
        drop = drops[integer(generator, 0, len(drops))]
        add_at(total, integer(generator, 0, count), drop * log_uniform(generator, 0.1, 3.0))
    return total


def clicks(seconds: float, generator: torch.Generator) -> Waveform:
    """Keys, clocks, knocks, things put down: short resonances, regular or not."""
    count = samples(seconds)
    total = 1e-3 * white_noise(count, generator)
    regular = chance(generator, 0.4)
    gap = log_uniform(generator, 0.08, 0.7)
    longest = log_uniform(generator, 0.004, 0.06)
    time = uniform(generator, 0.0, gap)
    while time < seconds:
        knock = _ring(generator, 150.0, 5000.0, longest)
        add_at(total, samples(time), knock * log_uniform(generator, 0.3, 1.0))
        time += gap if regular else gap * uniform(generator, 0.2, 2.0)
    return total


def engine(seconds: float, generator: torch.Generator) -> Waveform:
    """Firing that speeds up and slows down, uneven from turn to turn, over its own noise."""
    count = samples(seconds)
    idle = log_uniform(generator, 12.0, 110.0)
    speed = idle * (1 + uniform(generator, 0.0, 1.0) * slow_curve(count, 0.7, generator))
    strengths = torch.rand(40, generator=generator) / torch.arange(1, 41) ** 0.7
    tone = harmonics(speed, strengths.tolist(), stretch=0.0)
    noise = band(white_noise(count, generator), 80.0, log_uniform(generator, 400.0, 4000.0))
    pulse = 1 + uniform(generator, 0.0, 1.0) * harmonics(speed, [1.0])
    body = [(log_uniform(generator, 80.0, 2000.0), uniform(generator, 100.0, 600.0))]
    sound = tone / tone.std() + uniform(generator, 0.2, 1.0) * pulse * noise / noise.std()
    return resonant(sound, body) + 0.2 * sound


def crowd(seconds: float, generator: torch.Generator) -> Waveform:
    """Many voices at once, none of which can be understood: vowels without consonants.

    Each is a train of glottal pulses whose pitch and vowel wander, 2 to 6 swells a second.
    """
    count = samples(seconds)
    total = torch.zeros(count)
    for _ in range(integer(generator, 10, 24)):
        pitch = log_uniform(generator, 85.0, 280.0) * (
            0.8 + 0.4 * slow_curve(count, 3.0, generator)
        )
        voice = harmonics(pitch, [k**-1.2 for k in range(1, 25)])
        voice = voice + 0.3 * white_noise(count, generator)
        swell = slow_curve(count, uniform(generator, 2.0, 6.0), generator) ** 1.5
        # Two vowels that the voice goes to and fro between.
        turn = slow_curve(count, uniform(generator, 2.0, 5.0), generator)
        vowels = [resonant(voice, _vowel(generator)) for _ in range(2)]
        mixed = vowels[0] * turn + vowels[1] * (1 - turn)
        total += mixed / mixed.std() * swell * log_uniform(generator, 0.3, 1.0)
    # A room of its own: far voices are dull.
    return band(total, 80.0, log_uniform(generator, 1200.0, 5000.0))


def _vowel(generator: torch.Generator) -> list[tuple[float, float]]:
    return [
        (uniform(generator, 300.0, 850.0), 90.0),
        (uniform(generator, 850.0, 2300.0), 120.0),
        (uniform(generator, 2300.0, 3200.0), 180.0),
    ]


def _ring(generator: torch.Generator, low: float, high: float, longest: float) -> Waveform:
    """A knock: noise that dies away within `longest` seconds, on up to three resonances."""
    count = max(64, samples(8 * longest))
    noise = white_noise(count, generator)
    peaks = sorted(
        (log_uniform(generator, low, high), log_uniform(generator, 60.0, 1500.0))
        for _ in range(integer(generator, 1, 4))
    )
    ring = resonant(noise, peaks) * decay(count, 0.0005, longest * uniform(generator, 0.3, 1.0))
    return ring / ring.abs().max().clamp_min(1e-6)
