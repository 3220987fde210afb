"""Learning the codec: windows of recoloured, rescaled crops, most of them on the mouth."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..render.codec import FACTOR, Codec, CodecConfig
from .augmentation import (
    change_colours,
    colour_changes,
    random_similarities,
    warp,
    windows,
)
from .crops import (
    CropClip,
    clip_weights,
    gradient_energy,
    mouth_box,
    network_images,
    pixel_weights,
    psnr,
    read_crop_clips,
    resized,
)
from .loop import LoopRecipe, Task
from .reconstruction import ReconstructionWeights, reconstruction_loss


@dataclass(frozen=True)
class CodecRecipe:
    """What a codec learns from and what its loss weighs."""

    config: CodecConfig = field(default_factory=CodecConfig)
    loop: LoopRecipe = field(
        default_factory=lambda: LoopRecipe(steps=4000, learning_rate=1.2e-3, weight_decay=1e-4)
    )
    crop_size: int = 256
    """Crops of any size are seen at this one."""
    decoder_only: bool = False
    """Whether the encoder stays as it is, so that what was learned on its latents holds."""
    batch_size: int = 16
    window: float = 0.375
    """Side of the windows that are learned from, of the crop's: the mouth fills most of one."""
    balance: float = 0.45
    """See `crops.clip_weights`."""
    outside_weight: float = 0.5
    mask_weight: float = 1.5
    mouth_weight: float = 3.0
    reconstruction: ReconstructionWeights = field(default_factory=ReconstructionWeights)
    latent_noise: float = 0.05


PRESETS = {
    "codec-base": CodecRecipe(),
    "codec-tiny": CodecRecipe(
        config=CodecConfig(
            latent_channels=8, widths=(8, 16, 16), encoder_blocks=1, decoder_blocks=(1, 1, 1)
        ),
        loop=LoopRecipe(steps=200, learning_rate=3e-3, warmup_steps=10, weight_decay=1e-4),
        crop_size=128,
        window=0.5,
        batch_size=8,
    ),
}
"""Named recipes."""


def build_codec_task(
    prepared: Path, recipe: CodecRecipe, start: Codec | None = None
) -> "CodecTask":
    """The task of learning `recipe` from the clips beneath `prepared`; `start` is a trained codec
    to go on from, with its own sizes."""
    torch.manual_seed(recipe.loop.seed)
    codec = Codec(recipe.config) if start is None else start.requires_grad_(True)
    if recipe.decoder_only:
        codec.encoder.requires_grad_(False)
    train, validation = (read_crop_clips(prepared, split) for split in ("train", "validation"))
    return CodecTask(codec, train, validation, recipe)


class CodecTask(Task):
    """Charbonnier, gradient and contrast errors of windows of crops."""

    def __init__(
        self,
        codec: Codec,
        train: Sequence[CropClip],
        validation: Sequence[CropClip],
        recipe: CodecRecipe,
    ):
        self.model = self.codec = codec
        self.recipe = recipe
        self.train, self.validation = train, validation
        self.clip_weights = clip_weights(train, recipe.balance)
        self.crop_size = recipe.crop_size
        self.window = FACTOR * round(recipe.window * self.crop_size / FACTOR)
        self.weights = pixel_weights(
            self.crop_size, recipe.outside_weight, recipe.mask_weight, recipe.mouth_weight
        )

    def loss(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        device = next(model.parameters()).device
        target, weights = (x.to(device) for x in self._batch(generator))
        noise = self.recipe.latent_noise * torch.randn(
            len(target),
            self.codec.config.latent_channels,
            *(self.window // FACTOR,) * 2,
            generator=generator,
        )
        images, latents = model(target, noise.to(device))
        loss, figures = reconstruction_loss(
            images.float(), target, weights, self.recipe.reconstruction
        )
        return loss + 1e-3 * latents.square().mean(), figures

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """PSNR of the whole crop and of the mouth, the share of the mouth's gradient energy that
        is kept; measures the latents' mean and deviation on the way."""
        device = self.codec.latent_mean.device
        crops = self._draw(self.train, self.clip_weights, 96, generator)
        if not self.recipe.decoder_only:
            latents = [self.codec.bounded_latents(2 * x.to(device) - 1) for x in crops.split(16)]
            self.codec.normalise_latents(torch.cat(latents))

        crops = self._draw(self.validation, clip_weights(self.validation, 0.5), 64, generator)
        images = torch.cat([self.reconstruct(part.to(device)).cpu() for part in crops.split(16)])
        mouth = (..., *mouth_box(self.crop_size))
        return {
            "psnr": psnr(images, crops).mean().item(),
            "mouth_psnr": psnr(images[mouth], crops[mouth]).mean().item(),
            "mouth_gradient_energy": (
                gradient_energy(images[mouth]) / gradient_energy(crops[mouth])
            ).item(),
        }

    def reconstruct(self, crops: Float[Tensor, "b 3 s s"]) -> Float[Tensor, "b 3 s s"]:
        """`crops` in [0, 1] through the codec and back."""
        images = self.codec.decode(self.codec.encode(2 * crops - 1))
        return ((images + 1) / 2).clamp(0, 1)

    def _draw(
        self, clips: Sequence[CropClip], chances: Tensor, count: int, generator: torch.Generator
    ) -> Float[Tensor, "b 3 s s"]:
        chosen = torch.multinomial(chances, count, replacement=True, generator=generator)
        places = torch.rand(count, generator=generator)
        frames = []
        for clip, place in zip((clips[i] for i in chosen.tolist()), places, strict=True):
            frame = clip.visible[int(place * len(clip.visible))]
            frames.append(resized(network_images(clip.crops[frame, None]), self.crop_size))
        return torch.cat(frames)

    def _batch(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Windows in [-1, 1] (b 3 w w) and their pixels' weights (b 1 w w)."""
        count = self.recipe.batch_size
        crops = self._draw(self.train, self.clip_weights, count, generator)
        mirrored = torch.rand(count, generator=generator) < 0.5
        crops = torch.where(mirrored[:, None, None, None], crops.flip(3), crops)
        # Half of the batch keeps the camera's own pixels, half is resampled.
        half = count // 2
        resampled = random_similarities(half, generator, scale=0.35, turn=0.2, shift=0.03)
        crops[:half] = warp(crops[:half], resampled)
        crops = change_colours(crops, *colour_changes(count, generator))

        rows, columns = mouth_box(self.crop_size)
        spread, room = self.window // 4, self.crop_size - self.window
        left, top = (
            ((side.start + side.stop - self.window) // 2 - spread // 2)
            + torch.randint(spread, (count,), generator=generator)
            for side in (columns, rows)
        )
        anywhere = torch.rand(count, generator=generator) < 0.25
        left, top = (
            torch.where(
                anywhere, torch.randint(room + 1, (count,), generator=generator), place
            ).clamp(0, room)
            for place in (left, top)
        )
        weights = self.weights.expand(count, 1, -1, -1)
        return 2 * windows(crops, left, top, self.window) - 1, windows(
            weights, left, top, self.window
        )
