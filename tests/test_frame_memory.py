"""Frames have memory of their own, which they give back."""

import gc
from pathlib import Path

import pytest
import torch

from lipsync_core.frame_memory import LEAST_BYTES, copied_frames, empty_frames

STATUS = Path("/proc/self/status")
FRAME = (1, 1080, 1920, 3)


def resident() -> int:
    """Bytes of this process in memory."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


@pytest.mark.parametrize("shape", [FRAME, (3, 4, 5, 3), (0, 48, 80, 3), (LEAST_BYTES,)])
def test_they_are_tensors_like_others(shape):
    frames = empty_frames(*shape)
    assert frames.shape == shape and frames.dtype == torch.float32 and frames.is_contiguous()
    frames.fill_(0.25)
    assert (frames.double().mean() == 0.25) or not frames.numel()
    assert torch.equal(frames + 1, torch.full(shape, 1.25))


@pytest.mark.parametrize("kind", [torch.float32, torch.float16])
def test_a_copy_is_one(kind):
    frames = torch.rand(1, 300, 400, 3, generator=torch.Generator().manual_seed(0)).to(kind)
    copy = copied_frames(frames)
    assert torch.equal(copy, frames) and copy.dtype == kind
    copy.zero_()
    assert frames.max() > 0


@pytest.mark.skipif(not STATUS.exists(), reason="memory is read in /proc")
def test_what_nobody_holds_is_given_back():
    """Views keep a frame alive; the last one lets go of it."""
    frames = [empty_frames(*FRAME).zero_() for _ in range(4)]
    view, held = frames[0][0, :10], resident()
    assert view.sum() == 0
    del frames
    gc.collect()
    size = 4 * torch.tensor(FRAME).prod().item()
    assert 2.5 * size < held - resident() < 3.5 * size
    view.add_(1)
    del view
    gc.collect()
    assert 3.5 * size < held - resident()
