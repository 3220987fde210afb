"""Speech of any length into features at 25 Hz, on a fixed grid of windows."""

import math
from collections.abc import Generator, Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import SpeechError
from ..media.resampling import mixed, resampled
from ..types import MOTION_RATE, OnProgress, Sound, SpeechFeatures
from .windows import SAMPLE_RATE, WINDOW_SECONDS, SpeechEncoder

CONTEXT_SECONDS = 1
HOP_SECONDS = WINDOW_SECONDS - 2 * CONTEXT_SECONDS
MINIMUM_SECONDS = 0.04
_HOP_STEPS, _CONTEXT_STEPS = HOP_SECONDS * MOTION_RATE, CONTEXT_SECONDS * MOTION_RATE
_CONTEXT, _HOP = CONTEXT_SECONDS * SAMPLE_RATE, HOP_SECONDS * SAMPLE_RATE
_WINDOW = WINDOW_SECONDS * SAMPLE_RATE


def speech_steps(duration: float) -> int:
    """How many 25 Hz steps cover `duration` seconds."""
    return math.ceil(duration * MOTION_RATE - 1e-4)


def encode_speech(
    encoder: SpeechEncoder, sound: Sound, on_progress: OnProgress | None = None
) -> SpeechFeatures:
    """What is said in `sound`: ceil(25 * seconds) steps, step i at i / 25 s.

    Window w hears the samples from 8w - 1 to 8w + 9 s (zeros beyond the ends) and gives the steps
    from 8w to 8w + 8 s. A step therefore depends on nothing outside its window, and long audio
    has the same features however it is cut into calls.

    Raises SpeechError for audio that is empty, not finite, or shorter than 40 ms.
    """
    heard = [speech.features for speech in hear_speech(encoder, sound, on_progress)]
    return SpeechFeatures(torch.cat(heard), encoder.id)


def hear_speech(
    encoder: SpeechEncoder, sound: Sound, on_progress: OnProgress | None = None
) -> Generator[SpeechFeatures, None, None]:
    """The same while the sound is read, 8 s at a time. Holds one window of it."""
    _check_length(sound)
    steps = speech_steps(sound.duration)
    starts = range(0, steps, _HOP_STEPS)
    for number, (start, window) in enumerate(zip(starts, _windows(_voice(sound)), strict=False), 1):
        features = window_features(encoder, window)[: steps - start]
        if on_progress is not None:
            on_progress(number, len(starts))
        yield SpeechFeatures(features, encoder.id)


def check_sound(sound: Sound) -> None:
    """SpeechError, before work is put into it, for sound that `encode_speech` would refuse."""
    _check_length(sound)
    for block in mixed(sound).blocks():
        _check_finite(block)


@torch.no_grad()
def window_features(encoder: SpeechEncoder, window: Float[Tensor, " n"]) -> Float[Tensor, "t d"]:
    """The features of one window that are kept: those that have context around them."""
    features = encoder(window[None].to(encoder.device))[0].float().cpu()
    return features[_CONTEXT_STEPS : _CONTEXT_STEPS + _HOP_STEPS].clone()


def _windows(blocks: Iterable[Float[Tensor, " _"]]) -> Iterator[Float[Tensor, " n"]]:
    """Windows on the fixed grid; beyond the sound's ends zeros, without end."""
    pieces, length = [torch.zeros(_CONTEXT)], _CONTEXT
    for block in blocks:
        pieces.append(block)
        length += len(block)
        while length >= _WINDOW:
            held = torch.cat(pieces)
            yield held[:_WINDOW]
            pieces, length = [held[_HOP:]], length - _HOP
    held = torch.cat(pieces)
    while True:
        yield nn.functional.pad(held, (0, _WINDOW - len(held)))
        held = held[_HOP:]


def _voice(sound: Sound) -> Iterator[Float[Tensor, " _"]]:
    """One channel at SAMPLE_RATE."""
    for block in resampled(mixed(sound), SAMPLE_RATE).blocks():
        _check_finite(block)
        yield block[0]


def _check_finite(block: Float[Tensor, "1 _"]) -> None:
    if not torch.isfinite(block).all():
        raise SpeechError(
            "the audio holds NaN or infinite samples: export it again, "
            "or take out the filter that made them"
        )


def _check_length(sound: Sound) -> None:
    if sound.sample_count == 0:
        raise SpeechError("the audio is empty: give speech of at least 40 ms")
    if sound.duration < MINIMUM_SECONDS:
        raise SpeechError(
            f"the audio lasts {sound.duration * 1000:.1f} ms, one video frame at 25 fps lasts "
            "40 ms: give speech of at least 40 ms"
        )
