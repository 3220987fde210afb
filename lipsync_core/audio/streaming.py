"""Speech features while the sound comes in: the same as of the whole sound."""

from collections.abc import Generator, Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..errors import SpeechError
from ..types import MOTION_RATE, SpeechFeatures
from .features import (
    CONTEXT_SECONDS,
    HOP_SECONDS,
    MINIMUM_SECONDS,
    speech_steps,
    window_features,
)
from .windows import SAMPLE_RATE, WINDOW_SECONDS, SpeechEncoder

LOOK_AHEAD_SECONDS = HOP_SECONDS + CONTEXT_SECONDS
"""How much sound must follow the beginning of a step, at most, before its features are known: the
first step of a window waits for the whole window, the last one only for the context after it."""
LOOK_AHEAD_STEPS = LOOK_AHEAD_SECONDS * MOTION_RATE
_HOP_STEPS = HOP_SECONDS * MOTION_RATE
_CONTEXT, _HOP = CONTEXT_SECONDS * SAMPLE_RATE, HOP_SECONDS * SAMPLE_RATE
_WINDOW = WINDOW_SECONDS * SAMPLE_RATE


def stream_speech(
    encoder: SpeechEncoder, blocks: Iterable[Float[Tensor, " _"]]
) -> Generator[SpeechFeatures, None, None]:
    """What `encode_speech` hears in the sound that `blocks` make up, window by window.

    Blocks are 16 kHz samples in [-1, 1], any number at a time. As soon as the last sample of a
    window of the fixed grid is there, its 8 s of features are given; when the blocks end, what is
    left. Holds one window and one block. Closing the generator lets go of both.

    Raises SpeechError for a block with samples that are not finite, and at the end for less than
    40 ms of sound.
    """
    held, heard, given = torch.zeros(_CONTEXT), 0, 0
    for block in blocks:
        _check_finite(block, heard)
        heard += len(block)
        for piece in block.detach().split(_WINDOW):
            held = torch.cat([held, piece.cpu().float()])
            while len(held) >= _WINDOW:
                yield SpeechFeatures(window_features(encoder, held[:_WINDOW]), encoder.id)
                held, given = held[_HOP:].clone(), given + _HOP_STEPS
    if heard < MINIMUM_SECONDS * SAMPLE_RATE:
        raise SpeechError(
            f"the sound ended after {1000 * heard / SAMPLE_RATE:.1f} ms: give at least 40 ms"
        )
    steps = speech_steps(heard / SAMPLE_RATE)
    while given < steps:
        window = nn.functional.pad(held, (0, _WINDOW - len(held)))
        yield SpeechFeatures(window_features(encoder, window)[: steps - given], encoder.id)
        held, given = held[_HOP:], given + _HOP_STEPS


def _check_finite(block: Float[Tensor, " n"], heard: int) -> None:
    if not torch.isfinite(block).all():
        raise SpeechError(
            f"the sound holds NaN or infinite samples after {heard / SAMPLE_RATE:.2f} s: "
            "take out the filter that made them"
        )
