"""The codec: shapes, bounds, normalised latents, and that it learns pictures."""

from dataclasses import replace

import pytest
import torch
from tiny_renderer import mouth_crops

from lipsync_core.checkpoint import load_model, save_model
from lipsync_core.render.codec import LATENT_BOUND, Codec, CodecConfig
from lipsync_core.training.crops import psnr
from lipsync_core.training.reconstruction import ReconstructionWeights, reconstruction_loss

TINY = CodecConfig(
    latent_channels=8, widths=(8, 16, 16), encoder_blocks=1, decoder_blocks=(1, 1, 1)
)


def tiny_codec() -> Codec:
    torch.manual_seed(0)
    return Codec(TINY)


def pictures(count: int, size: int = 64) -> torch.Tensor:
    crops = mouth_crops(torch.linspace(0.02, 0.2, count), size)
    return crops.permute(0, 3, 1, 2) * 2 - 1


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 128), (256, 256)])
def test_a_latent_has_an_eighth_of_the_sides(height, width):
    latents = tiny_codec().encode(torch.rand(2, 3, height, width) * 2 - 1)
    assert latents.shape == (2, 8, height // 8, width // 8)
    assert tiny_codec().decode(latents).shape == (2, 3, height, width)


def test_sides_that_are_no_multiple_of_eight_are_refused():
    with pytest.raises(ValueError, match="multiples of 8"):
        tiny_codec().encode(torch.zeros(1, 3, 60, 64))


def test_latents_are_bounded_whatever_the_weights():
    codec = tiny_codec()
    with torch.no_grad():
        codec.encoder[-1].weight.mul_(1e4)
    assert codec.bounded_latents(pictures(2)).abs().max() <= LATENT_BOUND


def test_normalised_latents_have_zero_mean_and_unit_variance_and_decode_alike():
    codec, images = tiny_codec().requires_grad_(False), pictures(6)
    before = codec.decode(codec.encode(images))
    codec.normalise_latents(codec.bounded_latents(images))
    latents = codec.encode(images)
    assert latents.mean((0, 2, 3)).abs().max() < 1e-4
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 1e-3
    assert torch.allclose(codec.decode(latents), before, atol=1e-4)


def test_the_published_size_stays_below_four_million():
    assert sum(p.numel() for p in Codec(CodecConfig()).parameters()) < 4e6


def test_a_codec_learns_a_few_pictures():
    codec, images = tiny_codec(), pictures(4, 32)
    optimizer = torch.optim.Adam(codec.parameters(), lr=5e-3)
    weights, noise = torch.ones(4, 1, 32, 32), torch.zeros(4, 8, 4, 4)
    before = psnr(codec(images, noise)[0] / 2, images / 2).mean()
    for _ in range(60):
        reconstructed, _ = codec(images, noise)
        loss, _ = reconstruction_loss(reconstructed, images, weights, ReconstructionWeights())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = psnr(codec(images, noise)[0] / 2, images / 2).mean()
    assert after > 24 and after > before + 8


def test_blur_costs_contrast_even_where_its_error_is_small():
    torch.manual_seed(0)
    fine = torch.rand(1, 3, 32, 32) * 2 - 1
    blurred = torch.nn.functional.avg_pool2d(fine, 3, 1, 1)
    weights = torch.ones(1, 1, 32, 32)
    plain = ReconstructionWeights(gradient=0.0, contrast=0.0)
    with_contrast = replace(plain, contrast=1.0)
    same, terms = reconstruction_loss(fine, fine, weights, with_contrast)
    assert terms["contrast"] == 0
    blurred_cost = [
        reconstruction_loss(blurred, fine, weights, t)[0] for t in (plain, with_contrast)
    ]
    assert blurred_cost[1] > blurred_cost[0] + 0.1 and same < blurred_cost[0]


def test_the_latents_statistics_travel_with_the_file(tmp_path):
    codec, images = tiny_codec(), pictures(6)
    codec.normalise_latents(codec.bounded_latents(images))
    save_model(tmp_path / "codec.safetensors", codec, {}, dtype=torch.float32)
    loaded = load_model(tmp_path / "codec.safetensors", Codec)
    assert torch.equal(loaded.encode(images), codec.requires_grad_(False).encode(images))
