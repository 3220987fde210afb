"""What the speech encoder makes of silence, and of sounds that are no speech: so that a predictor
learns to close the mouth in them."""

from pathlib import Path

import torch
from jaxtyping import Float, Float16
from safetensors.torch import load_file
from torch import Tensor

from ..audio.features import encode_speech
from ..audio.windows import SAMPLE_RATE, SpeechEncoder
from ..checkpoint import save_tensors
from ..media.audio_file import read_audio, resample
from ..types import MOTION_RATE, Audio
from .sounds import KINDS, draw_sound
from .sounds.waveforms import faded, integer, log_uniform, uniform

SILENCE_FILE = "silence.safetensors"
SECONDS = 4
_STEPS = SECONDS * MOTION_RATE
_CUT = (0.4, 0.9)
"""Of a sentence: where every other one is cut off, in the midst of a word."""
_NOISE_LEVELS = (0.0, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3)
"""Standard deviation of the noise left in a silence; full scale is 1."""
SOUND_PIECES = 160
"""Pieces of sounds that are no speech."""
ALONE, AFTER, BEFORE = "alone", "after speech", "before speech"
_OFTEN = ("music", "laughter")
"""Kinds that are heard three times as often as others: the most varied, or most like speech."""
_GAPS = (0.08, 0.5)
"""Seconds between speech and a sound."""
_LOUDNESS = (0.1, 2.0)
"""Of a sound beside speech: from 20 dB below it to 6 dB above."""
_AUDIBLE = 0.03
"""Of the loudest 10 ms: what is quieter at the end of speech is its own silence."""


def silent_speech(
    encoder: SpeechEncoder, speech: list[Audio], generator: torch.Generator
) -> Float16[Tensor, "n t d"]:
    """Features of silences of 4 s: alone, before, and after each of `speech` (16 kHz), with
    noise of several levels.

    Those after speech begin with the first step after its last sound, or after a cut in the midst
    of a word: what is heard there still bears traces of the speech, and the lips must shut
    nevertheless.
    """
    length = SECONDS * SAMPLE_RATE
    pieces = []
    for level in _NOISE_LEVELS:
        noise = level * torch.randn(2 * length, generator=generator)
        pieces += list(_heard(encoder, noise, 0).split(_STEPS))
    for number, audio in enumerate(speech):
        level = _NOISE_LEVELS[number % len(_NOISE_LEVELS)]
        noise = level * torch.randn(length + SAMPLE_RATE, generator=generator)
        spoken = _without_end(audio.waveform)
        if number % 2:
            spoken = spoken[: round(uniform(generator, *_CUT) * len(spoken))]
        after = torch.cat([faded(spoken), noise])
        pieces.append(_heard(encoder, after, _step_after(spoken)))
        before = torch.cat([noise, audio.waveform])
        pieces.append(_heard(encoder, before, 0))
    return torch.stack([piece[:_STEPS] for piece in pieces]).half()


def sound_plan(count: int) -> list[tuple[str, str]]:
    """The kind of each of `count` pieces, in turns, and where it is heard: ALONE, AFTER or BEFORE
    speech. 51 pieces hold every kind in every place."""
    kinds = [kind for kind in KINDS for _ in range(3 if kind in _OFTEN else 1)]
    places = (ALONE, AFTER, BEFORE)
    return [(kinds[i % len(kinds)], places[i // len(kinds) % 3]) for i in range(count)]


def sounds_without_speech(
    encoder: SpeechEncoder,
    speech: list[Audio],
    generator: torch.Generator,
    count: int = SOUND_PIECES,
) -> Float16[Tensor, "n t d"]:
    """Features of `count` pieces of 4 s of sounds that are no speech: alone, after and before one
    of `speech` (16 kHz), a short gap between, at levels like speech's and far below."""
    pieces = []
    for kind, place in sound_plan(count):
        if place == ALONE or not speech:
            pieces.append(_alone(encoder, kind, generator))
        else:
            spoken = _without_end(speech[integer(generator, 0, len(speech))].waveform)
            pieces.append(_beside(encoder, kind, spoken, place, generator))
    return torch.stack(pieces).half() if pieces else torch.empty(0, _STEPS, encoder.width).half()


def _alone(encoder: SpeechEncoder, kind: str, generator: torch.Generator) -> Float[Tensor, "t d"]:
    """4 s from the midst of 8."""
    sound = draw_sound(kind, 2.0 * SECONDS, generator)
    start = integer(generator, 0, _STEPS + 1)
    return _heard(encoder, sound.waveform, start)[:_STEPS]


def _beside(
    encoder: SpeechEncoder,
    kind: str,
    spoken: Float[Tensor, " n"],
    place: str,
    generator: torch.Generator,
) -> Float[Tensor, "t d"]:
    """4 s from the end of speech on, gap included; or the 4 s with which a sound begins."""
    loud = spoken.square().mean().sqrt().clamp_min(1e-4) * log_uniform(generator, *_LOUDNESS)
    gap = torch.zeros(round(uniform(generator, *_GAPS) * SAMPLE_RATE))
    gap = gap + 1e-4 * torch.randn(len(gap), generator=generator)
    sound = draw_sound(kind, SECONDS + 0.1, generator, float(loud)).waveform
    if place == BEFORE:
        return _heard(encoder, torch.cat([sound, gap, spoken]), 0)[:_STEPS]
    heard = _heard(encoder, torch.cat([faded(spoken), gap, sound]), _step_after(spoken))
    return heard[:_STEPS]


def _step_after(waveform: Float[Tensor, " n"]) -> int:
    """The first step at which it is over."""
    return -(-len(waveform) * MOTION_RATE // SAMPLE_RATE)


def _without_end(waveform: Float[Tensor, " n"]) -> Float[Tensor, " m"]:
    """Speech up to its last sound: what follows is heard as following speech, not its silence."""
    step = SAMPLE_RATE // 100
    loudness = waveform[: len(waveform) // step * step].unflatten(0, (-1, step)).std(dim=1)
    audible = loudness > _AUDIBLE * loudness.max()
    return waveform[: (int(audible.nonzero().max()) + 1) * step] if audible.any() else waveform


def prepare_silence(
    videos: list[Path],
    folder: Path,
    encoder: SpeechEncoder,
    seed: int,
    count: int = 40,
    sounds: int = SOUND_PIECES,
) -> None:
    """Writes silences, and as many pieces of other sounds as `sounds` says, alone and about the
    speech of up to `count` of `videos`, to `folder`."""
    spread = videos[:: max(1, len(videos) // count)][:count]
    speech = [resample(read_audio(video), SAMPLE_RATE) for video in spread]
    generator = torch.Generator().manual_seed(seed)
    silences = silent_speech(encoder, speech, generator)
    others = sounds_without_speech(encoder, speech, generator, sounds)
    write_silence(folder, torch.cat([silences, others]))


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
