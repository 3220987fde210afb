"""Speech whose sounds are timed: what a synthesiser says, and when each phone begins and ends."""

import json
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..errors import MediaError
from ..media.audio_file import read_audio
from ..types import Audio

SILENCE = "sil"
VOWELS = frozenset(
    ("aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw")
)
CONSONANTS = frozenset(
    ("b", "ch", "d", "dh", "f", "g", "hh", "jh", "k", "l", "m", "n", "ng", "p", "r", "s", "sh",
     "t", "th", "v", "w", "y", "z", "zh")
)  # fmt: skip
SYMBOLS = VOWELS | CONSONANTS | {SILENCE}
"""ARPAbet without stress, lower case, with the reduced vowel ax, and silence."""


@dataclass(frozen=True)
class TimedPhone:
    """One sound."""

    symbol: str
    """One of SYMBOLS."""
    start: float
    end: float
    """Seconds."""

    def __post_init__(self) -> None:
        if self.symbol not in SYMBOLS:
            raise ValueError(f"no phone {self.symbol!r}; there are {sorted(SYMBOLS)}")
        if not 0 <= self.start < self.end:
            raise ValueError(f"phone {self.symbol} runs from {self.start} to {self.end} s")


@dataclass(frozen=True)
class TimedSpeech:
    """Sound and the phones in it, in order and without overlap."""

    audio: Audio
    phones: tuple[TimedPhone, ...]
    text: str = ""
    voice: str = ""

    def __post_init__(self) -> None:
        for one, other in pairwise(self.phones):
            if other.start < one.end - 1e-6:
                raise ValueError(f"{other} begins before {one} ends")
        if self.phones and self.phones[-1].end > self.audio.duration + 0.1:
            raise ValueError(
                f"phones end at {self.phones[-1].end:.2f} s, "
                f"the sound at {self.audio.duration:.2f} s"
            )


def excerpt(speech: TimedSpeech, start: float, stop: float) -> TimedSpeech:
    """The part from `start` to `stop` seconds; phones at its ends are cut."""
    if not 0 <= start < stop <= speech.audio.duration + 1e-6:
        raise ValueError(f"{start} to {stop} s of a speech of {speech.audio.duration} s")
    rate = speech.audio.sample_rate
    waveform = speech.audio.waveform[round(start * rate) : round(stop * rate)]
    phones = tuple(
        TimedPhone(phone.symbol, max(phone.start - start, 0.0), min(phone.end, stop) - start)
        for phone in speech.phones
        if phone.end > start + 1e-3 and phone.start < stop - 1e-3
    )
    return TimedSpeech(Audio(waveform, rate), phones, speech.text, speech.voice)


def write_timed_speech(path: Path, speech: TimedSpeech) -> None:
    """Writes `path` (a .wav of 16 bit) and the phones to the .json beside it."""
    import wave

    path.parent.mkdir(parents=True, exist_ok=True)
    samples = speech.audio.waveform.detach().cpu().numpy()
    pcm = np.round(np.clip(samples, -1, 1) * 32767).astype("<i2")
    part = path.with_name(f".{path.name}.part")
    try:
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(speech.audio.sample_rate)
            file.writeframes(pcm.tobytes())
        part.replace(path)
        phones = [asdict(phone) for phone in speech.phones]
        facts = {"text": speech.text, "voice": speech.voice, "phones": phones}
        part.write_text(json.dumps(facts, indent=1))
        part.replace(path.with_suffix(".json"))
    finally:
        part.unlink(missing_ok=True)


def read_timed_speech(path: Path) -> TimedSpeech:
    """What `write_timed_speech` wrote; MediaError when a part is missing or makes no sense."""
    timing = path.with_suffix(".json")
    if not timing.is_file():
        raise MediaError(f"no phone times at {timing}: make the speech with tools/timed_speech.py")
    try:
        facts = json.loads(timing.read_text())
        phones = tuple(TimedPhone(**phone) for phone in facts["phones"])
        return TimedSpeech(read_audio(path), phones, facts.get("text", ""), facts.get("voice", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise MediaError(
            f"{timing} holds no phone times ({error}): make the speech with tools/timed_speech.py"
        ) from error


def find_timed_speech(folder: Path) -> list[Path]:
    """Every .wav under `folder` that has phone times, ordered by path; MediaError for none."""
    found = sorted(p for p in folder.rglob("*.wav") if p.with_suffix(".json").is_file())
    if not found:
        raise MediaError(
            f"no .wav with a .json of phone times under {folder}: "
            "make some with tools/timed_speech.py"
        )
    return found
