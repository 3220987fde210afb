"""Memory for whole frames that goes back to the system as soon as nobody holds it.

glibc keeps freed blocks of up to 32 MiB for the next one that fits, in each thread's own heaps of
64 MiB. Frames of 1080p are 24 MiB: two to a heap, and what lies between them is lost. Re-speaking a
video piece by piece, a process kept 845 to 990 MiB so, in other amounts each time; 440 with memory
of their own for frames.
"""

import mmap
from math import prod

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

LEAST_BYTES = 2**20
"""Smaller stacks are as well kept by the usual allocator."""


def empty_frames(*shape: int) -> Float[Tensor, "..."]:
    """A float32 tensor on the CPU whose values are not set."""
    size = 4 * prod(shape)
    if size < LEAST_BYTES:
        return torch.empty(*shape)
    return torch.from_numpy(np.frombuffer(mmap.mmap(-1, size), np.float32).reshape(shape))


def copied_frames(frames: Float[Tensor, "t h w c"]) -> Float[Tensor, "t h w c"]:
    """The same frames in memory of their own; clones of those that are not float32 on the CPU."""
    if frames.dtype != torch.float32 or frames.device.type != "cpu":
        return frames.clone()
    return empty_frames(*frames.shape).copy_(frames)
