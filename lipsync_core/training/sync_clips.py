"""Prepared clips as a sync expert learns from them: speech beside landmarks or mouth pictures."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Float16, UInt8
from torch import Tensor

from ..landmarks import LIPS
from ..sync.expert import LANDMARKS
from ..sync.pictures import mouth_pictures
from ..types import MOTION_RATE
from .motion_clips import read_motion_clips
from .prepared import PreparedClip, read_prepared


@dataclass(frozen=True)
class SyncClip:
    """One clip at 25 Hz."""

    name: str
    person: str
    speech: Float16[Tensor, "v t d"]
    lips: Float[Tensor, "t 40 3"] | UInt8[Tensor, "t h w"]
    """Landmarks in eye distances, or grey mouth pictures."""
    valid: Bool[Tensor, " t"]


def read_sync_clips(prepared: Path, split: str, sees: str) -> list[SyncClip]:
    """The clips of `split` as an expert that `sees` landmarks or pixels needs them."""
    if sees == LANDMARKS:
        return [
            SyncClip(c.name, c.person, c.speech, c.displacement[:, : len(LIPS)], c.valid)
            for c in read_motion_clips(prepared, split)
        ]
    return [_with_pictures(clip) for clip in read_prepared(prepared, split)]


def _with_pictures(clip: PreparedClip) -> SyncClip:
    valid = clip.read("valid")
    # The frame shown at each step; mixing two frames would make a mouth that never was.
    frames = (torch.arange(len(valid)) * float(clip.fps) / MOTION_RATE).round().long()
    crops = clip.read("crops")[frames.clamp_max(clip.frame_count - 1)]
    pictures = [mouth_pictures(part.float() / 255) for part in crops.split(100)]
    grey = (torch.cat(pictures) * 255).round().to(torch.uint8)
    return SyncClip(clip.name, clip.person, clip.read("speech"), grey, valid)


def person_chances(clips: list[SyncClip], balance: float) -> Float[Tensor, " n"]:
    """How often to draw each clip: a person with n clips gets a share of n ** balance."""
    count = Counter(clip.person for clip in clips)
    return torch.tensor([count[clip.person] ** (balance - 1) for clip in clips])
