"""Which speech encoder a command hears with: one that is known by name, or one in a file."""

import argparse
from collections.abc import Iterable
from pathlib import Path

from ..audio.encoder import SpeechEncoder, load_speech_encoder
from ..errors import ModelError
from ..weights import SPEECH_ENCODER, SPEECH_ENCODERS, find

DEFAULT = "whisper-tiny"
"""What the shipped models listen with."""


def add_speech_encoder(parser: argparse.ArgumentParser) -> None:
    """The option by which a user names it."""
    parser.add_argument(
        "--speech-encoder",
        default=DEFAULT,
        metavar="|".join((*SPEECH_ENCODERS, "FILE")),
        help=f"what hears the speech (default {DEFAULT}); a predictor listens with the one that "
        "its clips were heard with",
    )


def named_speech_encoder(name: str) -> SpeechEncoder:
    """The encoder of a name in SPEECH_ENCODERS, or in the file of that name."""
    known = SPEECH_ENCODERS.get(name)
    return load_speech_encoder(Path(name) if known is None else find(known))


def speech_encoders(ids: Iterable[str]) -> tuple[SpeechEncoder, list[SpeechEncoder]]:
    """The encoder of the shipped models, and whichever others these ids speak of.

    Raises ModelError when an id is of none that is known by name.
    """
    main = load_speech_encoder(find(SPEECH_ENCODER))
    missing, others = set(ids) - {main.id}, []
    for weight in SPEECH_ENCODERS.values():
        if missing and weight is not SPEECH_ENCODER:
            other = load_speech_encoder(find(weight))
            if other.id in missing:
                others.append(other)
                missing -= {other.id}
    if missing:
        raise ModelError(
            f"no known speech encoder is {sorted(missing)}: take a predictor that listens with "
            f"one of {sorted(SPEECH_ENCODERS)}"
        )
    return main, others
