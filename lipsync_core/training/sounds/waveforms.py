"""What every made-up sound is built of: chance, coloured noise, filters, envelopes, tones.

Sound is mono at RATE, of any scale: who mixes it levels it.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

RATE = 16_000
HIGHEST = 7_600.0
"""Hz: no partial lies above it."""

Waveform = Float[Tensor, " n"]


def uniform(generator: torch.Generator, low: float, high: float) -> float:
    """A number between `low` and `high`."""
    return low + (high - low) * float(torch.rand((), generator=generator))


def log_uniform(generator: torch.Generator, low: float, high: float) -> float:
    """A number between `low` and `high`, both > 0, every octave as likely."""
    return math.exp(uniform(generator, math.log(low), math.log(high)))


def integer(generator: torch.Generator, low: int, high: int) -> int:
    """A whole number, low <= i < high."""
    return int(torch.randint(low, high, (), generator=generator))


def chance(generator: torch.Generator, probability: float) -> bool:
    """True with `probability`."""
    return float(torch.rand((), generator=generator)) < probability


def samples(seconds: float) -> int:
    """How many samples last `seconds`."""
    return round(seconds * RATE)


def white_noise(count: int, generator: torch.Generator) -> Waveform:
    """Gaussian, standard deviation 1."""
    return torch.randn(count, generator=generator)


def filtered(
    waveform: Waveform, gain: Callable[[Float[Tensor, " f"]], Float[Tensor, " f"]]
) -> Waveform:
    """`waveform` with the magnitude `gain(Hz)` on its whole spectrum; no phase, no delay."""
    spectrum = torch.fft.rfft(waveform)
    hertz = torch.fft.rfftfreq(len(waveform), 1 / RATE)
    return torch.fft.irfft(spectrum * gain(hertz), n=len(waveform))


def coloured_noise(count: int, slope: float, generator: torch.Generator) -> Waveform:
    """Noise whose power falls as f^-slope (0 white, 1 pink, 2 brown), standard deviation 1."""
    noise = filtered(
        white_noise(count, generator), lambda hertz: hertz.clamp_min(20.0) ** (-slope / 2)
    )
    return noise / noise.std()


def band(waveform: Waveform, low: float, high: float, sharpness: float = 2.0) -> Waveform:
    """`waveform` between `low` and `high` Hz, Butterworth-like edges of order `sharpness`."""

    def gain(hertz: Float[Tensor, " f"]) -> Float[Tensor, " f"]:
        below = 1 / (1 + (low / hertz.clamp_min(1.0)) ** (2 * sharpness))
        return (below / (1 + (hertz / high) ** (2 * sharpness))).sqrt()

    return filtered(waveform, gain)


def resonant(waveform: Waveform, peaks: list[tuple[float, float]]) -> Waveform:
    """`waveform` through resonances in parallel, each (Hz, bandwidth in Hz), the higher the weaker.

    Vowels are told apart by the first three (formants).
    """

    def gain(hertz: Float[Tensor, " f"]) -> Float[Tensor, " f"]:
        total = torch.zeros_like(hertz)
        for centre, width in peaks:
            total += (peaks[0][0] / centre) / (1 + ((hertz - centre) / (width / 2)) ** 2).sqrt()
        return total

    return filtered(waveform, gain)


def slow_curve(count: int, hertz: float, generator: torch.Generator) -> Waveform:
    """A random smooth curve in 0..1 that changes about `hertz` times a second."""
    knots = max(2, math.ceil(count / RATE * hertz) + 2)
    values = torch.rand(knots, generator=generator)
    at = torch.linspace(0, knots - 1.001, count)
    left = at.long()
    blend = (1 - torch.cos(math.pi * (at - left))) / 2
    return values[left] * (1 - blend) + values[left + 1] * blend


def decay(count: int, attack: float, half_life: float) -> Waveform:
    """An envelope: up to 1 within `attack` seconds, then halved every `half_life` seconds."""
    time = torch.arange(count) / RATE
    return (time / max(attack, 1e-4)).clamp_max(1.0) * 0.5 ** (
        (time - attack).clamp_min(0) / half_life
    )


def faded(waveform: Waveform, seconds: float = 0.01) -> Waveform:
    """`waveform` with both ends faded, so that it does not click."""
    edge = torch.arange(1, len(waveform) + 1) / max(1, samples(seconds))
    return waveform * edge.clamp_max(1.0) * edge.flip(0).clamp_max(1.0)


def harmonics(pitch: Waveform, amplitudes: list[float], stretch: float = 0.0) -> Waveform:
    """Sines at the multiples of a `pitch` in Hz that may change from sample to sample.

    `stretch` moves partial k to k (1 + stretch k): stiff strings and bells.
    """
    phase = torch.cumsum(pitch.double(), dim=0) * (2 * math.pi / RATE)
    highest = float(pitch.max())
    total = torch.zeros(len(pitch))
    for index, amplitude in enumerate(amplitudes):
        multiple = (index + 1) * (1 + stretch * (index + 1))
        if multiple * highest > HIGHEST:
            break
        total += amplitude * torch.sin((phase * multiple).float())
    return total


def add_at(total: Float[Tensor, " n"], start: int, piece: Float[Tensor, " m"]) -> None:
    """Adds `piece` into `total` from sample `start` on; what lies outside is left out."""
    first, stop = max(start, 0), min(start + len(piece), len(total))
    if stop > first:
        total[first:stop] += piece[first - start : stop - start]
