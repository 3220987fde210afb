"""Prepared clips as a sync expert learns from them: speech beside landmarks or mouth pictures."""

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Float16, UInt8
from torch import Tensor

from ..landmarks import LIPS
from ..sync.expert import LANDMARKS, SyncExpert
from ..sync.offset import LEAST_STEPS, score_sync
from ..sync.pictures import mouth_pictures
from ..types import MOTION_RATE, SpeechFeatures
from .motion_clips import read_motion_clips
from .prepared import PreparedClip, read_prepared

REPAIRED_UP_TO = 5
"""Steps. What an expert finds further out is no late sound but a clip that it cannot judge."""


@dataclass(frozen=True)
class SyncClip:
    """One clip at 25 Hz."""

    name: str
    person: str
    source: str
    """Data set: people of one source share its chance to be drawn."""
    speech: Float16[Tensor, "v t d"]
    lips: Float[Tensor, "t 40 3"] | UInt8[Tensor, "t h w"]
    """Landmarks in eye distances, or grey mouth pictures."""
    valid: Bool[Tensor, " t"]


def read_sync_clips(prepared: Path, split: str, sees: str) -> list[SyncClip]:
    """The clips of `split` as an expert that `sees` landmarks or pixels needs them; clips prepared
    without pictures are no use to one that sees pixels."""
    found = read_prepared(prepared, split)
    if sees == LANDMARKS:
        source = {clip.name: clip.source for clip in found}
        return [
            SyncClip(
                c.name, c.person, source[c.name], c.speech, c.displacement[:, : len(LIPS)], c.valid
            )
            for c in read_motion_clips(prepared, split)
        ]
    return [_with_pictures(clip) for clip in found if clip.has("crops")]


def _with_pictures(clip: PreparedClip) -> SyncClip:
    valid = clip.read("valid")
    # The frame shown at each step; mixing two frames would make a mouth that never was.
    frames = (torch.arange(len(valid)) * float(clip.fps) / MOTION_RATE).round().long()
    crops = clip.read("crops")[frames.clamp_max(clip.frame_count - 1)]
    pictures = [mouth_pictures(part.float() / 255) for part in crops.split(100)]
    grey = (torch.cat(pictures) * 255).round().to(torch.uint8)
    return SyncClip(clip.name, clip.person, clip.source, clip.read("speech"), grey, valid)


def repaired(clips: list[SyncClip], expert: SyncExpert, encoder: str) -> list[SyncClip]:
    """The clips with their sound moved to where an earlier expert finds that it belongs; clips
    that it cannot judge are left out."""
    kept = []
    for clip in clips:
        if int(clip.valid.sum()) < LEAST_STEPS:
            continue
        heard = SpeechFeatures(clip.speech[0].float(), encoder)
        offset = score_sync(expert, clip.lips, clip.valid, heard).offset
        if abs(offset) <= REPAIRED_UP_TO:
            kept.append(_moved(clip, offset))
    return kept


def _moved(clip: SyncClip, offset: int) -> SyncClip:
    late, early = max(offset, 0), max(-offset, 0)
    steps = len(clip.valid) - abs(offset)
    return replace(
        clip,
        speech=clip.speech[:, early : early + steps],
        lips=clip.lips[late : late + steps],
        valid=clip.valid[late : late + steps],
    )


def clip_chances(clips: list[SyncClip], balance: float) -> Float[Tensor, " n"]:
    """How often to draw each clip: a source of n clips gets a share of n ** balance, and so does
    a person of n clips within a source."""
    sources = Counter(clip.source for clip in clips)
    people = Counter((clip.source, clip.person) for clip in clips)
    inside: dict[str, float] = {}
    for (source, _), count in people.items():
        inside[source] = inside.get(source, 0.0) + count**balance
    return torch.tensor(
        [
            sources[clip.source] ** balance
            * people[clip.source, clip.person] ** (balance - 1)
            / inside[clip.source]
            for clip in clips
        ]
    )
