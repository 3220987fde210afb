"""Prepared clips as the style benchmarks need them: speech, lips, and what is heard when."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..errors import TrainingError
from ..landmarks import LIPS
from ..motion.basis import LipMotionBasis
from ..motion.style import extend_style, make_style_reference
from ..sync.expert import SyncExpert
from ..sync.offset import score_sync
from ..training.motion_clips import MotionClip, read_motion_clips
from ..training.prepared import read_prepared
from ..types import MOTION_RATE, LipMotion, SpeechFeatures, StyleReference
from .alignments import phone_track, phones_of, read_alignment, times_of
from .heard import VISEMES, Heard, sound_gates

LONGEST_REFERENCE = 30 * MOTION_RATE
"""Steps of a reference that are read."""
VISEME_EDGE = 0.048
"""Seconds, standard deviation; see phone_track."""


@dataclass(frozen=True)
class StyleClip:
    """One clip, or a part of one, of one person at 25 Hz."""

    name: str
    person: str
    speech: SpeechFeatures
    displacement: Float[Tensor, "t points 3"]
    """MOVING landmarks minus the person's neutral, eye distances."""
    valid: Bool[Tensor, " t"]
    offset: int = 0
    """Steps by which the lips came after the sound before that was repaired."""
    neutral: Float[Tensor, "points 3"] | None = None
    """The person's shape at rest, where it is known, eye distances."""
    also_heard: tuple[SpeechFeatures, ...] = ()
    """The same speech by other encoders, for predictors that listen with them."""

    @property
    def steps(self) -> int:
        return len(self.valid)

    def part(self, start: int, stop: int, name: str) -> "StyleClip":
        """The steps start <= i < stop as a clip of their own."""
        return replace(
            self.with_speech(start, stop),
            name=f"{self.name} {name}",
            displacement=self.displacement[start:stop],
            valid=self.valid[start:stop],
        )

    def with_speech(self, start: int, stop: int) -> "StyleClip":
        """The clip with only these steps of its speech; its lips stay."""
        cut, *others = (
            replace(heard, features=heard.features[start:stop])
            for heard in (self.speech, *self.also_heard)
        )
        return replace(self, speech=cut, also_heard=tuple(others))

    def heard_by(self, encoder: str) -> SpeechFeatures:
        """The speech as that encoder hears it; ValueError when it did not."""
        known = {heard.encoder: heard for heard in (self.speech, *self.also_heard)}
        if encoder not in known:
            raise ValueError(f"{self.name} was heard by {sorted(known)}, {encoder} is needed")
        return known[encoder]

    def motion(self, basis: LipMotionBasis) -> LipMotion:
        """In the coefficients of one predictor."""
        return LipMotion(basis.project(self.displacement), self.valid, basis.id)


def read_style_clips(
    prepared: Path, split: str, person_of: Callable[[str], str] | None = None
) -> list[StyleClip]:
    """The clips of `split` under `prepared`; `person_of` names who is in a clip, if the prepared
    clips do not say it."""
    encoders = {clip.name: clip.encoder for clip in read_prepared(prepared, split)}
    return [
        _style_clip(clip, encoders[clip.name], person_of)
        for clip in read_motion_clips(prepared, split)
    ]


def _style_clip(
    clip: MotionClip, encoder: str, person_of: Callable[[str], str] | None
) -> StyleClip:
    return StyleClip(
        name=clip.name,
        person=clip.person if person_of is None else person_of(clip.name),
        speech=SpeechFeatures(clip.speech[0].float(), encoder),
        displacement=clip.displacement,
        valid=clip.valid,
    )


def hear(clip: StyleClip, alignments: Path) -> Heard:
    """What sounds when in a GRID clip, by its word times and by the frozen gates."""
    path = alignments / f"{clip.name}.align"
    if not path.is_file():
        raise TrainingError(f"no alignment {path}: the list of styles needs the word times of GRID")
    phones = phones_of(read_alignment(path))
    clusters, components = sound_gates()(clip.speech.features)
    return Heard(
        phone_track(phones, clip.steps),
        phone_track(phones, clip.steps, edge=VISEME_EDGE, shapes=VISEMES),
        clusters,
        components,
        times_of(phones),
    )


def without_offset(clip: StyleClip, expert: SyncExpert) -> StyleClip:
    """The clip with its sound moved to where the sync expert finds that it belongs.

    A reference whose sound is late would otherwise "help" by telling how late it is.
    """
    score = score_sync(expert, clip.displacement[:, : len(LIPS)], clip.valid, clip.speech)
    late, steps = max(score.offset, 0), clip.steps
    early, length = max(-score.offset, 0), steps - abs(score.offset)
    return replace(
        clip.with_speech(early, early + length),
        displacement=clip.displacement[late : late + length],
        valid=clip.valid[late : late + length],
        offset=score.offset,
    )


def as_reference(
    clips: list[StyleClip], basis: LipMotionBasis, encoder: str | None = None
) -> StyleReference:
    """One style from one or several clips, their first LONGEST_REFERENCE steps, as `encoder` hears
    them."""
    style: StyleReference | None = None
    room = LONGEST_REFERENCE
    for clip in clips:
        read = clip.part(0, min(room, clip.steps), "")
        heard = read.speech if encoder is None else read.heard_by(encoder)
        pairs = make_style_reference(heard, read.motion(basis), clip.name)
        style = pairs if style is None else extend_style(style, pairs)
        room -= read.steps
        if room <= 0:
            break
    if style is None:
        raise ValueError("a reference needs at least one clip")
    return style


def centred(
    displacement: Float[Tensor, "t points 3"], valid: Bool[Tensor, " t"]
) -> Float[Tensor, "t points 3"]:
    """Without the clip's own mean shape, and so without any error of its neutral."""
    return displacement - displacement[valid].mean(dim=0)


def correlation(
    first: Float[Tensor, " t"], second: Float[Tensor, " t"], valid: Bool[Tensor, " t"]
) -> float:
    """Pearson's r over the valid steps."""
    pair = torch.stack([first[valid], second[valid]]).double()
    return float(torch.corrcoef(pair)[0, 1])
