"""Lip motion for speech of any length, in windows that equal the whole."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from ..types import LipMotion, OnProgress, SpeechFeatures, StyleReference
from .basis import check_basis
from .predictor import MotionPredictor, Reach, StylePairs

_CHUNK = 512
"""Steps predicted at once, fewer when the reference is long."""
_LARGEST_LOOK_UP = 4_000_000
"""Steps times pairs of one attention map."""


@torch.no_grad()
def predict_lip_motion(
    predictor: MotionPredictor,
    speech: SpeechFeatures,
    style: StyleReference | None = None,
    strength: float = 1.0,
    on_progress: OnProgress | None = None,
) -> LipMotion:
    """How the lips move to `speech`, in the manner of `style`.

    `strength` is a guidance scale: 0 gives the style-free motion, 1 the style as seen, more than 1
    exaggerates it. Without a style the motion is style-free.

    Raises ValueError when speech, style and predictor do not speak of the same encoder and basis.
    """
    _check_encoder(speech.encoder, predictor.config.encoder)
    tokens = _tokens(predictor, speech.features)
    if style is None or strength == 0:
        motion = _decode(predictor, tokens, _no_pairs(predictor), tokens.new_zeros(0), on_progress)
    else:
        pairs, log_weight = style_pairs(predictor, style)
        motion = _decode(predictor, tokens, pairs, log_weight, on_progress)
        if strength != 1:
            free = _decode(predictor, tokens, _no_pairs(predictor), tokens.new_zeros(0), None)
            motion = free + strength * (motion - free)
    return LipMotion(motion, torch.ones(len(motion), dtype=torch.bool), predictor.config.basis)


def style_pairs(
    predictor: MotionPredictor, style: StyleReference
) -> tuple[StylePairs, Float[Tensor, " r"]]:
    """The look-up table of a style and the log-weights of its pairs; unseen steps are left out.

    Each clip is encoded by itself, so nothing is heard across the clips' borders.
    """
    _check_encoder(style.speech.encoder, predictor.config.encoder)
    check_basis(style.motion.basis, predictor.config.basis)
    device = predictor.null_key.device
    keys, values, weights = [], [], []
    for clip in style.clip.unique():
        inside = style.clip == clip
        tokens = _tokens(predictor, style.speech.features[inside])
        seen = style.motion.valid[inside].to(device)
        motion = style.motion.coefficients[inside].to(device).float()
        pairs = predictor.pair(tokens[None], motion[None], seen[None])
        keys.append(pairs.keys[0, seen])
        values.append(pairs.values[0, seen])
        weights.append(style.weight[inside].to(device)[seen])
    return StylePairs(torch.cat(keys)[None], torch.cat(values)[None]), torch.cat(weights).log()


def _check_encoder(found: str, needed: str) -> None:
    if found != needed:
        raise ValueError(
            f"speech features of {found}, {needed} is needed: encode the speech again with this "
            "predictor's encoder"
        )


def _no_pairs(predictor: MotionPredictor) -> StylePairs:
    none = predictor.null_key.new_zeros(1, 0, predictor.config.width)
    return StylePairs(none, none)


def _tokens(predictor: MotionPredictor, speech: Float[Tensor, "t d"]) -> Float[Tensor, "t w"]:
    def encode(piece: Float[Tensor, "t d"]) -> Float[Tensor, "t w"]:
        piece = piece.to(predictor.null_key.device).float()
        present = torch.ones(1, len(piece), dtype=torch.bool, device=piece.device)
        return predictor.encode(piece[None], present)[0]

    return _in_windows(encode, speech, predictor.encoder_reach, _CHUNK, None)


def _decode(
    predictor: MotionPredictor,
    tokens: Float[Tensor, "t w"],
    pairs: StylePairs,
    log_weight: Float[Tensor, " r"],
    on_progress: OnProgress | None,
) -> Float[Tensor, "t m"]:
    def decode(piece: Float[Tensor, "t w"]) -> Float[Tensor, "t m"]:
        present = torch.ones(1, 1, len(piece), dtype=torch.bool, device=piece.device)
        return predictor.decode(piece[None, None], present, pairs, log_weight[None, None])[0, 0]

    chunk = max(64, min(_CHUNK, _LARGEST_LOOK_UP // max(len(log_weight), 1)))
    return _in_windows(decode, tokens, predictor.decoder_reach, chunk, on_progress).cpu()


def _in_windows(
    function: Callable[[Tensor], Tensor],
    sequence: Float[Tensor, "t _"],
    reach: Reach,
    chunk: int,
    on_progress: OnProgress | None,
) -> Float[Tensor, "t _"]:
    """`function` over the steps of `sequence`, chunk by chunk with `reach` steps of context,
    which is as far as it can see: the same result as in one piece."""
    total, pieces = len(sequence), []
    for start in range(0, total, chunk):
        stop = min(start + chunk, total)
        first = max(start - reach.past, 0)
        result = function(sequence[first : stop + reach.ahead])
        pieces.append(result[start - first : stop - first])
        if on_progress is not None:
            on_progress(stop, total)
    return torch.cat(pieces)
