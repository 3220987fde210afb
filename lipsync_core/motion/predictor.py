"""Stage 1 of the method: speech to lip motion, in the style of a reference.

One Transformer encoder turns new speech and reference speech into tokens of one space. Every layer
of the decoder asks the reference with the new speech's tokens: queries are new speech, keys are
reference speech, values are reference speech together with the lip motion seen with it. So a
sound is spoken with the lips that this person gave to like sounds (Zhong et al., "Style-Preserving
Lip Sync via Audio-Aware Style Reference", https://arxiv.org/abs/2408.05412).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..checkpoint import Model
from ..operations import Operations
from .attention import (
    CrossAttention,
    SelfAttentionBlock,
    SequenceDropout,
    StaticStyle,
    Table,
    band_bias,
)
from .basis import LipMotionBasis

_CONVOLUTION_REACH = 2
_COORDINATES = 57 * 3

AUDIO, LIP_VALUES, LIPS_ONLY = "audio", "lip values", "lips only"
POOLED, NONE = "pooled", "none"
READINGS = (AUDIO, LIP_VALUES, LIPS_ONLY, POOLED, NONE)
"""How a style is read: ours, and the ablations that it is compared with.

    audio       keys are reference speech, values reference speech and lip motion (the paper)
    lip values  keys are reference speech, values lip motion alone
    lips only   keys and values are reference lip motion alone, as DiffDub attends to it
    pooled      one static code for the whole reference, as StyleTalk's
    none        no reference is read
