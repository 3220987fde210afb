"""Sounds that are no speech, made by procedure: so that a predictor learns to keep still in them.

Everything comes from an explicit generator: the same seed is the same sound.
"""

from collections.abc import Callable

import torch

from ...types import Audio
from .laughter import applause, coughs, laughter
from .music import drums, music, tones
from .noises import clicks, crowd, engine, hum, rain, steady_noise, wind
from .waveforms import RATE, Waveform, log_uniform, samples

KINDS: dict[str, Callable[[float, torch.Generator], Waveform]] = {
    "music": music,
    "drums": drums,
    "tones": tones,
    "steady noise": steady_noise,
    "hum": hum,
    "wind": wind,
    "rain": rain,
    "clicks": clicks,
    "engine": engine,
    "crowd": crowd,
    "laughter": laughter,
    "coughs": coughs,
    "applause": applause,
}
"""What there is, by name: each gives `seconds` of sound of any scale."""
LEVELS = (0.003, 0.2)
"""Root mean square between which levels are drawn, full scale is 1; speech has .02 to .1."""
_LOUDEST = 0.99


def draw_sound(
    kind: str, seconds: float, generator: torch.Generator, level: float | None = None
) -> Audio:
    """`seconds` of sound of one of KINDS at 16 kHz, at a random root mean square if no `level`.

    Peaks stay below full scale; clicks are therefore quieter than asked for. Raises ValueError
    for a kind that is not there.
    """
    if kind not in KINDS:
        raise ValueError(f"no sounds of kind {kind!r}: choose one of {', '.join(KINDS)}")
    sound = KINDS[kind](seconds, generator)[: samples(seconds)]
    sound = sound - sound.mean()
    level = log_uniform(generator, *LEVELS) if level is None else level
    sound = sound * (level / sound.square().mean().sqrt().clamp_min(1e-9))
    return Audio(sound * (_LOUDEST / sound.abs().max()).clamp_max(1.0), RATE)
