"""Offset and confidence of a clip, read from the sync expert's agreement at every offset."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..types import SpeechFeatures
from .expert import SyncExpert

MOST_OFFSET = 15
"""Steps of 25 Hz that are tried to each side, as SyncNet's evaluation does."""
LEAST_STEPS = 25
"""A clip must have this many valid steps to be judged: one second."""


@dataclass(frozen=True)
class SyncScore:
    """How well lips and speech agree."""

    offset: int
    """Steps of 1/25 s by which the lips come after the speech; 0 is in sync, < 0 early."""
    confidence: float
    """The best agreement minus the median over all offsets (as SyncNet's confidence), times 10."""
    agreement: float
    """Mean cosine at offset 0: what a swapped sound lowers."""
    curve: Float[Tensor, " offsets"]
    """Mean cosine at the offsets -MOST_OFFSET..MOST_OFFSET; nan where too little overlaps."""


@torch.no_grad()
def score_sync(
    expert: SyncExpert,
    lips: Float[Tensor, "t 40 3"] | Float[Tensor, "t h w"],
    valid: Bool[Tensor, " t"],
    speech: SpeechFeatures,
) -> SyncScore:
    """Judges one clip at 25 Hz; lips and speech may differ in length, both begin at 0.

    Raises ValueError when the speech was heard by another encoder, or when fewer than LEAST_STEPS
    valid steps have both.
    """
    if speech.encoder != expert.config.encoder:
        raise ValueError(
            f"the speech was heard by {speech.encoder}, this sync expert listens with "
            f"{expert.config.encoder}"
        )
    if (seen := int(valid[: len(speech.features)].sum())) < LEAST_STEPS:
        raise ValueError(
            f"{seen} steps have lips and speech, {LEAST_STEPS} are needed: give a longer clip"
        )
    device = expert.speech_mean.device
    seen_lips = expert.embed_lips(lips[None].to(device), valid[None].to(device))[0].cpu()
    heard = expert.embed_speech(speech.features[None].to(device))[0].cpu()
    curve = agreement_curve(seen_lips, valid.cpu(), heard)
    best = int(curve.nan_to_num(-2).argmax())
    confidence = 10 * (curve[best] - curve.nanmedian())
    return SyncScore(best - MOST_OFFSET, float(confidence), float(curve[MOST_OFFSET]), curve)


def agreement_curve(
    lips: Float[Tensor, "t e"],
    valid: Bool[Tensor, " t"],
    speech: Float[Tensor, "u e"],
    most: int = MOST_OFFSET,
) -> Float[Tensor, " offsets"]:
    """The mean cosine of lips at step i + offset with speech at step i, for -most..most."""
    means = []
    for offset in range(-most, most + 1):
        start, stop = max(0, -offset), min(len(speech), len(lips) - offset)
        moved = slice(start + offset, max(start, stop) + offset)
        both = valid[moved]
        cosine = (lips[moved] * speech[start : max(start, stop)]).sum(dim=-1)[both]
        means.append(
            cosine.mean() if len(cosine) >= LEAST_STEPS // 2 else cosine.new_tensor(torch.nan)
        )
    return torch.stack(means)
