"""Speech of any length into features at 25 Hz, on a fixed grid of windows."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import SpeechError
from ..media.audio_file import resample
from ..types import MOTION_RATE, Audio, OnProgress, SpeechFeatures
from .windows import SAMPLE_RATE, WINDOW_SECONDS, SpeechEncoder, pad_windows

CONTEXT_SECONDS = 1
HOP_SECONDS = WINDOW_SECONDS - 2 * CONTEXT_SECONDS
MINIMUM_SECONDS = 0.04
_HOP_STEPS, _CONTEXT_STEPS = HOP_SECONDS * MOTION_RATE, CONTEXT_SECONDS * MOTION_RATE
_BATCH = 4


def speech_steps(duration: float) -> int:
    """How many 25 Hz steps cover `duration` seconds."""
    return math.ceil(duration * MOTION_RATE - 1e-4)


@torch.no_grad()
def encode_speech(
    encoder: SpeechEncoder, audio: Audio, on_progress: OnProgress | None = None
) -> SpeechFeatures:
    """What is said in `audio`: ceil(25 * seconds) steps, step i at i / 25 s.

    Window w hears the samples from 8w - 1 to 8w + 9 s (zeros beyond the ends) and gives the steps
    from 8w to 8w + 8 s. A step therefore depends on nothing outside its window, and long audio
    has the same features however it is cut into calls.

    Raises SpeechError for audio that is empty, not finite, or shorter than 40 ms.
    """
    waveform = _checked(audio)
    steps = speech_steps(audio.duration)
    windows = math.ceil(steps / _HOP_STEPS)
    pieces: list[Float[Tensor, "t d"]] = []
    for first in range(0, windows, _BATCH):
        count = min(_BATCH, windows - first)
        start = (first * HOP_SECONDS - CONTEXT_SECONDS) * SAMPLE_RATE
        heard = pad_windows(
            waveform, start, count, HOP_SECONDS * SAMPLE_RATE, WINDOW_SECONDS * SAMPLE_RATE
        )
        features = encoder(heard.to(encoder.device))
        kept = features[:, _CONTEXT_STEPS : _CONTEXT_STEPS + _HOP_STEPS]
        pieces.append(kept.flatten(0, 1).float().cpu())
        if on_progress is not None:
            on_progress(first + count, windows)
    return SpeechFeatures(torch.cat(pieces)[:steps], encoder.id)


def _checked(audio: Audio) -> Float[Tensor, " n"]:
    if len(audio.waveform) == 0:
        raise SpeechError("the audio is empty: give speech of at least 40 ms")
    if audio.duration < MINIMUM_SECONDS:
        raise SpeechError(
            f"the audio lasts {audio.duration * 1000:.1f} ms, one video frame at 25 fps lasts "
            "40 ms: give speech of at least 40 ms"
        )
    if not torch.isfinite(audio.waveform).all():
        raise SpeechError(
            "the audio holds NaN or infinite samples: export it again, "
            "or take out the filter that made them"
        )
    heard = Audio(audio.waveform, audio.sample_rate)  # the channels of its own are for files
    return resample(heard, SAMPLE_RATE).waveform.detach().cpu().float()
