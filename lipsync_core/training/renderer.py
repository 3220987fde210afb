"""Learning the renderer: crops of several people, their motion, other crops of the same person."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor, nn

from ..checkpoint import load_model, read_metadata
from ..motion.basis import LipMotionBasis
from ..motion.predictor import MotionPredictor
from ..render.codec import FACTOR, Codec
from ..render.renderer import LipRenderer, LipRendererConfig, window, window_slices
from ..render.sampling import sample, shared_noise
from ..render.unet import Conditioning
from .critic import PatchCritic, balanced_weight, critic_loss, critical_error
from .crops import mouth_box, pixel_weights, psnr
from .encoded_scenes import EncodedBatch, EncodedScenes, encode_batch
from .loop import LoopRecipe, Task
from .reconstruction import ReconstructionWeights, reconstruction_loss
from .rendered_clips import RenderedClips, SceneRecipe, read_rendered_clips

_MOTION_NOISE = 0.05
"""Of normalised coefficients."""
_SECOND_FROM = 0.95
"""The latest diffusion time of second steps."""


@dataclass(frozen=True)
class RendererRecipe:
    """What a renderer learns from and what its loss weighs."""

    config: LipRendererConfig = field(
        default_factory=lambda: LipRendererConfig(
            basis="",
            crop_size=256,
            patch=2,
            detail_width=96,
            blends_references=True,
            knows_references=True,
            places_references=True,
        )
    )
    """Its basis and codec are filled in from the predictor and the codec."""
    loop: LoopRecipe = field(default_factory=lambda: LoopRecipe(steps=4000, learning_rate=1e-3))
    scenes: SceneRecipe = field(
        default_factory=lambda: SceneRecipe(scenes=6, frames=4, balance=0.3, relit=0.25)
    )
    new_every: int = 3
    """Steps per new batch of pictures; the others see one of the last `kept` again."""
    kept: int = 40
    pure_noise_share: float = 1 / 3
    """Of the batch that starts from nothing but noise, as one-step rendering does."""
    second_steps: bool = True
    """Whether pure-noise samples are followed by a step from what the first made of them: at
    inference a second step never starts from a true latent."""
    outside_weight: float = 0.3
    mask_weight: float = 0.7
    mouth_weight: float = 2.5
    pixel_from: float = 0.3
    """The share of the training after which pure-noise samples are judged as pictures too."""
    pixel_weight: float = 1.5
    critic_weight: float = 0.0
    """Of a critic of the pictures, as a share of the gradient of their other errors; 0 for none."""
    critic_from: float = 0.1
    """The share of the training from which on the critic is listened to."""
    reconstruction: ReconstructionWeights = field(
        default_factory=lambda: ReconstructionWeights(gradient=0.2, contrast=0.0, tones=3.0)
    )
    """Tones most: a renderer that brings references into place takes its details from them."""


PRESETS = {
    "renderer-base": RendererRecipe(),
    "renderer-tiny": RendererRecipe(
        config=LipRendererConfig(
            basis="",
            motion_dim=4,
            widths=(16, 32),
            style_width=32,
            blocks=1,
            head_width=8,
            blends_references=True,
            knows_references=True,
            places_references=True,
        ),
        loop=LoopRecipe(steps=200, learning_rate=2e-3, warmup_steps=10),
        scenes=SceneRecipe(scenes=2, frames=2, references=2),
    ),
}
"""Named recipes."""


def build_renderer_task(
    prepared: Path,
    codec: Path,
    basis: Path,
    recipe: RendererRecipe,
    start: LipRenderer | None = None,
) -> "RendererTask":
    """The task of learning `recipe` from the clips beneath `prepared`.

    codec: a trained codec, or a renderer whose codec is taken.
    basis: a trained predictor, or a file with a basis alone.
    start: a trained renderer to begin from, see `begin_from`.
    Raises ModelError when they are not, TrainingError when there are no clips.
    """
    torch.manual_seed(recipe.loop.seed)
    motion_basis = read_basis(basis)
    size = recipe.config.crop_size
    train = read_rendered_clips(prepared, "train", motion_basis, size)
    validation = read_rendered_clips(prepared, "validation", motion_basis, size)
    model = build_renderer(read_codec(codec), motion_basis, train, recipe.config)
    if start is not None:
        begin_from(model, start)
    return RendererTask(model, train, validation, recipe)


def read_basis(path: Path) -> LipMotionBasis:
    """The basis of a predictor's file, or of a file that holds `components` (m x coordinates)."""
    if read_metadata(path).get("lipstyle.kind") == MotionPredictor.__name__:
        return load_model(path, MotionPredictor).basis
    return LipMotionBasis(load_file(path)["components"])


def read_codec(path: Path) -> Codec:
    """The codec of a codec's file, or of a renderer's."""
    if read_metadata(path).get("lipstyle.kind") == LipRenderer.__name__:
        return load_model(path, LipRenderer).codec
    return load_model(path, Codec)


