"""The denoiser and the renderer about it: what may matter does, what may not does not."""

from dataclasses import replace

import pytest
import torch
from tiny_renderer import CONFIG, SIZE, mouth_crops, tiny_renderer

from lipsync_core.checkpoint import load_model, save_model
from lipsync_core.crop_geometry import crop_mask
from lipsync_core.render.renderer import LipRenderer, network_crops, window
from lipsync_core.render.unet import Conditioning
from lipsync_core.training.renderer import PRESETS


def condition(renderer: LipRenderer, count: int = 2, references: int = 3) -> Conditioning:
    generator = torch.Generator().manual_seed(1)
    size, config = renderer.config.latent_size, renderer.config
    return Conditioning(
        masked=torch.randn(count, config.codec_latent_channels, size, size, generator=generator),
        mask=renderer.latent_mask(),
        motion=torch.randn(
            count, config.motion_window_steps, config.motion_dim, generator=generator
        ),
        choice=torch.arange(references).expand(count, -1),
        usable=torch.ones(count, references, dtype=torch.bool),
        shown=torch.randn(count, references, config.motion_dim, generator=generator),
        distance=torch.rand(count, references, generator=generator) / 10,
    )


def latents(renderer: LipRenderer, count: int, seed: int = 2) -> torch.Tensor:
    size = renderer.config.latent_size
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(
        count, renderer.config.codec_latent_channels, size, size, generator=generator
    )


def denoise(renderer, given, pool, noisy=None):
    noisy = latents(renderer, len(given.masked)) if noisy is None else noisy
    return renderer(noisy, torch.ones(len(noisy)), pool, given)


@pytest.mark.parametrize("references", [1, 2, 5])
def test_any_number_of_references_goes(references):
    renderer = tiny_renderer()
    given = condition(renderer, references=references)
    out = denoise(renderer, given, latents(renderer, references))
    assert out.shape == (2, 4, 12, 12) and out.isfinite().all()


def test_the_order_of_references_does_not_matter():
    renderer, pool = tiny_renderer(), latents(tiny_renderer(), 3)
    given = condition(renderer)
    order = [2, 0, 1]
    shuffled = replace(
        given,
        choice=given.choice[:, order],
        shown=given.shown[:, order],
        distance=given.distance[:, order],
    )
    assert torch.allclose(
        denoise(renderer, given, pool), denoise(renderer, shuffled, pool), atol=1e-5
    )


def test_a_reference_that_is_not_usable_does_not_count():
    renderer, pool = tiny_renderer(), latents(tiny_renderer(), 3)
    given = condition(renderer)
    usable = given.usable.clone()
    usable[:, 2] = False
    hidden = replace(given, usable=usable)
    fewer = replace(
        given,
        choice=given.choice[:, :2],
        usable=given.usable[:, :2],
        shown=given.shown[:, :2],
        distance=given.distance[:, :2],
    )
    assert torch.allclose(
        denoise(renderer, hidden, pool), denoise(renderer, fewer, pool), atol=1e-5
    )
    assert not torch.allclose(denoise(renderer, given, pool), denoise(renderer, fewer, pool))


def test_a_place_in_a_reference_matters():
    renderer, pool = tiny_renderer(), latents(tiny_renderer(), 3)
    given = condition(renderer)
    assert not torch.allclose(
        denoise(renderer, given, pool), denoise(renderer, given, pool.flip(3)), atol=1e-4
    )


def test_gradient_reaches_motion_references_and_masked_crop():
    renderer = tiny_renderer().requires_grad_(True)
    given, pool = condition(renderer), latents(renderer, 3).requires_grad_(True)
    given = replace(
        given, motion=given.motion.requires_grad_(True), masked=given.masked.requires_grad_(True)
    )
    denoise(renderer, given, pool).square().mean().backward()
    for reached in (given.motion, given.masked, pool):
        assert reached.grad is not None and reached.grad.abs().sum() > 0


