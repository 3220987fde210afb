"""Makes speech with known phone times: `python tools/timed_speech.py --out FOLDER --sentences N`.

Sentences come from a small grammar of everyday English, seeded; voices from flite (Debian package
`flite`), where the package `espeakng-loader` is installed from espeak-ng in several variants, and
where onnxruntime and a voice of Piper (tools/piper.py) are as well, from that in several variants.
Every sentence is a .wav with a .json beside it (lipsync_core/synthesis/phones.py).
"""

import argparse
import random
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from lipsync_core.errors import LipStyleError
from lipsync_core.media.audio_file import read_audio, resample
from lipsync_core.synthesis.phones import (
    SILENCE,
    SYMBOLS,
    TimedPhone,
    TimedSpeech,
    write_timed_speech,
)
from lipsync_core.types import Audio
from tools.espeak import espeak_voices, speak_with_espeak
from tools.piper import NEEDED, VOICE_PACKAGES, piper_voices, speak_with_piper

SAMPLE_RATE = 16_000
FLITE_VOICES = ("slt", "rms", "awb", "kal16")
FLITE_SYMBOLS = {"pau": SILENCE, "axr": "er", "nx": "n", "dx": "t", "el": "l", "em": "m", "en": "n"}
PITCHES = (0.0, -2.0, 2.5)
"""Semitones by which flite's voices are varied."""

SUBJECTS = (
    "my father", "the young teacher", "our neighbour", "a small brown puppy", "the boy upstairs",
    "everybody", "the old fisherman", "Thomas", "her cousin Joyce", "the mayor", "nobody",
    "your best friend", "the whole family", "a very thin shepherd", "the judge", "my other brother",
    "the woman with the blue umbrella", "Uncle George", "the baker", "some good people", "we",
)  # fmt: skip
PAST_VERBS = (
    "bought", "painted", "threw away", "found", "dropped", "measured", "showed me", "fixed",
    "washed", "put down", "brought home", "would choose", "never noticed", "borrowed", "moved",
    "should have kept", "opened", "gave up", "wrapped", "pushed", "chewed", "could hear about",
)  # fmt: skip
OBJECTS = (
    "a pair of woolly mittens", "the heavy wooden box", "five cups of coffee", "their new house",
    "a beige treasure chest", "the usual television show", "two thick books", "an orange balloon",
    "a bowl of fresh fruit", "the broken bicycle", "a loaf of warm bread", "that leather jacket",
    "the long yellow rope", "a huge jar of jam", "both of the maps", "a tooth brush", "the choir",
    "some very loud music", "the beautiful mirror", "a picture of the moon",
    "the last piece of pie",
)  # fmt: skip
PLACES = (
    "by the river", "on Wednesday morning", "before lunch", "near the southern beach", "at home",
    "in the middle of the village", "without thinking", "above the garage", "for pleasure",
    "under the oak tree", "after a few hours", "with both hands", "in the pouring rain",
    "last month", "behind the fence", "as usual", "between the two shops", "through the fog",
    "on the way to school",
)  # fmt: skip
WHOLE = (
    "What time do you want to leave?", "Please pass me the butter and the jam.",
    "I have no idea how that happened.", "Maybe we should move the sofa over there.",
    "Would you like some more soup?", "She sells a few of these every summer.",
    "Bob and Pam met up at the pub by the park.", "Five brave women drove over the bridge.",
    "He is five feet tall, and he loves football.", "Thank you both for the birthday party.",
    "You and I know who it was.", "Choose whichever shoes you wish.",
    "It is a pleasure to measure the garage.", "How about a cup of tea and a piece of cake?",
    "The weather will be warm and windy all week.", "Oh no, the boat goes so slowly!",
    "My mother makes the best apple pie in town.", "Where were you when the lights went out?",
    "Put the big blue bag by the door.", "Nothing beats a hot bath at the end of the day.",
    "Why would anyone want to work on a Sunday?", "The voice of the boy annoyed Roy.",
    "Keep calm, and wait for the green light.", "Zebras and lions live at the zoo.",
    "Could you tell me the way to the station?", "We have always been good at this.",
)  # fmt: skip


def sentence(draw: random.Random) -> str:
    """One sentence of the grammar, or of the list of whole ones."""
    if draw.random() < 0.25:
        return draw.choice(WHOLE)
    words = [draw.choice(part) for part in (SUBJECTS, PAST_VERBS, OBJECTS, PLACES)]
    if draw.random() < 0.3:
        words = [words[3] + ",", *words[:3]]
    if draw.random() < 0.35:
        words += ["and", draw.choice(SUBJECTS), draw.choice(PAST_VERBS), draw.choice(OBJECTS)]
    text = " ".join(words)
    return text[0].upper() + text[1:] + "."


def speak_with_flite(text: str, voice: str, semitones: float = 0.0) -> TimedSpeech:
    """One sentence by flite, raised by `semitones` without a change of timing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        command = ["flite", "-voice", voice, "-t", text, "-o", str(path), "-psdur"]
        printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        audio = resample(read_audio(path), SAMPLE_RATE)
    if semitones:
        import librosa

        shifted = librosa.effects.pitch_shift(
            audio.waveform.numpy(), sr=SAMPLE_RATE, n_steps=semitones
        )
        audio = Audio(torch.from_numpy(shifted.astype(np.float32)), SAMPLE_RATE)
    name = f"flite {voice} {semitones:+g}" if semitones else f"flite {voice}"
    return TimedSpeech(audio, parse_flite(printed, audio.duration), text, name)


def parse_flite(printed: str, duration: float) -> tuple[TimedPhone, ...]:
    """flite's `phone:end ...` as phones; each begins where the last one ended."""
    phones, start = [], 0.0
    for name, end in re.findall(r"(\w+):([\d.]+)", printed):
        symbol, stop = FLITE_SYMBOLS.get(name, name), min(float(end), duration)
        if symbol not in SYMBOLS:
            raise ValueError(f"flite says {name!r}, which is no known phone")
        if stop > start:
            phones.append(TimedPhone(symbol, start, stop))
            start = stop
    return tuple(phones)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sentences", type=int, default=15, help="per voice")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-espeak", action="store_true")
    parser.add_argument("--no-piper", action="store_true")
    arguments = parser.parse_args()
    flite = [(f"flite-{v}-{p:+g}", v, p) for p in PITCHES for v in FLITE_VOICES]
    voices: list[tuple[str, Callable[[str], TimedSpeech]]] = [
        (name, partial(speak_with_flite, voice=voice, semitones=semitones))
        for name, voice, semitones in flite
    ]
    for voice in [] if arguments.no_espeak else espeak_voices():
        voices.append((voice.name, partial(speak_with_espeak, voice=voice)))
    neural = [] if arguments.no_piper else piper_voices()
    for voice in neural:
        voices.append((voice.name, partial(speak_with_piper, voice=voice)))
    for name, speak in voices:
        draw = random.Random(f"{arguments.seed} {name}")
        for number in range(arguments.sentences):
            path = arguments.out / f"{name}-{number:03d}.wav"
            write_timed_speech(path, speak(sentence(draw)))
    if not neural and not arguments.no_piper:
        print(f"no voices of Piper: needs {', '.join((*NEEDED, *VOICE_PACKAGES))}")
    print(f"{len(voices) * arguments.sentences} sentences in {arguments.out}")


if __name__ == "__main__":
    try:
        main()
    except (LipStyleError, FileNotFoundError, subprocess.CalledProcessError) as error:
        sys.exit(f"error: {error} (is flite installed? apt-get install flite)")