def begin_from(model: LipRenderer, earlier: LipRenderer) -> None:
    """Copies into `model` every weight of `earlier` that has its place there.

    Of a weight of other sizes that part is copied which both have, if the earlier one is the
    smaller; what is new about the first motion inputs begins at nothing. Buffers stay. A renderer
    that begins from references in place, where the earlier one does not, first leaves them as they
    are.
    """
    known = dict(earlier.unet.named_parameters())
    with torch.no_grad():
        for name, parameter in model.unet.named_parameters():
            if name in known and known[name].shape == parameter.shape:
                parameter.copy_(known[name])
        _begin_motion(model, earlier)
        if model.config.places_references and not earlier.config.places_references:
            ends = [model.unet.leave, *([model.unet.detail.leave] if model.unet.detail else [])]
            for parameter in (p for end in ends for p in end.parameters()):
                parameter.zero_()


def _begin_motion(model: LipRenderer, earlier: LipRenderer) -> None:
    """The first layer that reads motion: moment by moment, coefficient by coefficient."""
    first, old = model.unet.motion[0], earlier.unet.motion[0]
    assert isinstance(first, nn.Linear) and isinstance(old, nn.Linear)
    same_steps = model.config.motion_window_steps == earlier.config.motion_window_steps
    same_basis = model.config.basis.split("+")[0] == earlier.config.basis.split("+")[0]
    if not (same_steps and same_basis and first.out_features == old.out_features):
        return
    size, old_size = model.config.motion_dim, earlier.config.motion_dim
    shared = min(size, old_size)
    # The window's moments, then how the references' lips stand, where that is known.
    moments = first.weight.unflatten(1, (-1, size))
    old_moments = old.weight.unflatten(1, (-1, old_size))
    known = min(moments.shape[1], old_moments.shape[1])
    taken = old_moments[:, :known, :shared].clone()
    moments.zero_()
    # Their coefficients came in other units, about another mean.
    moments[:, :known, :shared] = (
        taken * model.motion_scale[:shared] / earlier.motion_scale[:shared]
    )
    apart = (model.motion_mean[:shared] - earlier.motion_mean[:shared]) / earlier.motion_scale[
        :shared
    ]
    first.bias.copy_(old.bias + (taken * apart).sum((1, 2)))


def build_renderer(
    codec: Codec, basis: LipMotionBasis, clips: RenderedClips, config: LipRendererConfig
) -> LipRenderer:
    """A new renderer around a trained codec."""
    config = replace(
        config,
        basis=basis.id,
        basis_extends=basis.extends,
        motion_dim=basis.size,
        codec_latent_channels=codec.config.latent_channels,
        codec_widths=codec.config.widths,
        codec_encoder_blocks=codec.config.encoder_blocks,
        codec_decoder_blocks=codec.config.decoder_blocks,
    )
    model = LipRenderer(config)
    model.codec.load_state_dict(codec.state_dict())
    if config.knows_references:
        model.basis_components.copy_(basis.components)
    mean, deviation = clips.motion_statistics()
    model.motion_mean.copy_(mean)
    # Half-whitened: small directions carry more noise than motion.
    model.motion_scale.copy_((deviation * deviation.max()).sqrt().clamp_min(1e-6))
    return model


