"""The denoiser's building blocks: convolutions that lip motion modulates, attention to references.

Nothing here knows of faces. Blocks are channels-last friendly and keep the autocast dtype.
"""

import math

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ..operations import Operations

NORM_GROUPS = 16


class ModulatedConv(nn.Module):
    """A 3 x 3 convolution whose input channels a style vector scales, then demodulated.

    Scaling the inputs and dividing the outputs by the modulated weights' norm equals modulating
    the weights, without a weight per sample (Karras et al. 2020, "Analyzing and Improving the Image
    Quality of StyleGAN", section 2.2 and appendix B).
    """

    def __init__(self, inputs: int, outputs: int, style: int, operations: Operations):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / math.sqrt(9 * inputs))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scales = operations.Linear(style, inputs)
        # ComfyUI's layers may have no weights at all before the file brings them.
        if self.scales.weight is not None:
            nn.init.normal_(self.scales.weight, std=0.02)
            nn.init.ones_(self.scales.bias)

    def forward(
        self, x: Float[Tensor, "b i h w"], style: Float[Tensor, "b s"]
    ) -> Float[Tensor, "b o h w"]:
        scales = self.scales(style).float()
        power = self.weight.float().square().sum((2, 3))
        # Sums of squares lose too much in the 16 bits of autocast, which takes matrix products but
        # not this.
        demodulation = torch.rsqrt((scales.square()[:, None] * power).sum(2) + 1e-6)
        y = functional.conv2d(_scaled(x, scales), self.weight, padding=1)
        return _scaled(y, demodulation) + rearrange(self.bias.to(y.dtype), "o -> o 1 1")


class ModulatedBlock(nn.Module):
    """A residual block: motion modulates both convolutions, diffusion time shifts between them."""

    def __init__(self, inputs: int, outputs: int, style: int, operations: Operations):
        super().__init__()
        self.norm = operations.GroupNorm(NORM_GROUPS, inputs)
        self.first = ModulatedConv(inputs, outputs, style, operations)
        self.time = operations.Linear(style, outputs)
        self.second = ModulatedConv(outputs, outputs, style, operations)
        self.gain = nn.Parameter(torch.full((outputs,), 0.1))
        self.skip = operations.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(
        self,
        x: Float[Tensor, "b i h w"],
        style: Float[Tensor, "b s"],
        time: Float[Tensor, "b s"],
    ) -> Float[Tensor, "b o h w"]:
        y = self.first(functional.silu(self.norm(x)), style)
        y = y + rearrange(self.time(time), "b o -> b o 1 1").to(y.dtype)
        y = self.second(functional.silu(y), style)
        return self.skip(x) + rearrange(self.gain.to(y.dtype), "o -> o 1 1") * y


class ReferenceAttention(nn.Module):
    """Every place of the picture looks for what it needs at every place of the references.

    Keys and queries carry their place (random Fourier features), but not which reference they are
    in: order does not matter and any number goes.
    """

    def __init__(self, channels: int, features: int, heads: int, operations: Operations):
        super().__init__()
        self.heads = heads
        self.norm = operations.GroupNorm(NORM_GROUPS, channels)
        self.query = operations.Conv2d(channels, channels, 1)
        self.key_value = operations.Linear(features, 2 * channels)
        self.out = operations.Conv2d(channels, channels, 1)
        nn.init.normal_(self.out.weight, std=0.02)
        self.place_gain = nn.Parameter(torch.full((heads, 1, 1), 2.0))
        self.register_buffer("frequencies", 5 * torch.randn(heads, channels // heads // 2, 2))

    frequencies: Float[Tensor, "heads f 2"]

    def keys_values(self, features: Float[Tensor, "r f h w"]) -> Float[Tensor, "r l pairs"]:
        """What references offer, for `forward`: independent of the picture, so computed once."""
        pairs = self.key_value(rearrange(features, "r f h w -> r (h w) f"))
        keys, values = pairs.chunk(2, -1)
        place = rearrange(self._places(*features.shape[-2:]), "heads l d -> l (heads d)")
        return torch.cat([keys + place.to(keys.dtype), values], -1)

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        keys_values: Float[Tensor, "b n l pairs"],
        logits: Float[Tensor, "b n"],
    ) -> Float[Tensor, "b c h w"]:
        """`logits` are added to those of all places of a reference; minus infinity hides it."""
        height, width = x.shape[-2:]
        query = rearrange(
            self.query(self.norm(x)), "b (heads d) h w -> b heads (h w) d", heads=self.heads
        )
        query = query + (self.place_gain * self._places(height, width)).to(query.dtype)
        key, value = rearrange(
            keys_values.to(query.dtype),
            "b n l (two heads d) -> two b heads (n l) d",
            two=2,
            heads=self.heads,
        )
        mask = logits.to(query.dtype).repeat_interleave(keys_values.shape[2], 1)[:, None, None]
        seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        seen = rearrange(seen, "b heads (h w) d -> b (heads d) h w", h=height)
        return x + self.out(seen.contiguous(memory_format=torch.channels_last))

    def _places(self, height: int, width: int) -> Float[Tensor, "heads l d"]:
        device = self.frequencies.device
        y, x = ((torch.arange(n, device=device) + 0.5) / n for n in (height, width))
        places = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
        angles = torch.einsum("lx,hfx->hlf", places, self.frequencies.float())
        return torch.cat([angles.cos(), angles.sin()], -1)


def time_features(time: Float[Tensor, " b"], count: int = 64) -> Float[Tensor, "b f"]:
    """Sines and cosines of diffusion times in [0, 1]."""
    octaves = torch.arange(count // 2, device=time.device) / (count // 2)
    angles = time[:, None] * 100 * torch.exp(-math.log(1000) * octaves)
    return torch.cat([angles.cos(), angles.sin()], 1)


def _scaled(x: Tensor, scales: Tensor) -> Tensor:
    return x * rearrange(scales.to(x.dtype), "b c -> b c 1 1")
