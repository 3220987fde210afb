"""Phones and a style into weights of the expression shapes at 25 Hz."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..types import MOTION_RATE, Audio
from .lip_contact import LipContact
from .phones import SILENCE, TimedPhone, TimedSpeech
from .talking_style import TalkingStyle
from .visemes import GESTURES, gestures

JAW_RANGE = 0.42
"""Weight of jawOpen at full jaw; at 1 the mouth gapes."""
ANTICIPATION = 0.04
"""Seconds by which lips run ahead of the sound. Without it a sync expert that had learned from real
people alone found most of 240 clips one step late, each style's own lag taken off."""
_DENTAL_CLOSING = 0.75
"""The part of the gap that goes when the lower lip touches the upper teeth."""
_LOUDNESS_WINDOW = 0.08
"""Seconds."""
_EFFORT_SPREAD = 0.12
"""Standard deviation of how strongly a sound is made from one time to the next."""
_NOISE = {
    "jawOpen": 0.006, "jawLeft": 0.012, "jawRight": 0.012, "jawForward": 0.02, "mouthLeft": 0.012,
    "mouthRight": 0.012, "mouthSmile_L": 0.02, "mouthSmile_R": 0.02, "mouthShrugLower": 0.03,
    "mouthDimple_L": 0.02, "mouthDimple_R": 0.02, "cheekSquint_L": 0.04, "cheekSquint_R": 0.04,
    "browInnerUp_L": 0.08, "browInnerUp_R": 0.08, "browOuterUp_L": 0.06, "browOuterUp_R": 0.06,
    "browDown_L": 0.06, "browDown_R": 0.06,
}  # fmt: skip
"""Standard deviations of slow drifts that speech has no part in."""
_PAIRED_NOISE = ("browInnerUp", "browOuterUp", "browDown", "cheekSquint")
_BLINKS_PER_SECOND = 0.28
_BLINK_SECONDS = 0.16


def speech_to_expressions(
    speech: TimedSpeech,
    style: TalkingStyle,
    generator: torch.Generator,
    lips: LipContact,
) -> Float[Tensor, "t e"]:
    """Expression weights for a whole recording: the steps that cover it at 25 Hz."""
    return expression_curves(
        speech.phones, style, speech.audio.duration, generator, lips, loudness(speech)
    )


