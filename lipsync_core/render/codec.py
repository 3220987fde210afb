"""A small deterministic convolutional autoencoder: a crop becomes a latent of an eighth its size.

Deterministic and bounded rather than variational: what a latent loses is lost for good in the
mouth, and a bound (3 tanh(x / 3), as in the tiny autoencoders of
https://github.com/madebyollin/taesd) keeps the latents' range fit for diffusion.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ..checkpoint import Model
from ..operations import Operations

FACTOR = 8
"""Pixels of a crop per pixel of a latent, along a side."""
LATENT_BOUND = 3.0


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of a codec; any crop size whose side is a multiple of 8 goes."""

    latent_channels: int = 16
    widths: tuple[int, int, int] = (48, 96, 160)
    """Channels at a half (decoder only), a quarter and an eighth of the crop's side."""
    encoder_blocks: int = 2
    """Residual blocks at each of the encoder's two scales."""
    decoder_blocks: tuple[int, int, int] = (2, 3, 3)
    """Residual blocks at a half, a quarter and an eighth of the crop's side."""


class ResidualBlock(nn.Module):
    """Two convolutions whose sum starts as the identity."""

    def __init__(self, channels: int, operations: Operations):
        super().__init__()
        self.first = operations.Conv2d(channels, channels, 3, padding=1)
        self.second = operations.Conv2d(channels, channels, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        return x + self.second(functional.silu(self.first(functional.silu(x))))


class Codec(Model):
    """Images in [-1, 1] to latents of zero mean and unit variance per channel, and back."""

    config_class = CodecConfig

    def __init__(self, config: CodecConfig, operations: Operations = nn):
        super().__init__(config)
        half, quarter, eighth = config.widths
        blocks_half, blocks_quarter, blocks_eighth = config.decoder_blocks
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(4),
            operations.Conv2d(48, quarter, 3, padding=1),
            *(ResidualBlock(quarter, operations) for _ in range(config.encoder_blocks)),
            operations.Conv2d(quarter, eighth, 3, stride=2, padding=1),
            *(ResidualBlock(eighth, operations) for _ in range(config.encoder_blocks)),
            operations.Conv2d(eighth, config.latent_channels, 3, padding=1),
        )
        self.decoder = nn.Sequential(
            operations.Conv2d(config.latent_channels, eighth, 3, padding=1),
            *(ResidualBlock(eighth, operations) for _ in range(blocks_eighth)),
            operations.Conv2d(eighth, 4 * quarter, 1),
            nn.PixelShuffle(2),
            *(ResidualBlock(quarter, operations) for _ in range(blocks_quarter)),
            operations.Conv2d(quarter, 4 * half, 1),
            nn.PixelShuffle(2),
            *(ResidualBlock(half, operations) for _ in range(blocks_half)),
            nn.SiLU(),
            operations.Conv2d(half, 12, 3, padding=1),
            nn.PixelShuffle(2),
        )
        self.register_buffer("latent_mean", torch.zeros(config.latent_channels))
        self.register_buffer("latent_std", torch.ones(config.latent_channels))

    latent_mean: Float[Tensor, " c"]
    latent_std: Float[Tensor, " c"]

    def encode(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h/8 w/8"]:
        """Normalised latents (float32) of images in [-1, 1]; ValueError on a side not of eights."""
        latents = self.bounded_latents(images)
        return (latents - _per_channel(self.latent_mean)) / _per_channel(self.latent_std)

    def decode(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 8*h 8*w"]:
        """Images (float32, about [-1, 1], not clamped) of normalised latents."""
        latents = latents * _per_channel(self.latent_std) + _per_channel(self.latent_mean)
        return self.images(latents)

    def bounded_latents(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c h/8 w/8"]:
        """Latents within +/- 3, before they are normalised."""
        if images.shape[-1] % FACTOR or images.shape[-2] % FACTOR:
            raise ValueError(
                f"images of {tuple(images.shape)}: sides must be multiples of {FACTOR}"
            )
        latents = self.encoder(_channels_last(images)).float()
        return LATENT_BOUND * torch.tanh(latents / LATENT_BOUND)

    def images(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 8*h 8*w"]:
        """The decoder on latents that are not normalised."""
        return self.decoder(_channels_last(latents)).float()

    def forward(
        self, images: Float[Tensor, "b 3 h w"], latent_noise: Float[Tensor, "b c h/8 w/8"]
    ) -> tuple[Float[Tensor, "b 3 h w"], Float[Tensor, "b c h/8 w/8"]]:
        """What training descends on: reconstructions from disturbed latents, and the latents."""
        latents = self.bounded_latents(images)
        return self.images(latents + latent_noise), latents

    @torch.no_grad()
    def normalise_latents(self, latents: Float[Tensor, "b c h w"]) -> None:
        """Makes `encode` return zero mean and unit variance for data whose bounded latents these
        are."""
        self.latent_mean.copy_(latents.mean((0, 2, 3)))
        self.latent_std.copy_(latents.std((0, 2, 3)))


def _per_channel(values: Tensor) -> Tensor:
    return rearrange(values.float(), "c -> c 1 1")


def _channels_last(images: Tensor) -> Tensor:
    # oneDNN's and cuDNN's 16-bit convolutions want channels innermost.
    return images.contiguous(memory_format=torch.channels_last)
