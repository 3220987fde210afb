"""Prepared clips as the predictor learns from them: speech and lip motion, held in memory."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Bool, Float, Float16
from torch import Tensor

from ..errors import TrainingError
from ..landmarks import LIPS, MOVING, tracked
from .prepared import PreparedClip, read_prepared

FEWEST_CLIPS = 4
"""A person with fewer clips is cut into pieces, so that there is a reference for every target."""
PIECES = 3
LEAST_STEPS = 15

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
        MotionClip(
            name=f"{clip.name}/{start}",
            person=clip.person,
            speech=clip.speech[:, start:stop],
            displacement=clip.displacement[start:stop],
            valid=clip.valid[start:stop],
        )
        for start, stop in pairwise(edges)
    ]
