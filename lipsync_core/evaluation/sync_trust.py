"""May the sync expert be believed? Planted shifts and swapped sounds on held-out real clips.

A planted shift moves the sound itself, which is then heard anew, so that nothing of the answer is
left in the features. The truth of a studio clip (GRID) is 0. A clip off the net has an unknown
offset of its own, so there the answer for one half of the clip, with the shift planted, is compared
with the answer for the disjoint other half without it: an expert that always says the same, or
that follows something other than the speech, fails.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..sync.expert import SyncExpert
from ..sync.offset import SyncScore, score_sync
from ..types import MOTION_RATE, Audio, SpeechFeatures

SHIFTS = range(-6, 7)
"""Steps of 1/25 s."""
Hear = Callable[[Audio], SpeechFeatures]
"""A speech encoder at work."""


@dataclass(frozen=True)
class HeardLips:
    """One clip as an expert judges it: lips (landmarks or pictures) at 25 Hz, and its sound."""

    name: str
    lips: Float[Tensor, "t 40 3"] | Float[Tensor, "t h w"]
    valid: Bool[Tensor, " t"]
    audio: Audio

    def shifted(self, shift: int) -> "HeardLips":
        """The same with the lips `shift` steps later than they were: the start of the sound, or
        of the pictures, is cut away."""
        samples = max(shift, 0) * self.audio.sample_rate // MOTION_RATE
        early = max(-shift, 0)
        audio = replace(self.audio, waveform=self.audio.waveform[samples:])
        return replace(self, lips=self.lips[early:], valid=self.valid[early:], audio=audio)

    def halves(self) -> tuple["HeardLips", "HeardLips"]:
        """Two disjoint parts."""
        middle = len(self.valid) // 2
        samples = middle * self.audio.sample_rate // MOTION_RATE
        first = replace(self.audio, waveform=self.audio.waveform[:samples])
        second = replace(self.audio, waveform=self.audio.waveform[samples:])
        return (
            replace(self, lips=self.lips[:middle], valid=self.valid[:middle], audio=first),
            replace(self, lips=self.lips[middle:], valid=self.valid[middle:], audio=second),
        )


@dataclass(frozen=True)
class SyncTrust:
    """What was found on a set of clips."""

    found: float
    """Share of planted shifts that were found within one step."""
    clips_found: float
    """Share of clips of which at least 12 of the 13 shifts were."""
    error: float
    """Mean distance from the planted shift, steps."""
    auc_agreement: float
    """Own sound against swapped sound by agreement at offset 0: chance that own is higher."""
    auc_confidence: float
    """The same by confidence, which knows no offset."""
    clips: int


def judge(expert: SyncExpert, hear: Hear, clip: HeardLips) -> SyncScore:
    """Offset and confidence of one clip."""
    return score_sync(expert, clip.lips, clip.valid, hear(clip.audio))


def trust(expert: SyncExpert, hear: Hear, clips: list[HeardLips], by_halves: bool) -> SyncTrust:
    """Plants every shift of SHIFTS into every clip and gives every clip the next clip's sound.

    `by_halves`: offsets are compared between the halves of a clip, not with 0.
    """
    errors, own, swapped = [], [], []
    for i, clip in enumerate(clips):
        if by_halves:
            first, second = clip.halves()
            pairs = [(first, second), (second, first)]
        else:
            pairs = [(clip, None)]
        for judged, other in pairs:
            truth = 0 if other is None else judge(expert, hear, other).offset
            errors.append(
                [abs(judge(expert, hear, judged.shifted(s)).offset - s - truth) for s in SHIFTS]
            )
        stranger = replace(clip, audio=clips[(i + 1) % len(clips)].audio)
        own.append(judge(expert, hear, clip))
        swapped.append(judge(expert, hear, stranger))
    distance = torch.tensor(errors).float()
    within = distance <= 1
    return SyncTrust(
        found=float(within.float().mean()),
        clips_found=float((within.sum(dim=1) >= len(SHIFTS) - 1).float().mean()),
        error=float(distance.mean()),
        auc_agreement=_auc(
            [s.curve.max().item() if by_halves else s.agreement for s in own],
            [s.curve.max().item() if by_halves else s.agreement for s in swapped],
        ),
        auc_confidence=_auc([s.confidence for s in own], [s.confidence for s in swapped]),
        clips=len(clips),
    )


def _auc(higher: list[float], lower: list[float]) -> float:
    """Chance that a value of the first list is above one of the second; ties count one half."""
    first, second = torch.tensor(higher)[:, None], torch.tensor(lower)
    return float(((first > second).float() + 0.5 * (first == second)).mean())
