"""Masks of what stands in front of the face: one or one per frame, in any size of the shape."""

from fractions import Fraction

import pytest
import torch

from lipsync_core.media.fitting import fit_clip
from lipsync_core.media.mask_clip import mask_clip, matched_mask
from lipsync_core.media.tensor_clip import TensorClip

HEIGHT, WIDTH, COUNT = 60, 90, 12
VIDEO = TensorClip(torch.zeros(COUNT, HEIGHT, WIDTH, 3), Fraction(25))


def test_one_mask_goes_for_all_frames_without_copies():
    mask = torch.rand(1, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    clip = mask_clip(mask, VIDEO)
    assert (clip.frame_count, clip.height, clip.width, clip.fps) == (COUNT, HEIGHT, WIDTH, 25)
    frames = clip.frames(3, 9)
    assert torch.equal(frames[..., 0], mask.expand(6, -1, -1))
    assert frames.untyped_storage().nbytes() == mask.untyped_storage().nbytes()
    assert clip.audio() is None


def test_masks_go_with_the_frames_of_a_video_that_is_extended():
    masks = torch.arange(COUNT)[:, None, None].expand(-1, HEIGHT, WIDTH) / COUNT
    fitted = fit_clip(mask_clip(masks, VIDEO), 20 / 25, "ping-pong")
    order = [*range(12), *range(10, 2, -1)]
    assert [round(float(m[0, 0, 0]) * COUNT) for m in fitted.frames(0, 20)] == order


@pytest.mark.parametrize("factor", [0.5, 1 / 3, 2, 1.7])
def test_another_size_is_brought_to_the_frames(factor):
    height, width = round(HEIGHT * factor), round(WIDTH * factor)
    masks = torch.zeros(COUNT, height, width)
    masks[:, : height // 2, : width // 3] = 1
    found = mask_clip(masks, VIDEO).frames(2, 3)[0, ..., 0]
    assert found.shape == (HEIGHT, WIDTH)
    assert found.min() >= 0 and found.max() <= 1
    edge = 3
    assert (found[: HEIGHT // 2 - edge, : WIDTH // 3 - edge] > 0.99).all()
    assert (found[HEIGHT // 2 + edge :] < 0.01).all()
    assert (found[:, WIDTH // 3 + edge :] < 0.01).all()


@pytest.mark.parametrize("count", [2, COUNT - 1, COUNT + 1])
def test_another_number_of_masks_is_refused_with_what_to_do(count):
    with pytest.raises(ValueError, match=f"{count} occluder masks for a video of 12 frames: give"):
        mask_clip(torch.zeros(count, HEIGHT, WIDTH), VIDEO)


@pytest.mark.parametrize("size", [(60, 60), (64, 64), (90, 60), (60, 95)])
def test_another_shape_is_refused_with_the_reason(size):
    with pytest.raises(ValueError, match="another shape"):
        mask_clip(torch.ones(1, *size), VIDEO)


def test_a_blank_mask_of_any_shape_covers_nothing():
    frames = mask_clip(torch.zeros(1, 64, 64), VIDEO).frames(0, COUNT)
    assert frames.shape == (COUNT, HEIGHT, WIDTH, 3)
    assert not frames.any()


@pytest.mark.parametrize("shape", [(0, HEIGHT, WIDTH), (1, 0, WIDTH)])
def test_an_empty_mask_is_refused(shape):
    with pytest.raises(ValueError, match="at least one"):
        mask_clip(torch.zeros(*shape), VIDEO)


def test_frames_outside_are_refused():
    clip = matched_mask(TensorClip(torch.ones(1, HEIGHT, WIDTH, 3), Fraction(30)), VIDEO)
    assert clip.fps == 25
    with pytest.raises(ValueError, match="frames 3 to 13"):
        clip.frames(3, 13)
    assert len(clip.frames(4, 4)) == 0