def expression_curves(
    phones: tuple[TimedPhone, ...],
    style: TalkingStyle,
    duration: float,
    generator: torch.Generator,
    lips: LipContact,
    loud: Float[Tensor, " p"] | None = None,
) -> Float[Tensor, "t e"]:
    """Weights of the head's expression shapes, mostly in [0, 1], step i at i / 25 s.

    `loud` is each phone's loudness relative to the recording's, -1 (soft) to 1. Sounds vary from
    one time to the next, the face drifts and blinks, all drawn from `generator`.
    """
    steps = max(1, -int(-(duration * MOTION_RATE - 1e-4) // 1))
    times = torch.arange(steps) / MOTION_RATE
    effort = 1 + _EFFORT_SPREAD * torch.randn(len(phones), generator=generator).clamp(-2, 2)
    if loud is not None:
        effort = effort * (1 + 0.35 * style.loudness_effect * loud)
    spoken = torch.tensor([phone.symbol != SILENCE for phone in phones], dtype=torch.bool)
    heard = times + ANTICIPATION - style.lag
    made = gestures(phones, heard, style.coarticulation, style.gains(), effort[spoken])
    gesture = dict(zip(GESTURES, made.unbind(dim=1), strict=True))
    weights = _add_drift(_shapes(gesture, style), steps, generator)
    curves = torch.zeros(steps, len(lips.names))
    for name, values in weights.items():
        if name in lips.names:
            curves[:, lips.names.index(name)] = values.clamp(0, 1.2)
    seal = gesture["seal"] * (1 - style.incompleteness)
    return lips.closed(curves, torch.maximum(seal, _DENTAL_CLOSING * gesture["dental"]))


def loudness(speech: TimedSpeech) -> Float[Tensor, " p"]:
    """How loud each phone is, against the median of the voiced ones: -1 at 12 dB less, 1 at 12 dB
    more."""
    level = [_level(speech.audio, phone) for phone in speech.phones]
    sounding = [v for v, p in zip(level, speech.phones, strict=True) if p.symbol != SILENCE]
    if not sounding:
        return torch.zeros(len(level))
    middle = torch.tensor(sounding).median()
    return ((torch.tensor(level) - middle) / 12).clamp(-1, 1)


def _level(audio: Audio, phone: TimedPhone) -> float:
    """Decibels of the sound about a phone."""
    middle = (phone.start + phone.end) / 2
    half = max(_LOUDNESS_WINDOW, phone.end - phone.start) / 2
    start = max(0, round((middle - half) * audio.sample_rate))
    stop = round((middle + half) * audio.sample_rate)
    power = audio.waveform[start:stop].float().square()
    return float(10 * torch.log10(power.mean() + 1e-6)) if len(power) else -60.0


def _shapes(made: dict[str, Tensor], style: TalkingStyle) -> dict[str, Tensor]:
    """Gestures into weights of single shapes, as the style makes them."""
    seal = made["seal"] * (1 - style.incompleteness)
    dental = made["dental"]
    free = (1 - seal) * (1 - 0.7 * dental)
    jaw = JAW_RANGE * (style.jaw_gain * made["jaw"] + style.rest_opening)
    weights = {
        "jawOpen": jaw,
        "mouthPucker": 0.75 * style.rounding_gain * made["round"] + style.protrusion,
        "mouthFunnel": 0.5 * style.rounding_gain * made["funnel"] * free,
        "mouthRollLower": 0.45 * dental + 0.12 * seal,
        "mouthRollUpper": 0.1 * seal,
        "mouthShrugLower": 0.25 * seal,
    }
    smile = style.smile * (1 - 0.7 * made["round"].clamp(0, 1))
    for side, gain in (("_L", 1 + style.asymmetry), ("_R", 1 - style.asymmetry)):
        spread = style.spread_gain * made["spread"] * gain
        weights |= {
            f"mouthStretch{side}": 0.35 * spread,
            f"mouthSmile{side}": 0.18 * spread + gain * smile.clamp_min(0),
            f"mouthFrown{side}": gain * (-smile).clamp_min(0) * 1.5,
            f"mouthLowerDown{side}": 0.7 * style.lower_lip_gain * made["lower"] * free * gain,
            f"mouthUpperUp{side}": 0.6 * style.upper_lip_gain * made["upper"] * (1 - seal) * gain,
            f"mouthPress{side}": (0.25 + style.press) * seal,
        }
    return weights


def _add_drift(
    weights: dict[str, Tensor], steps: int, generator: torch.Generator
) -> dict[str, Tensor]:
    """Slow noise on some shapes, and blinks."""
    drifting = dict(weights)
    shared = {name: _slow_noise(steps, generator) for name in _PAIRED_NOISE}
    for name, deviation in _NOISE.items():
        noise = shared.get(name[:-2], _slow_noise(steps, generator))
        drifting[name] = drifting.get(name, torch.zeros(steps)) + deviation * noise
    closed = _blinks(steps, generator)
    return drifting | {"eyeBlink_L": closed, "eyeBlink_R": closed}


def _slow_noise(steps: int, generator: torch.Generator, period: int = 12) -> Float[Tensor, " t"]:
    """Unit-variance noise with one free value every `period` steps, smooth between."""
    knots = torch.randn(1, 1, steps // period + 4, generator=generator)
    smooth = torch.nn.functional.interpolate(
        knots, size=(steps // period + 4) * period, mode="linear", align_corners=True
    )
    return smooth[0, 0, period : period + steps]


def _blinks(steps: int, generator: torch.Generator) -> Float[Tensor, " t"]:
    chance = _BLINKS_PER_SECOND / MOTION_RATE
    starts = (torch.rand(steps, generator=generator) < chance).nonzero()[:, 0]
    times = torch.arange(steps)
    half = _BLINK_SECONDS * MOTION_RATE / 2
    closed = torch.zeros(steps)
    for start in starts.tolist():
        closed = torch.maximum(closed, (1.2 - ((times - start - half) / half).abs()).clamp(0, 1))
    return closed