"""


@dataclass(frozen=True)
class MotionPredictorConfig:
    """Sizes of a predictor, and what its inputs and outputs mean."""

    basis: str
    """Id of the basis whose coefficients it predicts."""
    encoder: str
    """Id of the speech encoder it listens with."""
    speech_width: int = 768
    motion_size: int = 24
    basis_extends: int = 0
    """LipMotionBasis.extends of its basis."""
    width: int = 192
    heads: int = 6
    encoder_layers: int = 2
    decoder_layers: int = 2
    attention_reach: int = 25
    """Steps that self-attention sees to each side; over all layers this bounds what a step can
    depend on, so that speech cut into windows gives the same motion as the whole."""
    attention_ahead: int | None = None
    """Steps that self-attention sees of the future, >= 0, when they are not as many as of the
    past (None): fewer make live use quicker."""
    dropout: float = 0.1
    reading: str = AUDIO
    """AUDIO, or one of the ablations, all of one size."""


class Reach(NamedTuple):
    """How many steps away something can matter."""

    past: int
    ahead: int


@dataclass(frozen=True)
class StylePairs:
    """What the decoder looks up: an unordered set of heard-and-seen pairs."""

    keys: Float[Tensor, "b r w"]
    values: Float[Tensor, "b r w"]


class MotionPredictor(Model):
    """Predicts lip motion coefficients at 25 Hz from speech features and style pairs."""

    config_class = MotionPredictorConfig
    speech_mean: Tensor
    speech_scale: Tensor
    motion_scale: Tensor
    basis_components: Tensor

    def __init__(self, config: MotionPredictorConfig, operations: Operations = nn):
        super().__init__(config)
        width, motion = config.width, config.motion_size
        self.register_buffer("speech_mean", torch.zeros(config.speech_width))
        self.register_buffer("speech_scale", torch.ones(config.speech_width))
        self.register_buffer("motion_scale", torch.ones(motion))
        self.register_buffer("basis_components", torch.zeros(motion, _COORDINATES))

        self.speech_in = nn.Sequential(
            operations.Linear(config.speech_width, width),
            nn.GELU(),
            SequenceDropout(config.dropout),
        )
        self.speech_convolution = operations.Conv1d(
            width, width, 2 * _CONVOLUTION_REACH + 1, padding="same", groups=width // 24
        )
        self.encoder = nn.ModuleList(self._block(operations) for _ in range(config.encoder_layers))
        self.encoder_norm = operations.LayerNorm(width)
        self.base_out = operations.Linear(width, motion)

        # One channel more than the motion has: where it was seen at all.
        self.motion_in = nn.Sequential(
            operations.Conv1d(motion + 1, width, 9, padding="same"),
            nn.GELU(),
            operations.Conv1d(width, width, 3, padding="same"),
        )
        self.pair_value = nn.Sequential(
            operations.Linear(2 * width, width), nn.GELU(), operations.Linear(width, width)
        )
        self.null_key = nn.Parameter(torch.randn(width) * 0.1)
        self.null_value = nn.Parameter(torch.randn(width) * 0.1)
        self.key_norm = operations.LayerNorm(width)
        if config.reading not in READINGS:
            raise ValueError(f"reading {config.reading!r} is none of {READINGS}")
        self.look_up = nn.ModuleList(
            StaticStyle(width, operations)
            if config.reading == POOLED
            else CrossAttention(width, config.heads, operations)
            for _ in range(config.decoder_layers)
        )
        self.decoder = nn.ModuleList(self._block(operations) for _ in range(config.decoder_layers))
        self.motion_out = nn.Sequential(
            operations.LayerNorm(width),
            operations.Linear(width, width),
            nn.GELU(),
            operations.Linear(width, motion),
        )

    def _block(self, operations: Operations) -> SelfAttentionBlock:
        config = self.config
        return SelfAttentionBlock(config.width, config.heads, config.dropout, operations)

    @property
    def basis(self) -> LipMotionBasis:
        """The basis of its motion."""
        return LipMotionBasis(self.basis_components, self.config.basis_extends)

    @property
    def attention_band(self) -> Reach:
        """How far a layer's self-attention sees."""
        past, ahead = self.config.attention_reach, self.config.attention_ahead
        return Reach(past, past if ahead is None else ahead)

    @property
    def encoder_reach(self) -> Reach:
        """How far from a step of `encode` the speech lies that it can hear."""
        layers, band = self.config.encoder_layers, self.attention_band
        return Reach(
            layers * band.past + _CONVOLUTION_REACH, layers * band.ahead + _CONVOLUTION_REACH
        )

    @property
    def decoder_reach(self) -> Reach:
        """How far from a step of `decode` the tokens lie that it can see."""
        layers, band = self.config.decoder_layers, self.attention_band
        return Reach(layers * band.past, layers * band.ahead)

    def encode(
        self, speech: Float[Tensor, "n t d"], present: Bool[Tensor, "n t"]
    ) -> Float[Tensor, "n t w"]:
        """Speech features to tokens; position-free but for the order of neighbours."""
        known = present[..., None]
        x = self.speech_in((speech.float() - self.speech_mean) / self.speech_scale) * known
        x = x + self.speech_convolution(x.transpose(1, 2)).transpose(1, 2)
        bias = band_bias(present, *self.attention_band)
        for block in self.encoder:
            x = block(x, bias)
        return self.encoder_norm(x)

    def pair(
        self,
        tokens: Float[Tensor, "n t w"],
        motion: Float[Tensor, "n t m"],
        seen: Bool[Tensor, "n t"],
    ) -> StylePairs:
        """Reference tokens and the motion seen with them, one pair per step."""
        known = seen[..., None].to(motion)
        seen_motion = torch.cat([motion / self.motion_scale * known, known], dim=-1)
        # Hidden between the convolutions too: an absent step is like the clip's end.
        moved = self.motion_in[:2](seen_motion.transpose(1, 2)) * known.transpose(1, 2)
        moved = self.motion_in[2](moved).transpose(1, 2)
        if self.config.reading == LIPS_ONLY:
            tokens = moved.to(tokens)
        spoken = torch.zeros_like(tokens) if self.config.reading == LIP_VALUES else tokens
        value = self.pair_value(torch.cat([spoken, moved.to(tokens)], dim=-1))
        return StylePairs(self.key_norm(tokens), value)

    def tables(self, pairs: StylePairs) -> tuple[Table, ...]:
        """What each layer of the decoder looks up: the null style's slot and the pairs."""
        b = len(pairs.keys)
        keys = torch.cat([self.null_key.expand(b, 1, -1).to(pairs.keys), pairs.keys], dim=1)
        values = torch.cat([self.null_value.expand(b, 1, -1).to(pairs.values), pairs.values], dim=1)
        layers = cast(Iterable[CrossAttention | StaticStyle], self.look_up)
        return tuple(layer.table(keys, values) for layer in layers)

    def decode(
        self,
        tokens: Float[Tensor, "b g t w"],
        present: Bool[Tensor, "b g t"],
        tables: tuple[Table, ...],
        log_weight: Float[Tensor, "b g r"],
    ) -> Float[Tensor, "b g t m"]:
        """Coefficients in eye distances for b groups of g clips.

        The clips of a group share its `tables` of r pairs; clip by clip, `log_weight` is added to
        the attention logits of a pair: -inf hides it. With every pair hidden, or none, it is the
        null style.
        """
        b, g, t = present.shape
        if self.config.reading == NONE:
            log_weight = torch.full_like(log_weight, -torch.inf)
        weight = nn.functional.pad(log_weight, (1, 0))
        bias = band_bias(rearrange(present, "b g t -> (b g) t"), *self.attention_band)
        x = rearrange(tokens, "b g t w -> b (g t) w")
        for look_up, table, block in zip(self.look_up, tables, self.decoder, strict=True):
            x = x + look_up(x, table, weight)
            x = block(rearrange(x, "b (g t) w -> (b g) t w", t=t), bias)
            x = rearrange(x, "(b g) t w -> b (g t) w", b=b)
        motion = self.motion_out(x).float() * self.motion_scale
        return rearrange(motion, "b (g t) m -> b g t m", g=g)

    def forward(
        self,
        speech: Float[Tensor, "b g t d"],
        motion: Float[Tensor, "b g t m"],
        valid: Bool[Tensor, "b g t"],
        sees: Bool[Tensor, "b g g"],
        shows: Bool[Tensor, "b g t"],
    ) -> tuple[Float[Tensor, "b g t m"], Float[Tensor, "b g t m"]]:
        """One training pass in which every clip is target and reference at once.

        `motion` is what a clip shows as a reference; `sees[b, i, j]` is whether target i may look
        at clip j of its group, `shows` which steps of a clip may be looked at. Returns the
        prediction, and one made from the speech tokens alone.
        """
        b = len(speech)
        flat_valid = rearrange(valid, "b g t -> (b g) t")
        tokens = self.encode(rearrange(speech, "b g t d -> (b g) t d"), flat_valid)
        pairs = self.pair(tokens, rearrange(motion, "b g t m -> (b g) t m"), flat_valid)
        grouped = StylePairs(
            rearrange(pairs.keys, "(b g) t w -> b (g t) w", b=b),
            rearrange(pairs.values, "(b g) t w -> b (g t) w", b=b),
        )
        shown = rearrange(sees[..., None] & (valid & shows)[:, None], "b i j t -> b i (j t)")
        log_weight = torch.zeros_like(shown, dtype=torch.float32).masked_fill(~shown, -torch.inf)
        grouped_tokens = rearrange(tokens, "(b g) t w -> b g t w", b=b)
        predicted = self.decode(grouped_tokens, valid, self.tables(grouped), log_weight)
        base = self.base_out(grouped_tokens).float() * self.motion_scale
        return predicted, base
