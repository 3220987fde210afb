"""Speech with phone times: marks of synthesisers become phones in order, stops get their closure,
and where Piper's voice is installed its sound is quiet where the phones say silence."""

import numpy as np
import pytest
import torch

from lipsync_core.synthesis.phones import SILENCE, SYMBOLS
from tools import espeak
from tools.piper import SOUNDS, phones_of, piper_voices, speak_with_piper
from tools.timed_speech import parse_flite

STRESS, LONG, SYLLABIC, SHORT_I = "\u02c8", "\u02d0", "\u0329", "\u026a"
"""Of the IPA."""


def times(phones) -> list[tuple[str, float, float]]:
    return [(p.symbol, round(p.start, 3), round(p.end, 3)) for p in phones]


def test_flite_ends_become_phones():
    phones = parse_flite("pau:0.2 hh:0.3 axr:0.45 pau:0.9", 0.8)
    assert times(phones) == [
        ("sil", 0.0, 0.2), ("hh", 0.2, 0.3), ("er", 0.3, 0.45), ("sil", 0.45, 0.8),
    ]  # fmt: skip


def test_espeak_marks_become_phones_and_voiceless_stops_close_before_their_burst():
    marks = [
        (0.0, "A:"),
        (0.2, "p"),
        (0.25, "I"),
        (0.3, "t"),
        (0.32, "b"),
        (0.4, "A@"),
        (0.6, "_:"),
    ]
    phones = espeak._phones(marks, 0.8)
    closure = round(0.2 - espeak.CLOSURE, 3)
    # The short vowel keeps half of itself.
    assert times(phones) == [
        ("aa", 0.0, closure), ("p", closure, 0.25), ("ih", 0.25, 0.275), ("t", 0.275, 0.32),
        ("b", 0.32, 0.4), ("aa", 0.4, 0.5), ("r", 0.5, 0.6), ("sil", 0.6, 0.8),
    ]  # fmt: skip


def test_every_sound_of_piper_is_a_phone():
    assert {symbol for names in SOUNDS.values() for symbol in names} <= SYMBOLS - {SILENCE}


def test_piper_marks_belong_to_the_next_sound_lengths_to_the_last():
    symbols = ["^", "_", "b", "_", STRESS, "_", "a", "_", SHORT_I, "_", "k", "_", ".", "_", "$"]
    ends = 0.1 * np.arange(1, len(symbols) + 1)
    phones = phones_of(symbols, ends, 1.5)
    assert times(phones) == [
        ("sil", 0.0, 0.2), ("b", 0.2, 0.3), ("sil", 0.3, 0.6), ("ay", 0.6, 0.9), ("k", 0.9, 1.1),
        ("sil", 1.1, 1.5),
    ]  # fmt: skip
    joined = phones_of(symbols, 0.03 * np.arange(1, len(symbols) + 1), 0.45)
    assert times(joined)[1:3] == [("b", 0.06, 0.09), ("ay", 0.09, 0.27)]
    long = phones_of(["^", "i", LONG, "_", "n", SYLLABIC, "$"], 0.02 * np.arange(1, 8), 0.2)
    assert times(long) == [
        ("sil", 0.0, 0.02), ("iy", 0.02, 0.06), ("n", 0.06, 0.12), ("sil", 0.12, 0.2),
    ]  # fmt: skip


def test_piper_punctuation_is_silence_even_if_short():
    symbols = ["^", "m", ",", " ", "m", "$"]
    phones = phones_of(symbols, 0.02 * np.arange(1, 7), 0.12)
    assert [p.symbol for p in phones] == ["sil", "m", "sil", "m", "sil"]


@pytest.mark.skipif(not piper_voices(), reason="no voice of Piper is installed")
def test_piper_speaks_and_is_quiet_in_its_silences():
    voice = piper_voices()[0]
    speech = speak_with_piper("Bob bought a boat, Sam saw six ships.", voice)
    assert speech.phones[0].symbol == speech.phones[-1].symbol == SILENCE
    said = [p.symbol for p in speech.phones if p.symbol != SILENCE]
    assert [s for s in said if s in "bmps"] == [
        "b",
        "b",
        "b",
        "b",
        "s",
        "m",
        "s",
        "s",
        "s",
        "p",
        "s",
    ]
    level = {True: [], False: []}
    for phone in speech.phones:
        start, stop = (round(t * speech.audio.sample_rate) for t in (phone.start, phone.end))
        level[phone.symbol == SILENCE].append(speech.audio.waveform[start:stop].square())
    quiet, loud = (torch.cat(level[silent]).mean() for silent in (True, False))
    assert quiet < 0.03 * loud
