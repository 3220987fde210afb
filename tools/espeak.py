"""espeak-ng as a source of speech with phone times, through its C interface.

The library and its voices come in the optional package `espeakng-loader`; it runs in this process
and tells in events, in milliseconds, where each phoneme begins
(https://github.com/espeak-ng/espeak-ng/blob/master/src/include/espeak-ng/speak_lib.h).
"""

import ctypes
import importlib.util
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from lipsync_core.media.audio_file import resample
from lipsync_core.synthesis.phones import SILENCE, TimedPhone, TimedSpeech
from lipsync_core.types import Audio

SAMPLE_RATE = 16_000
VARIANTS = (
    "", "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8",
    "Alicia", "Andy", "Annie", "Denis", "Lee", "Michael", "steph", "linda", "adam", "zac",
)  # fmt: skip
ACCENTS = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland")

_RETRIEVAL, _PHONEME_EVENTS, _UTF8, _IPA = 1, 1, 1, 2
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE, _PITCH = 1, 3

# Phonemes of English in espeak-ng's own notation: what each stands for in ARPAbet. Two symbols
# share the time.
PHONEMES: dict[str, tuple[str, ...]] = {
    "a": ("ae",), "aa": ("ae",), "a#": ("ax",), "A": ("aa",), "A:": ("aa",), "A@": ("aa", "r"),
    "0": ("aa",), "0#": ("ax",), "O": ("ao",), "O:": ("ao",), "O@": ("ao", "r"), "o@": ("ao", "r"),
    "O2": ("ao",), "oU": ("ow",), "oUl": ("ow", "l"), "OI": ("oy",), "E": ("eh",), "E2": ("eh",),
    "e": ("eh",), "eI": ("ey",), "e@": ("eh", "r"), "I": ("ih",), "I#": ("ih",), "I2": ("ih",),
    "i": ("iy",), "i:": ("iy",), "i@": ("ih", "ax"), "i@3": ("ih", "r"), "I@": ("ih", "ax"),
    "aI": ("ay",), "aI2": ("ay",), "aI@": ("ay", "ax"), "aI3": ("ay", "er"), "IR": ("ih", "r"),
    "aU": ("aw",), "aU@": ("aw", "ax"),
    "U": ("uh",), "u:": ("uw",), "u": ("uw",), "U@": ("uh", "r"), "V": ("ah",), "3:": ("er",),
    "3": ("er",), "@": ("ax",), "@2": ("ax",), "@5": ("ax",), "@L": ("ax", "l"),
    "VR": ("ah", "r"),
    "p": ("p",), "b": ("b",), "t": ("t",), "t2": ("t",), "t#": ("t",), "*": ("t",), "d": ("d",),
    "k": ("k",), "g": ("g",), "f": ("f",), "v": ("v",), "T": ("th",), "D": ("dh",), "s": ("s",),
    "z": ("z",), "S": ("sh",), "Z": ("zh",), "tS": ("ch",), "dZ": ("jh",), "m": ("m",),
    "n": ("n",), "N": ("ng",), "l": ("l",), "l#": ("l",), "L": ("l",), "r": ("r",), "r-": ("r",),
    "w": ("w",), "w#": ("w",), "j": ("y",), "h": ("hh",), "n-": ("n",), "m-": ("m",), "x": ("k",),
    "?": ("t",), "@-": ("ax",), "u#": ("uw",), "O#": ("ao",), "d#": ("d",), "z#": ("z",),
}  # fmt: skip
PAUSES = ("_:", "_", "_!", "_|", "_^_", "", "_::", "||", ";", "(en)")
VOICELESS_STOPS = ("p", "t", "k", "ch")
CLOSURE = 0.045
"""Seconds of quiet before the event of a voiceless stop between vowels, measured in 28 voices;
voiced stops have none."""


