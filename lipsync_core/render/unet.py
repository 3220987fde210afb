"""The denoiser: a small U-Net that lip motion modulates and that looks up the person in references.

noisy latent + latent of the masked crop + mask --> U-Net --> clean latent
                 lip motion window --MLP--> style of every modulated convolution
                 reference latents --convolutions--> keys and values of every attention

References whose own lip motion is known count by how near they come to the wanted one: the nearest
lie beside the noisy latent, in place, and the style is told how their lips stand. What is left to
the network is the way from a mouth that the person has shown to the one that is wanted.
"""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional

from ..operations import Operations
from .layers import ModulatedBlock, ReferenceAttention, time_features

_NEARNESS = 300.0
"""Per squared eye distance: in place the nearest reference counts nearly alone, and gives way to
the next smoothly. It is not learned: errors of pixels are least for a blurred mean of all."""
_ATTENTION_NEARNESS = 10.0
"""The same in attention, where training begins."""


@dataclass(frozen=True)
class Conditioning:
    """What the denoiser is told of each picture of a batch, besides the noisy latent."""

    masked: Float[Tensor, "b c h w"]
    """Latents of the crops with the mask's inside hidden."""
    mask: Float[Tensor, "1 1 h w"]
    """The share of each latent's pixels that is hidden."""
    motion: Float[Tensor, "b steps m"]
    """Windows of normalised motion coefficients about the pictures' times."""
    choice: Int[Tensor, "b n"]
    """Which of a pool of references each picture may look at."""
    usable: Bool[Tensor, "b n"]
    """False where a choice is only padding; at least one a picture is True."""
    shown: Float[Tensor, "b n m"] | None = None
    """Normalised motion coefficients of the chosen references; needed where they are known."""
    distance: Float[Tensor, "b n"] | None = None
    """How far the chosen references are from the wanted mouth and pose, in eye distances."""
    placed: Float[Tensor, "b c h w"] | None = None
    """Latents of the nearest references with their lips brought into place, where drawing begins;
    None: it begins from the nearest as they are."""

    def of(self, pictures: Int[Tensor, " k"]) -> "Conditioning":
        """What is told of some pictures of the batch."""
        return replace(
            self,
            masked=self.masked[pictures],
            motion=self.motion[pictures],
            choice=self.choice[pictures],
            usable=self.usable[pictures],
            shown=None if self.shown is None else self.shown[pictures],
            distance=None if self.distance is None else self.distance[pictures],
            placed=None if self.placed is None else self.placed[pictures],
        )


class DetailRefiner(nn.Module):
    """What the latent's pixels need beyond their places: teeth, edges, skin. Nothing at first."""

    def __init__(
        self,
        latent_channels: int,
        features: int,
        width: int,
        style: int,
        patch: int,
        operations: Operations,
    ):
        super().__init__()
        self.patch = patch
        # Noisy, masked, blended and drawn latents, and the mask.
        self.enter = operations.Conv2d(4 * latent_channels + 1, width, 3, padding=1)
        self.features = operations.Conv2d(features, width * patch**2, 1)
        self.blocks = nn.ModuleList(
            ModulatedBlock(width, width, style, operations) for _ in range(2)
        )
        self.leave = operations.Conv2d(width, latent_channels, 3, padding=1)
        nn.init.zeros_(self.leave.weight)
        if self.leave.bias is not None:
            nn.init.zeros_(self.leave.bias)

    def forward(
        self,
        seen: Float[Tensor, "b _ h w"],
        features: Float[Tensor, "b f y x"],
        style: Float[Tensor, "b s"],
        time: Float[Tensor, "b s"],
    ) -> Float[Tensor, "b c h w"]:
        x = self.enter(seen.contiguous(memory_format=torch.channels_last))
        x = x + functional.pixel_shuffle(self.features(features), self.patch)
        for block in self.blocks:
            x = block(x, style, time)
        return self.leave(functional.silu(x))


