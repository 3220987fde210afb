"""Rendering a clip: the same in any chunks, the seed's noise, kept pixels, and what is refused."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from tiny_renderer import CONFIG, face_track, lip_motion, mouth_crops, tiny_renderer

from lipsync_core.crop_geometry import crop_mask
from lipsync_core.errors import ModelError
from lipsync_core.render.blur import blurred
from lipsync_core.render.references import (
    References,
    choose_references,
    encode_references,
    placed,
    points_in_crops,
)
from lipsync_core.render.rendering import (
    TRUST,
    decode_lip_latents,
    feathered_mask,
    render_lips,
    sample_lip_latents,
)

FRAMES = 20


@pytest.fixture(scope="module")
def renderer():
    return tiny_renderer()


@pytest.fixture(scope="module")
def crops():
    return mouth_crops(0.1 + 0.1 * torch.sin(torch.arange(FRAMES) * 0.5))


@pytest.fixture(scope="module")
def references(renderer, crops) -> References:
    return references_of(renderer, crops)


def references_of(renderer, crops) -> References:
    shown = motion(9).coefficients
    track = face_track(torch.arange(FRAMES).float())
    choice = choose_references(track, motion().coefficients, shown)
    points = points_in_crops(track.landmarks, track.frame_to_crop, track.crop_size)
    found = points[list(choice.frames)]
    return encode_references(renderer, crops[list(choice.frames)], choice, found, points)


def motion(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    return lip_motion(torch.randn(FRAMES, CONFIG.motion_dim, generator=generator))


def times(fps: float = 25.0):
    return torch.arange(FRAMES).double() / fps


def test_any_chunks_give_the_same_frames(renderer, crops, references):
    whole = render_lips(renderer, crops, motion(), times(), references, seed=3, steps=2)
    for edges in ([0, 7, 20], [0, 1, 2, 19, 20]):
        parts = [
            render_lips(
                renderer,
                crops[a:b],
                motion(),
                times()[a:b],
                references.of(slice(a, b)),
                seed=3,
                steps=2,
            )
            for a, b in pairwise(edges)
        ]
        # Kernels for other batch sizes round differently, by less than a step of 8 bits.
        assert (torch.cat(parts) - whole).abs().max() < 1 / 255


def test_pixels_outside_the_mask_stay_bit_for_bit(renderer, crops, references):
    rendered = render_lips(renderer, crops, motion(), times(), references)
    outside = crop_mask(128) == 0
    assert torch.equal(rendered[:, outside], crops[:, outside])
    assert rendered.shape == crops.shape and rendered.min() >= 0 and rendered.max() <= 1
    assert not torch.equal(rendered, crops)


def test_the_old_mouth_has_no_part_in_the_new_one(renderer, crops, references):
    """Well inside the mask, other pixels of the source change nothing."""
    mask = crop_mask(128)[..., None]
    changed = crops * (1 - mask) + mask * crops.flip(1)
    inside = feathered_mask(renderer)[0, 0] == 1
    first, second = (
        render_lips(renderer, source, motion(), times(), references)[:, inside]
        for source in (crops, changed)
    )
    assert torch.equal(first, second)


def test_the_seam_lies_inside_the_mask(renderer):
    seam, mask = feathered_mask(renderer)[0, 0], crop_mask(128)
    assert (seam[mask == 0] == 0).all()
    assert (seam == 1).sum() > 0.75 * mask.sum()
    assert seam.diff(dim=0).abs().max() < 0.5


def test_the_seed_decides_the_noise(renderer, crops, references):
    first, again, other = (
        sample_lip_latents(renderer, crops, motion(), times(), references, seed=seed)
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)


def test_frames_that_are_alike_come_out_alike(renderer, crops, references):
    """One noise for the clip: equal crops, motion and references give equal mouths."""
    still = crops[:1].expand(FRAMES, -1, -1, -1)
    one = references.of(slice(0, 1))
    assert one.placement is not None
    wanted = one.placement.points(slice(None)).expand(FRAMES, -1, -1)
    same = replace(
        one,
        choice=one.choice.expand(FRAMES, -1),
        usable=one.usable.expand(FRAMES, -1),
        distance=one.distance.expand(FRAMES, -1),
        placement=replace(one.placement, wanted=wanted),
    )
    rest = lip_motion(torch.ones(FRAMES, CONFIG.motion_dim))
    latents = sample_lip_latents(renderer, still, rest, times(), same)
    assert (latents - latents[:1]).abs().max() < 1e-2


def test_motion_and_references_change_the_mouth(renderer, crops, references):
    latents = sample_lip_latents(renderer, crops, motion(0), times(), references)
    moved = sample_lip_latents(renderer, crops, motion(1), times(), references)
    assert not torch.allclose(latents, moved, atol=1e-3)
    other = replace(references, features=references.features.flip(0))
    shown = sample_lip_latents(renderer, crops, motion(0), times(), other)
    assert not torch.allclose(latents, shown, atol=1e-3)


def test_progress_counts_frames_and_may_cancel(renderer, crops, references):
    seen = []
    sample_lip_latents(
        renderer,
        crops,
        motion(),
        times(),
        references,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(16, 20), (20, 20)]

    class Cancelled(BaseException):
        pass

    def cancel(done, total):
        raise Cancelled

    with pytest.raises(Cancelled):
        render_lips(renderer, crops, motion(), times(), references, on_progress=cancel)


def test_motion_of_another_basis_is_refused(renderer, crops, references):
    foreign = lip_motion(torch.zeros(FRAMES, CONFIG.motion_dim), basis="lip-pca:other")
    with pytest.raises(ModelError, match="lip-pca:other"):
        render_lips(renderer, crops, foreign, times(), references)


def test_motion_of_an_extended_basis_is_understood_as_far_as_known(renderer, crops, references):
    known = motion()
    more = torch.cat([known.coefficients, torch.randn(len(known.coefficients), 3)], dim=1)
    extended = lip_motion(more, basis=f"{CONFIG.basis}+extended")
    rendered = [render_lips(renderer, crops, m, times(), references) for m in (known, extended)]
    assert torch.equal(*rendered)


def test_drawing_begins_from_the_nearest_references_in_place(renderer, crops, references):
    """In place: a mouth of the pool, bent to where the wanted one is."""
    start = placed(references, crops)
    assert start.shape == crops.shape and start.min() >= 0 and start.max() <= 1
    few = slice(3, 6)
    assert torch.allclose(placed(references.of(few), crops[few]), start[few], atol=1e-5)
    assert references.placement is not None
    there = references.placement.found[references.choice[:, 0].long()]
    still = replace(
        references,
        choice=references.choice[:, :1],
        usable=references.usable[:, :1],
        distance=references.distance[:, :1],
        placement=replace(references.placement, wanted=there),
    )
    pool = references.placement.pool.pictures.float().permute(0, 2, 3, 1)
    nearest = pool[still.choice[:, 0].long()]
    assert (placed(still, nearest) - nearest).abs().max() < 0.01
    assert (start - nearest).abs().mean() > (placed(still, nearest) - nearest).abs().mean()
    moved = replace(references, placement=replace(references.placement, wanted=there + 0.03))
    drawn = [render_lips(renderer, crops, motion(), times(), r) for r in (references, moved)]
    assert not torch.equal(*drawn)


def test_a_renderer_that_begins_in_place_must_know_where_that_is(renderer, crops, references):
    with pytest.raises(ValueError, match="where lips are"):
        render_lips(renderer, crops, motion(), times(), replace(references, placement=None))


def test_lengths_and_sizes_that_differ_are_refused(renderer, crops, references):
    with pytest.raises(ValueError, match="one to one"):
        render_lips(renderer, crops, motion(), times(), references.of(slice(0, 5)))
    with pytest.raises(ValueError, match="64 pixels"):
        render_lips(renderer, crops[:, ::2, ::2], motion(), times(), references)
    with pytest.raises(ValueError, match="reference crops"):
        choice = choose_references(
            face_track(torch.arange(FRAMES).float()), motion().coefficients, motion().coefficients
        )
        encode_references(renderer, crops[:1], choice)


def test_decoding_what_was_encoded_is_the_codec(renderer, crops):
    """Latents of the source decode to the codec's picture inside, the source outside."""
    latents = renderer.encode(crops.permute(0, 3, 1, 2) * 2 - 1)
    decoded = decode_lip_latents(renderer, latents, crops)
    inside = feathered_mask(renderer)[0, 0] == 1
    assert not torch.equal(decoded[:, inside], crops[:, inside])
    assert torch.equal(decoded[:, crop_mask(128) == 0], crops[:, crop_mask(128) == 0])