class _Id(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


@dataclass(frozen=True)
class EspeakVoice:
    """A voice of espeak-ng: accent, variant, pitch and rate."""

    accent: str
    variant: str
    pitch: int
    """0 to 99; 50 is the variant's own."""
    rate: int
    """Words a minute."""

    @property
    def name(self) -> str:
        """For file names."""
        return f"espeak-{self.accent}-{self.variant or 'plain'}".lower()


def espeak_voices() -> list[EspeakVoice]:
    """The voices there are; none where espeakng-loader is not installed."""
    if importlib.util.find_spec("espeakng_loader") is None:
        return []
    return [
        EspeakVoice(
            ACCENTS[i * 7 % 4 if i % 2 else 0], variant, 40 + 7 * (i % 4), 145 + 10 * (i % 5)
        )
        for i, variant in enumerate(VARIANTS)
    ]


def speak_with_espeak(text: str, voice: EspeakVoice) -> TimedSpeech:
    """One sentence by espeak-ng."""
    library, rate = _library()
    blocks: list[np.ndarray] = []
    marks: list[tuple[float, str]] = []

    def receive(samples, count, events):
        if samples and count > 0:
            blocks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        place = 0
        while events[place].type != _EVENT_END:
            if events[place].type == _EVENT_PHONEME:
                name = bytes(events[place].id.string).decode("utf-8", "replace")
                marks.append((events[place].audio_position / 1000, name))
            place += 1
        return 0

    callback = _Callback(receive)
    library.espeak_SetSynthCallback(callback)
    name = f"{voice.accent}+{voice.variant}" if voice.variant else voice.accent
    if library.espeak_SetVoiceByName(name.encode()):
        raise ValueError(f"espeak-ng has no voice {name}")
    library.espeak_SetParameter(_RATE, voice.rate, 0)
    library.espeak_SetParameter(_PITCH, voice.pitch, 0)
    data = text.encode()
    library.espeak_Synth(data, len(data) + 1, 0, 1, 0, _UTF8, None, None)
    library.espeak_Synchronize()
    waveform = torch.from_numpy(np.concatenate(blocks).astype(np.float32) / 32768)
    audio = resample(Audio(waveform, rate), SAMPLE_RATE)
    return TimedSpeech(audio, _phones(marks, audio.duration), text, voice.name)


def text_to_ipa(text: str, accent: str) -> str:
    """How espeak-ng says a clause, in the IPA with stress marks."""
    library, _ = _library()
    if library.espeak_SetVoiceByName(accent.encode()):
        raise ValueError(f"espeak-ng has no voice {accent}")
    library.espeak_TextToPhonemes.restype = ctypes.c_char_p
    rest, said = ctypes.c_char_p(text.encode()), []
    while rest.value is not None:  # it moves on clause by clause, then to null
        said.append(library.espeak_TextToPhonemes(ctypes.byref(rest), _UTF8, _IPA).decode())
    return " ".join(said)


def _phones(marks: list[tuple[float, str]], duration: float) -> tuple[TimedPhone, ...]:
    phones: list[TimedPhone] = []
    starts = [start for start, _ in marks] + [duration]
    for (start, name), end in zip(marks, starts[1:], strict=True):
        symbols = _symbols(name)
        if not symbols or end - start < 1e-3:
            continue
        if symbols[0] in VOICELESS_STOPS and phones:
            start = _close_early(phones, start)
        share = (end - start) / len(symbols)
        for i, symbol in enumerate(symbols):
            phones.append(TimedPhone(symbol, start + i * share, start + (i + 1) * share))
    return tuple(phones)


def _close_early(phones: list[TimedPhone], burst: float) -> float:
    """The event of a voiceless stop is its burst: its closure is taken from the sound before, whose
    end it shortens; returns where the stop begins."""
    last = phones[-1]
    start = max(burst - CLOSURE, (last.start + burst) / 2)
    phones[-1] = TimedPhone(last.symbol, last.start, start)
    return start


def _symbols(name: str) -> tuple[str, ...]:
    bare = name.strip("',%=|_ ").removesuffix("\0")
    if bare in PHONEMES:
        return PHONEMES[bare]
    if name in PAUSES or not bare or not any(c.isalnum() or c in "@*?" for c in bare):
        return (SILENCE,)
    raise ValueError(f"espeak-ng says {name!r}, which is no known phoneme")


@cache
def _library() -> tuple[ctypes.CDLL, int]:
    import espeakng_loader  # pyright: ignore[reportMissingImports]

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    data = str(espeakng_loader.get_data_path()).encode()
    rate = library.espeak_Initialize(_RETRIEVAL, 0, data, _PHONEME_EVENTS)
    if rate <= 0:
        raise ValueError("espeak-ng did not start: install espeakng-loader again")
    return library, rate