def test_pixels_inside_the_mask_do_not_leak():
    renderer = tiny_renderer()
    crops = network_crops(mouth_crops(torch.tensor([0.02, 0.2])))
    mask = crop_mask(SIZE)
    noise = torch.rand(crops.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    changed = torch.where(mask > 0, noise, crops)
    assert torch.equal(renderer.encode_masked(crops), renderer.encode_masked(changed))
    assert not torch.equal(renderer.encode(crops), renderer.encode(changed))


def test_the_window_holds_the_whole_mask():
    mask = crop_mask(SIZE)[None, None]
    assert window(mask).sum() == mask.sum()
    assert window(mask).shape[-1] == 96


def test_modulation_is_demodulated():
    # Scaling all of a convolution's input scales alike changes nothing but the noise floor.
    block = tiny_renderer().unet.fine_down[0].first
    style, x = torch.zeros(1, 32), torch.randn(1, 16, 6, 6)
    before = block(x, style)
    block.scales.bias.mul_(10)
    assert torch.allclose(block(x, style), before, atol=1e-3)


@pytest.mark.parametrize("size", [128, 256])
def test_a_config_builds_for_larger_crops(size):
    torch.manual_seed(0)
    renderer = LipRenderer(replace(CONFIG, crop_size=size)).requires_grad_(False)
    crops = torch.rand(1, 3, size, size) * 2 - 1
    encoded = renderer.encode(crops)
    assert encoded.shape[-1] == renderer.config.latent_size == size * 3 // 32
    given = condition(renderer, count=1, references=1)
    assert denoise(renderer, given, encoded).shape == encoded.shape
    assert renderer.decode(encoded).shape[-1] == size * 3 // 4


@pytest.mark.parametrize("patch", [1, 2])
def test_details_are_refined_from_what_was_drawn(patch):
    """Nothing at first, so that training may begin from a renderer without; then of use."""
    torch.manual_seed(0)
    plain = LipRenderer(replace(CONFIG, patch=patch)).requires_grad_(False)
    refined = LipRenderer(replace(CONFIG, patch=patch, detail_width=16)).requires_grad_(False)
    refined.load_state_dict(plain.state_dict(), strict=False)
    given, pool = condition(plain), latents(plain, 3)
    assert torch.equal(denoise(plain, given, pool), denoise(refined, given, pool))
    refined.unet.detail.leave.weight.normal_()
    assert not torch.allclose(denoise(plain, given, pool), denoise(refined, given, pool))


def test_the_nearest_reference_is_where_drawing_begins():
    renderer = tiny_renderer()
    renderer.unet.leave.weight.zero_()
    renderer.unet.leave.bias.zero_()
    given, pool = condition(renderer), latents(renderer, 3)
    given = replace(given, distance=torch.tensor([[0.1, 0.5, 0.6], [0.9, 0.4, 0.2]]))
    drawn = denoise(renderer, given, pool)
    assert torch.allclose(drawn, pool[[0, 2]], atol=1e-3)
    # Where two are as near, both count.
    given = replace(given, distance=torch.tensor([[0.3, 0.3, 0.9]]).expand(2, -1))
    middle = (pool[0] + pool[1]) / 2
    assert torch.allclose(denoise(renderer, given, pool)[0], middle, atol=1e-3)


def test_the_published_size_is_within_its_budget():
    renderer = LipRenderer(PRESETS["renderer-base"].config)
    assert sum(p.numel() for p in renderer.parameters()) < 20e6


@pytest.mark.parametrize(("field", "value"), [("crop_size", 120), ("motion_window_steps", 8)])
def test_sizes_that_do_not_fit_are_refused(field, value):
    with pytest.raises(ValueError, match=field):
        LipRenderer(replace(CONFIG, **{field: value}))


def test_one_file_holds_codec_and_denoiser(tmp_path):
    renderer, path = tiny_renderer(), tmp_path / "renderer.safetensors"
    save_model(path, renderer, {}, dtype=torch.float32)
    loaded = load_model(path, LipRenderer)
    given, pool = condition(renderer), latents(renderer, 3)
    assert torch.equal(denoise(loaded, given, pool), denoise(renderer, given, pool))
    crops = network_crops(mouth_crops(torch.tensor([0.1])))
    assert torch.equal(loaded.encode(crops), renderer.encode(crops))