def test_details_come_from_the_reference_in_place_and_tones_from_the_latents(renderer, crops):
    """Stripes of the reference stay stripes; what the latents make brighter gets brighter."""
    stripes = crops.clone()
    stripes[:, ::2] += 0.06
    stripes = stripes.clamp(0, 1)
    begun = renderer.encode(stripes.permute(0, 3, 1, 2) * 2 - 1)
    rows = columns = slice(52, 100)
    drawn, plain = (
        decode_lip_latents(renderer, begun, crops, start)[:, rows, columns]
        for start in (stripes, None)
    )

    def tones(pictures, sigma=4.0):
        return blurred(pictures.permute(0, 3, 1, 2), sigma)[..., 12:-12, 12:-12]

    def details(pictures):
        return pictures.permute(0, 3, 1, 2)[..., 12:-12, 12:-12] - tones(pictures, 1.0)

    begun_from = stripes[:, rows, columns]
    off, wanted = (details(x) - details(begun_from) for x in (drawn, plain))
    assert off.abs().mean() < 0.1 * wanted.abs().mean()
    meant = torch.lerp(tones(begun_from), tones(plain), TRUST)
    off, wanted = (x - meant for x in (tones(drawn), tones(begun_from)))
    assert off.abs().mean() < 0.1 * wanted.abs().mean()
