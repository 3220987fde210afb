"""Lip motion for speech of any length, in windows that equal the whole."""

from collections.abc import Callable
from math import isfinite

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import SpeechError
from ..types import LipMotion, OnProgress, SpeechFeatures, StyleReference
from .basis import check_basis
from .predictor import MotionPredictor, Reach, StylePairs

CHUNK = 256
"""Steps predicted at once, fewer when the reference is long."""
_LARGEST_LOOK_UP = 4_000_000
"""Steps times pairs of one attention map."""


class StyledPredictor:
    """A predictor that speaks in one style: what it looks up is worked out once.

    Its two parts are functions of a stretch of time, and may be called for any stretches that
    hold enough of what is around the steps in question: `encoder_reach` and `decoder_reach`.

    Raises ValueError when style and predictor do not speak of the same encoder and basis, or the
    strength is no finite number.
    """

    def __init__(
        self, predictor: MotionPredictor, style: StyleReference | None = None, strength: float = 1.0
    ):
        if not isfinite(strength):
            raise ValueError(f"strength is {strength}: give a number, 1 for the style as seen")
        self.predictor = predictor
        self.strength = strength if style is not None else 0.0
        with torch.no_grad():
            none = predictor.null_key.new_zeros(1, 0, predictor.config.width)
            self._free = predictor.tables(StylePairs(none, none))
            self._styled, self._log_weight = self._free, none.new_zeros(0)
            if style is not None and strength != 0:
                pairs, self._log_weight = style_pairs(predictor, style)
                self._styled = predictor.tables(pairs)

    @property
    def chunk(self) -> int:
        """How many steps of motion to ask for at once, to be quick within bounded memory."""
        return max(64, min(CHUNK, _LARGEST_LOOK_UP // max(len(self._log_weight), 1)))

    @torch.no_grad()
    def tokens(self, speech: Float[Tensor, "t d"]) -> Float[Tensor, "t w"]:
        """Speech features as the predictor hears them."""
        return _encode(self.predictor, speech)

    @torch.no_grad()
    def motion(self, tokens: Float[Tensor, "t w"]) -> Float[Tensor, "t m"]:
        """Coefficients in eye distances, on the CPU."""
        if self.strength == 1:
            return self._decode(tokens, styled=True).cpu()
        motion = self._decode(tokens, styled=False)
        if self.strength != 0:
            motion = motion + self.strength * (self._decode(tokens, styled=True) - motion)
        return motion.cpu()

    def _decode(self, tokens: Float[Tensor, "t w"], styled: bool) -> Float[Tensor, "t m"]:
        present = torch.ones(1, 1, len(tokens), dtype=torch.bool, device=tokens.device)
        tables = self._styled if styled else self._free
        log_weight = self._log_weight if styled else self._log_weight[:0]
        return self.predictor.decode(tokens[None, None], present, tables, log_weight[None, None])[
            0, 0
        ]


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

    Raises SpeechError for speech without a step, ValueError when speech, style and predictor do
    not speak of the same encoder and basis.
    """
    check_speech(speech, predictor)
    if len(speech.features) == 0:
        raise SpeechError("there is no step of speech: give speech of at least 40 ms")
    styled = StyledPredictor(predictor, style, strength)
    tokens = _in_windows(styled.tokens, speech.features, predictor.encoder_reach, CHUNK, None)
    motion = _in_windows(styled.motion, tokens, predictor.decoder_reach, styled.chunk, on_progress)
    return LipMotion(motion, torch.ones(len(motion), dtype=torch.bool), predictor.config.basis)


@torch.no_grad()
def style_pairs(
    predictor: MotionPredictor, style: StyleReference
) -> tuple[StylePairs, Float[Tensor, " r"]]:
    """The look-up table of a style and the log-weights of its pairs; unseen steps are left out.

    Each clip is encoded by itself, so nothing is heard across the clips' borders.
    """
    check_speech(style.speech, predictor)
    check_basis(style.motion.basis, predictor.config.basis)
    device = predictor.null_key.device
    keys, values, weights = [], [], []
    for clip in style.clip.unique():
        inside = style.clip == clip
        tokens = _in_windows(
            lambda speech: _encode(predictor, speech),
            style.speech.features[inside],
            predictor.encoder_reach,
            CHUNK,
            None,
        )
        seen = style.motion.valid[inside].to(device)
        motion = style.motion.coefficients[inside].to(device).float()
        pairs = predictor.pair(tokens[None], motion[None], seen[None])
        keys.append(pairs.keys[0, seen])
        values.append(pairs.values[0, seen])
        weights.append(style.weight[inside].to(device)[seen])
    return StylePairs(torch.cat(keys)[None], torch.cat(values)[None]), torch.cat(weights).log()


def check_speech(speech: SpeechFeatures, predictor: MotionPredictor) -> None:
    """ValueError when the predictor listens with another encoder."""
    if speech.encoder != predictor.config.encoder:
        raise ValueError(
            f"speech features of {speech.encoder}, {predictor.config.encoder} is needed: encode "
            "the speech again with this predictor's encoder"
        )


def _encode(predictor: MotionPredictor, speech: Float[Tensor, "t d"]) -> Float[Tensor, "t w"]:
    speech = speech.to(predictor.null_key.device).float()
    present = torch.ones(1, len(speech), dtype=torch.bool, device=speech.device)
    return predictor.encode(speech[None], present)[0]


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