class LipUNet(nn.Module):
    """Predicts the clean latent; two scales, attention to references at both."""

    def __init__(
        self,
        latent_channels: int,
        motion_inputs: int,
        widths: tuple[int, int],
        style_width: int,
        blocks: int,
        head_width: int,
        blends_references: bool,
        reference_inputs: int = 0,
        patch: int = 1,
        detail_width: int = 0,
        operations: Operations = nn,
    ):
        """`reference_inputs` is the size of a reference's known motion, 0 where it is not known;
        `patch` x `patch` pixels of the latent are one place of the network; `detail_width` are the
        channels of what refines its result pixel by pixel of the latent, 0 for nothing."""
        super().__init__()
        fine, coarse = widths
        self.detail = (
            DetailRefiner(latent_channels, fine, detail_width, style_width, patch, operations)
            if detail_width
            else None
        )
        self.patch, self.knows_references = patch, reference_inputs > 0
        latent_channels *= patch**2
        self.motion = nn.Sequential(
            operations.Linear(motion_inputs + reference_inputs, style_width),
            nn.SiLU(),
            operations.Linear(style_width, style_width),
            nn.SiLU(),
        )
        self.time = nn.Sequential(operations.Linear(64, style_width), nn.SiLU())
        self.reference = nn.Sequential(
            operations.Conv2d(latent_channels, fine, 3, padding=1),
            nn.SiLU(),
            operations.Conv2d(fine, fine, 3, padding=1),
            nn.SiLU(),
        )

        def modulated(inputs: int, outputs: int) -> nn.ModuleList:
            sizes = [inputs] + [outputs] * blocks
            pairs = pairwise(sizes)
            return nn.ModuleList(ModulatedBlock(i, o, style_width, operations) for i, o in pairs)

        self.blends_references = blends_references
        inputs = (3 if blends_references else 2) * latent_channels + patch**2
        self.enter = operations.Conv2d(inputs, fine, 3, padding=1)
        self.fine_down = modulated(fine, fine)
        self.down = operations.Conv2d(fine, coarse, 3, stride=2, padding=1)
        self.coarse_in = modulated(coarse, coarse)
        self.coarse_attention = ReferenceAttention(coarse, fine, coarse // head_width, operations)
        self.coarse_out = modulated(coarse, coarse)
        self.up = operations.Conv2d(coarse, fine, 1)
        self.fine_in = ModulatedBlock(2 * fine, fine, style_width, operations)
        self.fine_attention = ReferenceAttention(fine, fine, fine // head_width, operations)
        self.fine_out = modulated(fine, fine)
        self.norm = operations.GroupNorm(16, fine)
        self.leave = operations.Conv2d(fine, latent_channels, 3, padding=1)
        nn.init.normal_(self.leave.weight, std=0.01)
        if self.knows_references:
            # Learned in its logarithm.
            self.attention_nearness = nn.Parameter(torch.tensor(math.log(_ATTENTION_NEARNESS)))

    def encode_references(self, latents: Float[Tensor, "p c h w"]) -> Float[Tensor, "p f"]:
        """Keys and values of a pool of reference latents, for all attentions.

        The latents' sides are multiples of twice the patch.
        """
        latents = self._places(latents)
        features = self.reference(latents)
        halved = functional.avg_pool2d(features, 2)
        fine = self.fine_attention.keys_values(features)
        coarse = self.coarse_attention.keys_values(halved)
        # One tensor, so that a pool can be gathered, cached and moved as one.
        parts = [fine, coarse, latents] if self.blends_references else [fine, coarse]
        return torch.cat([part.flatten(1).to(fine.dtype) for part in parts], 1)

    def forward(
        self,
        noisy: Float[Tensor, "b c h w"],
        time: Float[Tensor, " b"],
        references: Float[Tensor, "p f"],
        condition: Conditioning,
    ) -> Float[Tensor, "b c h w"]:
        """The clean latent (float32) of `noisy` = (1 - time) * clean + time * noise.

        `references` is what `encode_references` made of the pool.
        """
        shares, logits = self._counts(condition)
        windows = rearrange(condition.motion, "b steps m -> b (steps m)")
        if condition.shown is not None and self.knows_references:
            shown = torch.einsum("bn,bnm->bm", shares, condition.shown)
            windows = torch.cat([windows, shown], 1)
        style = self.motion(windows)
        moment = self.time(time_features(time))
        chosen = references[condition.choice]
        noisy, masked, mask = map(self._places, (noisy, condition.masked, condition.mask))
        fine_pairs, coarse_pairs = self._chosen(chosen, noisy.shape[-2:])

        parts = [noisy, masked, mask.expand(len(noisy), -1, -1, -1)]
        blend = torch.zeros_like(noisy)
        if self.blends_references:
            if condition.placed is None:
                stored = chosen[..., -noisy[0].numel() :].to(noisy.dtype)
                mixed = torch.einsum("bn,bnf->bf", shares.to(noisy.dtype), stored)
                blend = mixed.reshape(noisy.shape)
            else:
                blend = self._places(condition.placed)
            parts.append(blend)
        x = torch.cat([part.to(noisy.dtype) for part in parts], 1)
        x = self.enter(x.contiguous(memory_format=torch.channels_last))
        for block in self.fine_down:
            x = block(x, style, moment)
        skip = x
        x = self.down(x)
        for block in self.coarse_in:
            x = block(x, style, moment)
        x = self.coarse_attention(x, coarse_pairs, logits)
        for block in self.coarse_out:
            x = block(x, style, moment)
        x = functional.interpolate(self.up(x), scale_factor=2.0)
        x = self.fine_in(torch.cat([x, skip], 1), style, moment)
        x = self.fine_attention(x, fine_pairs, logits)
        for block in self.fine_out:
            x = block(x, style, moment)
        features = functional.silu(self.norm(x))
        x = self.leave(features).float()
        if self.knows_references:
            # What the nearest references show is where drawing begins.
            x = x + blend.float()
        drawn = functional.pixel_shuffle(x, self.patch)
        if self.detail is None:
            return drawn
        seen = [functional.pixel_shuffle(part, self.patch) for part in (*parts, x)]
        return drawn + self.detail(torch.cat(seen, 1), features, style, moment).float()

    def _counts(self, condition: Conditioning) -> tuple[Float[Tensor, "b n"], Float[Tensor, "b n"]]:
        """What each reference counts in place (sums to 1), and what is added to the attention's
        logits for it; nothing where it is not usable."""
        usable = condition.usable
        if not self.knows_references:
            never = torch.zeros(usable.shape, device=usable.device).masked_fill(~usable, -math.inf)
            return usable / usable.sum(1, keepdim=True), never
        if condition.distance is None or condition.shown is None:
            raise ValueError("this renderer needs to know the lip motion of its references")
        far = condition.distance.float().square()
        counts = (-_NEARNESS * far).masked_fill(~usable, -math.inf).softmax(1)
        return counts, (-self.attention_nearness.exp() * far).masked_fill(~usable, -math.inf)

    def _places(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b _ y x"]:
        places = functional.pixel_unshuffle(latents, self.patch)
        return places.contiguous(memory_format=torch.channels_last)

    def _chosen(
        self, features: Float[Tensor, "b n f"], size: torch.Size
    ) -> tuple[Float[Tensor, "b n fine_places _"], Float[Tensor, "b n coarse_places _"]]:
        places = size[0] * size[1]
        fine_length = places * 2 * self.fine_attention.query.out_channels
        coarse_length = places // 4 * 2 * self.coarse_attention.query.out_channels
        fine, coarse = features[..., : fine_length + coarse_length].split(
            [fine_length, coarse_length], dim=-1
        )
        return (
            rearrange(fine, "b n (l f) -> b n l f", l=places),
            rearrange(coarse, "b n (l f) -> b n l f", l=places // 4),
        )
