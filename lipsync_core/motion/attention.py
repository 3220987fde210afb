"""Attention written out: faster on a CPU, forward and backward, than the fused kernels at these
sizes, and open to a weight per key."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..operations import Operations

_HIDDEN = -1e4
"""Finite, so that a step with nothing to see gets no NaN."""

Table = tuple[Tensor, Tensor]
"""Keys and values of a set, in the form in which one layer looks them up."""


class SequenceDropout(nn.Module):
    """Dropout of whole channels of a sequence: one random number per channel, not per step."""

    def __init__(self, probability: float):
        super().__init__()
        self.probability = probability

    def forward(self, x: Float[Tensor, "n t w"]) -> Float[Tensor, "n t w"]:
        if not self.training or self.probability == 0:
            return x
        kept = torch.rand(len(x), 1, x.shape[2], device=x.device) >= self.probability
        return x * (kept / (1 - self.probability)).to(x)


def band_bias(present: Bool[Tensor, "n t"], past: int, ahead: int) -> Float[Tensor, "n 1 t t"]:
    """0 where step i may look at step j: j is present, at most `past` steps before i and at most
    `ahead` steps after it."""
    step = torch.arange(present.shape[1], device=present.device)
    later = step[None, :] - step[:, None]
    near = (later >= -past) & (later <= ahead)
    open_ = near & present[:, None, None, :]
    return torch.zeros(open_.shape, device=present.device).masked_fill(~open_, _HIDDEN)


def rotate(x: Float[Tensor, "n h t c"]) -> Float[Tensor, "n h t c"]:
    """Rotary position embedding (Su et al., https://arxiv.org/abs/2104.09864): the product of two
    rotated vectors knows only how far apart they are."""
    steps, width = x.shape[-2:]
    step = torch.arange(steps, device=x.device, dtype=torch.float32)
    frequency = 1000.0 ** -(torch.arange(0, width, 2, device=x.device) / width)
    angle = step[:, None] * frequency
    cosine, sine = angle.cos().to(x), angle.sin().to(x)
    first, second = x[..., ::2], x[..., 1::2]
    turned = (first * cosine - second * sine, first * sine + second * cosine)
    return torch.stack(turned, dim=-1).flatten(-2)


def _attend(
    query: Float[Tensor, "n h q c"],
    key: Float[Tensor, "n h k c"],
    value: Float[Tensor, "n h k c"],
    bias: Float[Tensor, "n 1 q k"],
) -> Float[Tensor, "n q w"]:
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    weight = torch.softmax(logits + bias.to(logits), dim=-1, dtype=logits.dtype)
    return rearrange(weight @ value, "n h q c -> n q (h c)")


class SelfAttentionBlock(nn.Module):
    """A pre-norm Transformer layer with rotary positions."""

    def __init__(self, width: int, heads: int, dropout: float, operations: Operations):
        super().__init__()
        self.heads = heads
        self.attention_norm = operations.LayerNorm(width)
        self.feed_norm = operations.LayerNorm(width)
        self.projections = operations.Linear(width, 3 * width)
        self.attention_out = operations.Linear(width, width)
        self.feed = nn.Sequential(
            operations.Linear(width, 2 * width),
            nn.GELU(),
            SequenceDropout(dropout),
            operations.Linear(2 * width, width),
        )
        self.dropout = SequenceDropout(dropout)

    def forward(
        self, x: Float[Tensor, "n t w"], bias: Float[Tensor, "n 1 t t"]
    ) -> Float[Tensor, "n t w"]:
        """`bias` is added to the attention logits."""
        projected = self.projections(self.attention_norm(x))
        query, key, value = rearrange(
            projected, "n t (three h c) -> three n h t c", three=3, h=self.heads
        )
        attended = _attend(rotate(query), rotate(key), value, bias)
        x = x + self.dropout(self.attention_out(attended))
        return x + self.dropout(self.feed(self.feed_norm(x)))


class CrossAttention(nn.Module):
    """Looks up a set: no positions, a log-weight per clip and key."""

    def __init__(self, width: int, heads: int, operations: Operations):
        super().__init__()
        self.heads = heads
        self.norm = operations.LayerNorm(width)
        self.query = operations.Linear(width, width)
        self.key = operations.Linear(width, width)
        self.value = operations.Linear(width, width)
        self.out = operations.Linear(width, width)

    def _split(self, x: Float[Tensor, "n t w"]) -> Float[Tensor, "n h t c"]:
        return rearrange(x, "n t (h c) -> n h t c", h=self.heads)

    def table(self, keys: Float[Tensor, "b r w"], values: Float[Tensor, "b r w"]) -> Table:
        """The set as it is looked up, "b h r c" each: made once, however often it is."""
        return self._split(self.key(keys)), self._split(self.value(values))

    def forward(
        self, x: Float[Tensor, "b q w"], table: Table, log_weight: Float[Tensor, "b g r"]
    ) -> Float[Tensor, "b q w"]:
        """The q steps are those of g clips laid end to end."""
        steps = x.shape[1] // log_weight.shape[1]
        bias = log_weight.repeat_interleave(steps, dim=1)[:, None]
        return self.out(_attend(self._split(self.query(self.norm(x))), *table, bias))


class StaticStyle(nn.Module):
    """One code for a whole set, whatever is asked: the set is pooled by attention with a learned
    query (as in StyleTalk, Ma et al., https://arxiv.org/abs/2301.01081), and the code scales and
    shifts every step. As many parameters as a CrossAttention, all in use."""

    def __init__(self, width: int, operations: Operations):
        super().__init__()
        self.norm = operations.LayerNorm(width)
        self.query = operations.Linear(width, 1)
        self.code = nn.Sequential(
            operations.Linear(width, width), nn.GELU(), operations.Linear(width, width)
        )
        self.scale = operations.Linear(width, width)
        self.shift = operations.Linear(width, width)

    def table(self, keys: Float[Tensor, "b r w"], values: Float[Tensor, "b r w"]) -> Table:
        """The set as it is."""
        return keys, values

    def forward(
        self, x: Float[Tensor, "b q w"], table: Table, log_weight: Float[Tensor, "b g r"]
    ) -> Float[Tensor, "b q w"]:
        """As CrossAttention; the keys are not looked at."""
        _, values = table
        steps = x.shape[1] // log_weight.shape[1]
        logits = self.query(values).transpose(1, 2).float() + log_weight
        code = self.code(torch.softmax(logits, dim=-1).to(values) @ values)
        scale, shift = (
            y.repeat_interleave(steps, dim=1) for y in (self.scale(code), self.shift(code))
        )
        return self.norm(x) * scale + shift
