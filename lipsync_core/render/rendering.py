"""Crops, lip motion and times in; crops with new lips out.

A frame depends on nothing but its own crop, the motion about its time, its references and the
seed, so a clip may be rendered in any chunks.
"""

from collections.abc import Iterator
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from ..errors import ModelError
from ..types import LipMotion, OnProgress
from .blur import blurred
from .motion_windows import motion_windows
from .precision import autocast
from .references import References, placed
from .renderer import LipRenderer, network_crops, picture_crops, window, window_slices
from .sampling import sample, shared_noise
from .unet import Conditioning

BATCH = 16
"""Frames that go through the networks at a time."""
TONES = 1 / 64
"""Of the crop's side: what is drawn coarser than this is taken from the latents, what is finer from
the reference in place. Networks of little training draw tones well and details as a blur; the codec
loses some of them besides."""
TRUST = 0.5
"""How much of the network's change of tones is taken. It has learned on references that stood less
exactly and in other light, so it changes too much: a quarter to three quarters come nearer to the
real picture than all of it, on speakers seen and not seen alike (docs/log.md)."""
FEATHER = 1 / 32
"""Width of the seam between made and kept pixels, of the crop's side; it lies inside the mask."""


def render_lips(
    renderer: LipRenderer,
    crops: Float[Tensor, "t s s 3"],
    motion: LipMotion,
    times: Float[Tensor, " t"],
    references: References,
    *,
    seed: int = 0,
    steps: int = 1,
    on_progress: OnProgress | None = None,
) -> Float[Tensor, "t s s 3"]:
    """`crops` in [0, 1], of frames at `times` (seconds), with the lips of `motion`.

    Pixels outside the mask stay bit for bit. Raises ModelError when the motion is of another basis
    than the renderer's, ValueError when crops have another size or lengths differ.
    """
    _check(renderer, crops, times, references)
    start = placed(references, crops) if renderer.config.places_references else None
    chosen = {"seed": seed, "steps": steps, "on_progress": on_progress}
    latents = sample_lip_latents(renderer, crops, motion, times, references, start=start, **chosen)
    return decode_lip_latents(renderer, latents, crops, start)


@torch.no_grad()
def sample_lip_latents(
    renderer: LipRenderer,
    crops: Float[Tensor, "t s s 3"],
    motion: LipMotion,
    times: Float[Tensor, " t"],
    references: References,
    *,
    start: Float[Tensor, "t s s 3"] | None = None,
    seed: int = 0,
    steps: int = 1,
    on_progress: OnProgress | None = None,
) -> Float[Tensor, "t c h w"]:
    """Latents of the windows of `crops` (3/4 of the crop's side) with the lips of `motion`.

    `start` is what `placed` makes of `references` for `crops`, if it is known already; renderers
    that do not place references make no use of it. Every frame starts from the same noise, drawn
    from `seed`. Returned on the crops' device; errors as `render_lips`.
    """
    config = renderer.config
    motion = _understood(motion, renderer)
    _check(renderer, crops, times, references)
    shape = (config.codec_latent_channels, config.latent_size, config.latent_size)
    noise = shared_noise(shape, torch.Generator().manual_seed(seed)).to(renderer.device)
    windows = motion_windows(motion.coefficients.float(), times, config.motion_window_steps)
    features = references.features.to(renderer.device)
    lips, known = references.lips.float().to(renderer.device), config.knows_references
    latents = []
    for frames in _batches(len(crops)):
        pictures = network_crops(crops[frames]).to(renderer.device)
        looked = references.of(frames)
        choice = looked.choice.long().to(renderer.device)
        begin = None
        if config.places_references:
            pictured = placed(looked, crops[frames]) if start is None else start[frames]
            begin = network_crops(pictured).to(renderer.device)
        with autocast(renderer.device):
            condition = Conditioning(
                masked=renderer.encode_masked(pictures),
                mask=renderer.latent_mask(),
                motion=renderer.normalised_motion(windows[frames].to(renderer.device)),
                choice=choice,
                usable=looked.usable.to(renderer.device),
                shown=renderer.normalised_motion(lips[choice]) if known else None,
                distance=looked.distance.to(renderer.device),
                placed=None if begin is None else renderer.encode(begin),
            )
            denoise = partial(renderer.unet, references=features, condition=condition)
            sampled = sample(denoise, noise.expand(len(pictures), *shape), steps)
        latents.append(sampled.to(crops.device))
        if on_progress is not None:
            on_progress(min(frames.stop, len(crops)), len(crops))
    return torch.cat(latents)


@torch.no_grad()
def decode_lip_latents(
    renderer: LipRenderer,
    latents: Float[Tensor, "t c h w"],
    crops: Float[Tensor, "t s s 3"],
    start: Float[Tensor, "t s s 3"] | None = None,
) -> Float[Tensor, "t s s 3"]:
    """`crops` with what `latents` decode to inside the mask, feathered along its inner edge.

    `start`, what drawing began from (`placed`), gives the details: see TONES.
    """
    seam = feathered_mask(renderer).to(crops.device)
    rows, columns = window_slices(renderer.config.crop_size)
    seam = seam[0, 0, rows, columns, None]
    rendered = crops.clone()
    for frames in _batches(len(crops)):
        with autocast(renderer.device):
            pictures = renderer.decode(latents[frames].to(renderer.device)).float()
        if start is not None:
            pictures = _detailed(renderer, pictures, start[frames])
        made = picture_crops(pictures).to(crops)
        kept = crops[frames, rows, columns]
        rendered[frames, rows, columns] = seam * made + (1 - seam) * kept
    return rendered


def _detailed(
    renderer: LipRenderer, pictures: Float[Tensor, "t 3 h w"], start: Float[Tensor, "t s s 3"]
) -> Float[Tensor, "t 3 h w"]:
    """The window of `start`, most of the way to the tones of `pictures`; what the codec loses of
    tones is little."""
    begun = window(network_crops(start).to(renderer.device))
    return begun + TRUST * blurred(pictures - begun, TONES * renderer.config.crop_size)


def feathered_mask(renderer: LipRenderer) -> Float[Tensor, "1 1 s s"]:
    """1 well inside the mask, falling to 0 at its edge, 0 outside."""
    reach = max(1, round(FEATHER * renderer.config.crop_size))
    mask = renderer.pixel_mask()
    blurred = functional.avg_pool2d(mask, 2 * reach + 1, 1, reach, count_include_pad=False)
    return (2 * blurred - 1).clamp(0, 1) * mask


def _batches(count: int) -> Iterator[slice]:
    for start in range(0, count, BATCH):
        yield slice(start, start + BATCH)


def _understood(motion: LipMotion, renderer: LipRenderer) -> LipMotion:
    try:
        return motion.in_basis(renderer.config.basis, renderer.config.motion_dim)
    except ValueError as error:
        raise ModelError(
            f"{error} by this renderer: use a predictor of the basis that it was trained with"
        ) from error


def _check(
    renderer: LipRenderer,
    crops: Float[Tensor, "t s s 3"],
    times: Float[Tensor, " t"],
    references: References,
) -> None:
    config = renderer.config
    if crops.shape[1] != config.crop_size:
        raise ValueError(f"crops of {crops.shape[1]} pixels, {config.crop_size} are needed")
    lengths = {len(crops), len(times), len(references.choice)}
    if len(lengths) > 1:
        raise ValueError(
            f"{len(crops)} crops, {len(times)} times and references for "
            f"{len(references.choice)} frames: they go one to one"
        )
