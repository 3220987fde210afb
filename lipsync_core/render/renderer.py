"""The lip renderer in one file: codec, denoiser, and what they see of a crop.

Only the window about the mask is encoded, denoised and decoded: nothing outside it may change.
Pixels inside the mask are hidden before they are encoded, so the old mouth cannot leak.
"""

from dataclasses import dataclass

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from ..checkpoint import Model
from ..crop_geometry import crop_mask
from ..landmarks import MOVING
from ..operations import Operations
from .codec import FACTOR, Codec, CodecConfig
from .unet import Conditioning, LipUNet

WINDOW_LEFT, WINDOW_TOP, WINDOW_SIDE = 1 / 8, 1 / 4, 3 / 4
"""The window in fractions of the crop: the mask and a rim about it."""


@dataclass(frozen=True)
class LipRendererConfig:
    """Sizes of a renderer and what motion it understands."""

    basis: str
    """Id of the lip motion basis whose coefficients drive it."""
    crop_size: int = 128
    """Side of the aligned crops in pixels, a multiple of 128."""
    motion_dim: int = 24
    motion_window_steps: int = 9
    """Odd; at 25 Hz, centred on the frame: 9 steps see 0.16 s back and ahead."""
    widths: tuple[int, int] = (160, 320)
    """Channels at the latent's resolution and at half of it."""
    style_width: int = 512
    blocks: int = 2
    """Residual blocks at a time, between attentions and changes of scale."""
    head_width: int = 40
    """Channels of one attention head; a multiple of 4."""
    patch: int = 1
    """Pixels of the latent, along a side, that are one place of the denoiser: 2 draws crops of
    twice the size at nearly the same cost."""
    detail_width: int = 0
    """Channels of what refines the result pixel by pixel of the latent; 0 for none. It needs
    `blends_references`."""
    blends_references: bool = False
    """Whether the denoiser also sees the mean of its references' latents in place: crops are
    aligned, so skin that it has never learned can be copied."""
    knows_references: bool = False
    """Whether it is told how its references' lips stand; then those that come near the wanted
    motion count more, in place and in attention."""
    places_references: bool = False
    """Whether drawing begins from the nearest references bent until their lips lie where they are
    wanted (`references.placed`), else from the nearest as they are."""
    basis_extends: int = 0
    """See `LipMotionBasis.extends`; of the basis that references are measured in."""
    codec_latent_channels: int = 16
    codec_widths: tuple[int, int, int] = (48, 96, 160)
    codec_encoder_blocks: int = 2
    codec_decoder_blocks: tuple[int, int, int] = (2, 3, 3)

    @property
    def codec(self) -> CodecConfig:
        """The codec's own config."""
        return CodecConfig(
            latent_channels=self.codec_latent_channels,
            widths=self.codec_widths,
            encoder_blocks=self.codec_encoder_blocks,
            decoder_blocks=self.codec_decoder_blocks,
        )

    @property
    def latent_size(self) -> int:
        """Side of the window's latent."""
        return round(self.crop_size * WINDOW_SIDE) // FACTOR


class LipRenderer(Model):
    """Codec and denoiser; pictures here are channels first in [-1, 1]."""

    config_class = LipRendererConfig

    def __init__(self, config: LipRendererConfig, operations: Operations = nn):
        super().__init__(config)
        if config.crop_size % 128:
            raise ValueError(f"crop_size is {config.crop_size}: it must be a multiple of 128")
        if config.motion_window_steps % 2 == 0:
            raise ValueError(f"motion_window_steps is {config.motion_window_steps}: it must be odd")
        if config.places_references and not (config.blends_references and config.knows_references):
            raise ValueError("places_references needs blends_references and knows_references")
        if config.detail_width and not config.blends_references:
            raise ValueError("detail_width needs blends_references: details are refined from them")
        self.codec = Codec(config.codec, operations)
        self.codec.requires_grad_(False)
        self.unet = LipUNet(
            latent_channels=config.codec_latent_channels,
            motion_inputs=config.motion_dim * config.motion_window_steps,
            widths=config.widths,
            style_width=config.style_width,
            blocks=config.blocks,
            head_width=config.head_width,
            blends_references=config.blends_references,
            reference_inputs=config.motion_dim if config.knows_references else 0,
            patch=config.patch,
            detail_width=config.detail_width,
            operations=operations,
        )
        self.register_buffer("motion_mean", torch.zeros(config.motion_dim))
        self.register_buffer("motion_scale", torch.ones(config.motion_dim))
        if config.knows_references:
            coordinates = 3 * len(MOVING)
            self.register_buffer("basis_components", torch.zeros(config.motion_dim, coordinates))

    basis_components: Float[Tensor, "m coordinates"]
    """Of the basis in which references are measured, where they are."""
    motion_mean: Float[Tensor, " m"]
    motion_scale: Float[Tensor, " m"]
    """What makes coefficients of the training data about unit size."""

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.motion_mean.device

    def normalised_motion(self, coefficients: Float[Tensor, "*b m"]) -> Float[Tensor, "*b m"]:
        """Coefficients as the denoiser wants them."""
        return (coefficients - self.motion_mean) / self.motion_scale

    def encode(self, crops: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c h w"]:
        """Latents of the windows of whole crops."""
        return self.codec.encode(window(crops))

    def encode_masked(self, crops: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b c h w"]:
        """Latents of the windows with the mask's inside grey."""
        return self.codec.encode(window(crops * (1 - self.pixel_mask())))

    def decode(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 y x"]:
        """Windows of crops, not clamped."""
        return self.codec.decode(latents)

    def pixel_mask(self) -> Float[Tensor, "1 1 s s"]:
        """1 where a crop is hidden and made anew."""
        return crop_mask(self.config.crop_size)[None, None].to(self.device)

    def latent_mask(self) -> Float[Tensor, "1 1 h w"]:
        """The share of hidden pixels in each pixel of the window's latent."""
        return functional.avg_pool2d(window(self.pixel_mask()), FACTOR)

    def forward(
        self,
        noisy: Float[Tensor, "b c h w"],
        time: Float[Tensor, " b"],
        references: Float[Tensor, "p c h w"],
        condition: Conditioning,
    ) -> Float[Tensor, "b c h w"]:
        """The clean latent, for training: `references` are latents, encoded on the way."""
        return self.unet(noisy, time, self.unet.encode_references(references), condition)


def window(crops: Float[Tensor, "b c s s"]) -> Float[Tensor, "b c w w"]:
    """The part of whole crops that the renderer sees."""
    rows, columns = window_slices(crops.shape[-1])
    return crops[..., rows, columns]


def window_slices(size: int) -> tuple[slice, slice]:
    """(rows, columns) of the window in a crop, or a latent of a whole crop, of `size` a side."""
    left, top, side = (round(size * x) for x in (WINDOW_LEFT, WINDOW_TOP, WINDOW_SIDE))
    return slice(top, top + side), slice(left, left + side)


def network_crops(crops: Float[Tensor, "t s s 3"]) -> Float[Tensor, "t 3 s s"]:
    """Crops in [0, 1] as networks see them, in [-1, 1]."""
    return rearrange(crops, "t h w c -> t c h w").float() * 2 - 1


def picture_crops(pictures: Float[Tensor, "t 3 h w"]) -> Float[Tensor, "t h w 3"]:
    """What networks return as pictures in [0, 1]."""
    return rearrange((pictures.clamp(-1, 1) + 1) / 2, "t c h w -> t h w c")