class RendererTask(Task):
    """Errors of clean latents, weighted to the mouth; later also of the pictures they decode to."""

    def __init__(
        self,
        model: LipRenderer,
        train: RenderedClips,
        validation: RenderedClips,
        recipe: RendererRecipe,
    ):
        self.model = self.renderer = model
        self.recipe = recipe
        self.train, self.validation = train, validation
        size, self.window_steps = model.config.crop_size, model.config.motion_window_steps
        weights = pixel_weights(
            size, recipe.outside_weight, recipe.mask_weight, recipe.mouth_weight
        )[None, None]
        coarse = nn.functional.max_pool2d(window(weights), FACTOR)
        self.latent_weights = coarse / coarse.mean()
        self.mouth = mouth_in_window(size)
        self.scenes = EncodedScenes(
            model,
            train,
            recipe.scenes,
            self.mouth,
            recipe.loop.seed,
            recipe.new_every,
            recipe.kept,
        )
        self.critic = PatchCritic() if recipe.critic_weight > 0 else None

    def loss(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        batch = self.scenes.at(step, generator)
        clean, references, count = batch.clean, batch.references, len(batch.clean)
        condition = self._condition(batch, _MOTION_NOISE, generator)
        time = torch.sigmoid(0.5 + torch.randn(count, generator=generator))
        pure = max(1, round(count * self.recipe.pure_noise_share))
        # Every scene has pure-noise samples.
        pure_samples = torch.arange(count).reshape(-1, batch.frames).T.flatten()[:pure]
        time[pure_samples] = 1.0
        noise = torch.randn(clean.shape, generator=generator).to(clean)
        moment = time.to(clean)[:, None, None, None]
        noisy = (1 - moment) * clean + moment * noise

        predicted = model(noisy, time.to(clean), references, condition)
        latent = self._latent_loss(predicted, clean)
        figures = {"latent": latent.item()}
        made, mouths = predicted[pure_samples], batch.mouths[pure_samples]
        if self.recipe.second_steps:
            first, later = made.detach(), _SECOND_FROM * torch.rand(pure, generator=generator)
            moment = later.to(clean)[:, None, None, None]
            noisy = (1 - moment) * first + moment * noise[pure_samples]
            made = model(noisy, later.to(clean), references, condition.of(pure_samples))
            second = self._latent_loss(made, clean[pure_samples])
            latent = latent + self.recipe.pure_noise_share * second
            figures["second"] = second.item()
            # Half of the pictures that are judged come from one step, half from two.
            made = torch.cat([predicted[pure_samples][::2], made[1::2]])
            mouths = torch.cat([mouths[::2], mouths[1::2]])
        if step < self.recipe.pixel_from * self.recipe.loop.steps:
            return latent, figures
        pixel, terms = self._pixel_loss(made, mouths, step)
        return latent + self.recipe.pixel_weight * pixel, figures | terms

    def _latent_loss(
        self, predicted: Float[Tensor, "b c h w"], clean: Float[Tensor, "b c h w"]
    ) -> Float[Tensor, ""]:
        return ((predicted - clean).square() * self.latent_weights.to(clean)).mean()

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        """Mouth PSNR in dB of 1 and 4 steps, the codec's own, and of copying a reference."""
        scenes = replace(self.recipe.scenes, scenes=16, recoloured=0.0, degraded=0.0)
        drawn = self.validation.draw(scenes, self.window_steps, generator)
        batch = encode_batch(self.renderer, drawn, self.mouth)
        target = (batch.mouths + 1) / 2
        condition = self._condition(batch, 0.0, generator)
        features = self.renderer.unet.encode_references(batch.references)

        def score(latents: Tensor) -> float:
            images = (self.renderer.decode(latents)[(..., *self.mouth)] + 1) / 2
            return psnr(images.clamp(0, 1), target).mean().item()

        def denoise(x: Tensor, time: Tensor) -> Tensor:
            return self.renderer.unet(x, time, features, condition)

        usable = batch.distance.masked_fill(~batch.usable, torch.inf)
        nearest = batch.choice.gather(1, usable.argmin(1, keepdim=True))[:, 0]
        shape = condition.masked.shape
        noise = shared_noise(shape[1:], generator).to(target).expand(shape)
        return {
            "mouth_psnr_1_step": score(sample(denoise, noise, 1)),
            "mouth_psnr_4_steps": score(sample(denoise, noise, 4)),
            "mouth_psnr_codec": score(batch.clean),
            "mouth_psnr_nearest": score(batch.references[nearest]),
            **({} if batch.placed is None else {"mouth_psnr_placed": score(batch.placed)}),
        }

    def _condition(
        self, batch: EncodedBatch, noise: float, generator: torch.Generator
    ) -> Conditioning:
        def disturbed(motion: Tensor) -> Tensor:
            return motion + noise * torch.randn(motion.shape, generator=generator).to(motion)

        return Conditioning(
            masked=batch.masked,
            mask=self.renderer.latent_mask(),
            motion=disturbed(batch.motion),
            choice=batch.choice,
            usable=batch.usable,
            shown=disturbed(batch.shown),
            distance=batch.distance,
            placed=batch.placed,
        )

    def _pixel_loss(
        self, latents: Float[Tensor, "b c h w"], mouths: Float[Tensor, "b 3 y x"], step: int
    ) -> tuple[Tensor, dict[str, float]]:
        # The rest of the picture need not be decoded.
        rows, columns = (slice(side.start // FACTOR, side.stop // FACTOR) for side in self.mouth)
        images = self.renderer.decode(latents[..., rows, columns])
        ones = torch.ones_like(mouths[:, :1])
        loss, figures = reconstruction_loss(images, mouths, ones, self.recipe.reconstruction)
        if not isinstance(self.critic, PatchCritic):
            return loss, figures
        judged = critic_loss(self.critic, images, mouths)
        figures["critic"] = judged.item()
        if step >= self.recipe.critic_from * self.recipe.loop.steps:
            error = critical_error(self.critic, images)
            weight = self.recipe.critic_weight * balanced_weight(loss, error, latents)
            loss, figures = loss + weight * error, figures | {"critic_weight": weight.item()}
        # The critic's own loss is not scaled with that of the pictures.
        return loss + judged / self.recipe.pixel_weight, figures


def mouth_in_window(size: int) -> tuple[slice, slice]:
    """Rows and columns of the mouth in the window of a crop, out to whole pixels of its latent."""
    inside = zip(mouth_box(size), window_slices(size), strict=True)
    rows, columns = (
        slice(
            (box.start - seen.start) // FACTOR * FACTOR,
            -(-(min(box.stop, seen.stop) - seen.start) // FACTOR) * FACTOR,
        )
        for box, seen in inside
    )
    return rows, columns
