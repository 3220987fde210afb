"""Prepared clips as the predictor learns from them: speech and lip motion, held in memory."""

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Float16
from torch import Tensor

from ..errors import TrainingError
from ..landmarks import LIPS, MOVING, tracked
from ..sync.expert import SyncExpert
from ..sync.offset import LEAST_STEPS as JUDGED_STEPS
from ..sync.offset import score_sync
from ..types import SpeechFeatures
from .prepared import PreparedClip, read_prepared

FEWEST_CLIPS = 4
"""A person with fewer clips is cut into pieces, so that there is a reference for every target."""
PIECES = 3
LEAST_STEPS = 15
REPAIRED_UP_TO = 3
"""Steps. A clip whose sound is further off is no clip to learn from."""

_UPPER = [MOVING.index(landmark) for landmark in (82, 13, 312)]
_LOWER = [MOVING.index(landmark) for landmark in (87, 14, 317)]


@dataclass(frozen=True)
class MotionClip:
    """One clip, or a piece of one, of a person."""

    name: str
    person: str
    speech: Float16[Tensor, "v t d"]
    """The variants of its features; the first heard alone."""
    displacement: Float[Tensor, "t points 3"]
    """MOVING landmarks minus the person's neutral, eye distances."""
    valid: Bool[Tensor, " t"]
    source: str = ""
    """Data set: people of one source share its chance to be drawn."""

    @property
    def steps(self) -> int:
        """Its length at 25 Hz."""
        return len(self.valid)


def lip_gap(displacement: Float[Tensor, "*t points 3"]) -> Float[Tensor, "*t"]:
    """How much further apart the inner lips are than in the neutral shape, eye distances."""
    return (displacement[..., _LOWER, 1] - displacement[..., _UPPER, 1]).mean(dim=-1)


def lip_error(
    predicted: Float[Tensor, "*t points 3"], true: Float[Tensor, "*t points 3"]
) -> Float[Tensor, "*t"]:
    """Mean distance of the 40 lip points, eye distances."""
    return (predicted - true)[..., : len(LIPS), :].norm(dim=-1).mean(dim=-1)


def is_synthetic(clip: MotionClip) -> bool:
    """Whether it shows a synthetic head (`synthesise` says so in its source)."""
    return clip.source.startswith("synthetic")


def read_motion_clips(folder: Path, split: str) -> list[MotionClip]:
    """The clips of `split` under `folder`.

    A person's neutral is the median over all clips there are of them: that of 3 s alone is off by
    a third of the motion itself. Raises TrainingError when clips were heard by different encoders.
    """
    clips = read_prepared(folder)
    _one_encoder(clips)
    moving = tracked(MOVING)
    neutrals = defaultdict(list)
    for clip in clips:
        neutrals[clip.person].append(clip.read("neutral")[moving].float())
    neutral = {person: torch.stack(n).median(dim=0).values for person, n in neutrals.items()}
    found = [_motion_clip(clip, neutral[clip.person]) for clip in clips if clip.split == split]
    if not found:
        raise TrainingError(
            f"no clips of split {split!r} under {folder}: prepare some with that split"
        )
    return found


def _one_encoder(clips: list[PreparedClip]) -> None:
    encoders = sorted({clip.encoder for clip in clips})
    if len(encoders) > 1:
        raise TrainingError(f"clips prepared with {encoders}: prepare all with one encoder")


def _motion_clip(clip: PreparedClip, neutral: Float[Tensor, "points 3"]) -> MotionClip:
    own = clip.read("neutral")[tracked(MOVING)].float()
    return MotionClip(
        name=clip.name,
        person=clip.person,
        speech=clip.read("speech"),
        displacement=clip.read("canonical").float() + (own - neutral),
        valid=clip.read("valid"),
        source=clip.source,
    )


def without_offsets(
    clips: list[MotionClip], expert: SyncExpert, encoder: str
) -> tuple[list[MotionClip], list[str]]:
    """The clips with their sound where the sync expert finds that it belongs, and the names of
    those left out because it is too far off to be believed.

    Else a reference would "help" by telling how late the sound is. Offsets of one step are left:
    the expert itself errs by as much.
    """
    kept, dropped = [], []
    for clip in clips:
        offset = 0
        if int(clip.valid.sum()) >= JUDGED_STEPS:
            heard = SpeechFeatures(clip.speech[0].float(), encoder)
            lips = clip.displacement[:, : len(LIPS)]
            offset = score_sync(expert, lips, clip.valid, heard).offset
        if abs(offset) > REPAIRED_UP_TO:
            dropped.append(clip.name)
        else:
            kept.append(clip if abs(offset) <= 1 else _moved(clip, offset))
    return kept, dropped


def _moved(clip: MotionClip, offset: int) -> MotionClip:
    late, early = max(offset, 0), max(-offset, 0)
    steps = len(clip.valid) - abs(offset)
    return replace(
        clip,
        speech=clip.speech[:, early : early + steps],
        displacement=clip.displacement[late : late + steps],
        valid=clip.valid[late : late + steps],
    )


def by_person(clips: list[MotionClip]) -> dict[str, list[MotionClip]]:
    """Who can be learned from: people with at least two clips or pieces of clips."""
    people: dict[str, list[MotionClip]] = defaultdict(list)
    for clip in clips:
        people[clip.person].append(clip)
    for person, own in people.items():
        if len(own) < FEWEST_CLIPS:
            people[person] = [piece for clip in own for piece in _pieces(clip)]
    enough = {
        person: [clip for clip in own if clip.steps >= LEAST_STEPS and clip.valid.any()]
        for person, own in people.items()
    }
    return {person: own for person, own in enough.items() if len(own) > 1}


def _pieces(clip: MotionClip) -> list[MotionClip]:
    edges = [clip.steps * piece // PIECES for piece in range(PIECES + 1)]
    return [
        replace(
            clip,
            name=f"{clip.name}/{start}",
            speech=clip.speech[:, start:stop],
            displacement=clip.displacement[start:stop],
            valid=clip.valid[start:stop],
        )
        for start, stop in pairwise(edges)
    ]
