"""Lip motion while the speech comes in: the same as of the whole speech."""

from collections.abc import Callable, Generator, Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import SpeechError
from ..types import MOTION_RATE, LipMotion, SpeechFeatures, StyleReference
from .prediction import CHUNK, StyledPredictor, check_speech
from .predictor import MotionPredictor, Reach


def look_ahead_steps(predictor: MotionPredictor) -> int:
    """How many steps of speech must follow a step before its motion is known."""
    return predictor.encoder_reach.ahead + predictor.decoder_reach.ahead


def look_ahead_seconds(predictor: MotionPredictor) -> float:
    """How much speech must follow a step before its motion is known; what the speech encoder
    itself waits for comes on top."""
    return look_ahead_steps(predictor) / MOTION_RATE


def stream_lip_motion(
    predictor: MotionPredictor,
    speech: Iterable[SpeechFeatures],
    style: StyleReference | None = None,
    strength: float = 1.0,
) -> Generator[LipMotion, None, None]:
    """What `predict_lip_motion` gives for the speech that the blocks of `speech` make up.

    After each block come the steps that are known by then: all but the last `look_ahead_steps`;
    when the blocks end, those too. Blocks may have any length, but each costs the reach of the
    predictor on top, so a few steps at a time are dear. Holds the reach, one block and the style.
    Closing the generator lets go of all.

    Raises SpeechError when there is no step at all, ValueError when speech, style and predictor
    do not speak of the same encoder and basis.
    """
    styled = StyledPredictor(predictor, style, strength)
    features = _features(predictor, speech)
    tokens = _stream_in_windows(styled.tokens, features, predictor.encoder_reach, CHUNK)
    for motion in _stream_in_windows(styled.motion, tokens, predictor.decoder_reach, styled.chunk):
        valid = torch.ones(len(motion), dtype=torch.bool)
        yield LipMotion(motion, valid, predictor.config.basis)


def _features(
    predictor: MotionPredictor, speech: Iterable[SpeechFeatures]
) -> Iterator[Float[Tensor, "t d"]]:
    steps = 0
    for block in speech:
        check_speech(block, predictor)
        steps += len(block.features)
        yield block.features
    if steps == 0:
        raise SpeechError("there is no step of speech: give speech of at least 40 ms")


def _stream_in_windows(
    function: Callable[[Tensor], Tensor],
    blocks: Iterable[Float[Tensor, "_ _"]],
    reach: Reach,
    chunk: int,
) -> Iterator[Float[Tensor, "t _"]]:
    """`function` over the steps of `blocks`, which sees as far as `reach`: the same result as in
    one piece, each step as soon as all that it can see is there."""
    held, done = None, 0
    """The steps that may still be seen; the first `done` of them are there for others to see."""
    for block in blocks:
        for piece in block.split(chunk):
            held = piece if held is None else torch.cat([held, piece])
            known = len(held) - reach.ahead
            if known > done:
                yield function(held)[done:known].clone()
                unseen = max(known - reach.past, 0)
                held, done = held[unseen:].clone(), known - unseen
    if held is not None and len(held) > done:
        yield function(held)[done:].clone()
