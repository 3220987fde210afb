"""What the speech encoder makes of silence: so that a predictor learns to close the mouth in it."""

from pathlib import Path

import torch
from jaxtyping import Float, Float16
from safetensors.torch import load_file
from torch import Tensor

from ..audio.encoder import SAMPLE_RATE, SpeechEncoder
from ..audio.features import encode_speech
from ..checkpoint import save_tensors
from ..media.audio_file import read_audio, resample
from ..types import MOTION_RATE, Audio

SILENCE_FILE = "silence.safetensors"
SECONDS = 4
_SETTLED = 5
"""Steps after the end of speech from which on silence is heard."""
_NOISE_LEVELS = (0.0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
"""Standard deviation of the noise left in a silence; full scale is 1."""


def silent_speech(
    encoder: SpeechEncoder, speech: list[Audio], generator: torch.Generator
) -> Float16[Tensor, "n t d"]:
    """Features of silences of 4 s: alone, before, and after each of `speech` (16 kHz), with
    noise of several levels."""
    length = SECONDS * SAMPLE_RATE
    pieces = []
    for level in _NOISE_LEVELS:
        noise = level * torch.randn(2 * length, generator=generator)
        pieces += list(_heard(encoder, noise, 0).split(SECONDS * MOTION_RATE))
    for number, audio in enumerate(speech):
        level = _NOISE_LEVELS[number % len(_NOISE_LEVELS)]
        noise = level * torch.randn(length + SAMPLE_RATE, generator=generator)
        after = torch.cat([audio.waveform, noise])
        start = -(-len(audio.waveform) * MOTION_RATE // SAMPLE_RATE) + _SETTLED
        pieces.append(_heard(encoder, after, start))
        before = torch.cat([noise, audio.waveform])
        pieces.append(_heard(encoder, before, 0))
    return torch.stack([piece[: SECONDS * MOTION_RATE] for piece in pieces]).half()


def prepare_silence(
    videos: list[Path], folder: Path, encoder: SpeechEncoder, seed: int, count: int = 40
) -> None:
    """Writes silences, alone and about the speech of up to `count` of `videos`, to `folder`."""
    spread = videos[:: max(1, len(videos) // count)][:count]
    speech = [resample(read_audio(video), SAMPLE_RATE) for video in spread]
    features = silent_speech(encoder, speech, torch.Generator().manual_seed(seed))
    write_silence(folder, features)


def _heard(
    encoder: SpeechEncoder, waveform: Float[Tensor, " n"], start: int
) -> Float[Tensor, "t d"]:
    return encode_speech(encoder, Audio(waveform, SAMPLE_RATE)).features[start:]


def write_silence(folder: Path, features: Float16[Tensor, "n t d"]) -> None:
    """Puts silences beside the prepared clips under `folder`."""
    save_tensors(folder / SILENCE_FILE, {"speech": features}, {"lipstyle.silence": "1"})


def read_silence(folder: Path) -> Float16[Tensor, "n t d"] | None:
    """All silences beside the prepared clips under `folder`, None if there are none."""
    found = [load_file(path)["speech"] for path in sorted(folder.rglob(SILENCE_FILE))]
    return torch.cat(found) if found else None
