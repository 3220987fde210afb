"""Parts of the network switched off: what is switched off no longer counts, all else still does."""

from dataclasses import replace

import pytest
import torch
from test_rendering import motion, references_of, times
from tiny_renderer import mouth_crops, tiny_renderer

from lipsync_core.evaluation.renderer_parts import (
    without_attention,
    without_drawing,
    without_modulation,
)
from lipsync_core.render.precision import autocast
from lipsync_core.render.references import placed
from lipsync_core.render.renderer import network_crops
from lipsync_core.render.rendering import decode_lip_latents, render_lips


@pytest.fixture(scope="module")
def renderer():
    return tiny_renderer()


@pytest.fixture(scope="module")
def crops():
    return mouth_crops(0.1 + 0.1 * torch.sin(torch.arange(20) * 0.5))


@pytest.fixture(scope="module")
def references(renderer, crops):
    return references_of(renderer, crops)


def drawn(renderer, crops, references, seed: int = 0):
    return render_lips(renderer, crops[:4], motion(seed), times()[:4], references.of(slice(4)))


def with_other_features(references):
    generator = torch.Generator().manual_seed(1)
    other = torch.randn(references.features.shape, generator=generator)
    return replace(references, features=references.features + other)


def test_without_modulation_motion_counts_no_more_but_references_do(renderer, crops, references):
    off = without_modulation(renderer)
    assert torch.equal(drawn(off, crops, references), drawn(off, crops, references, seed=1))
    assert not torch.equal(
        drawn(renderer, crops, references), drawn(renderer, crops, references, seed=1)
    )
    assert not torch.equal(
        drawn(off, crops, references), drawn(off, crops, with_other_features(references))
    )


def test_without_attention_references_count_no_more_but_motion_does(renderer, crops, references):
    off, other = without_attention(renderer), with_other_features(references)
    assert torch.equal(drawn(off, crops, references), drawn(off, crops, other))
    assert not torch.equal(drawn(renderer, crops, references), drawn(renderer, crops, other))
    assert not torch.equal(drawn(off, crops, references), drawn(off, crops, references, seed=1))


def test_without_drawing_references_in_place_stay_as_the_codec_keeps_them(
    renderer, crops, references
):
    still = drawn(without_drawing(renderer), crops, references)
    start = placed(references.of(slice(4)), crops[:4])
    with autocast(renderer.device):
        begun = renderer.encode(network_crops(start))
    kept = decode_lip_latents(renderer, begun, crops[:4], start)
    assert torch.allclose(still, kept, atol=1e-5)
    assert not torch.allclose(drawn(renderer, crops, references), still, atol=1e-4)


def test_the_renderer_itself_keeps_all_its_parts(renderer):
    before = {name: value.clone() for name, value in renderer.named_parameters()}
    for without in (without_modulation, without_attention, without_drawing):
        without(renderer)
    assert all(torch.equal(value, before[name]) for name, value in renderer.named_parameters())
