"""What the sync expert says of a clip, as figures."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from ..audio.encoder import SpeechEncoder
from ..audio.features import encode_speech
from ..face.alignment import crop_faces
from ..sync.expert import PIXELS, SyncExpert
from ..sync.offset import LEAST_STEPS, SyncScore, score_sync
from ..sync.pictures import mouth_pictures
from ..types import MOTION_RATE, Audio, Clip
from .measured_face import MeasuredFace
from .results import Measure

JUDGE = "sync_judge.safetensors"
"""The sync expert that is shipped for judging; it never teaches."""
STEP = 1000 / MOTION_RATE
"""Milliseconds of one step."""
SYNC_CROP = 128
"""Pixels of the crops out of which an expert that sees pixels is shown the mouth."""
_CHUNK = 32

SYNC_MEASURES = (
    Measure("sync offset", "ms", "near 0", "how late the lips are for the sync expert, + is late"),
    Measure("sync offset, absolute", "ms", "near 0", "how far off in time, either way"),
    Measure("sync within 40 ms", "", "higher", "share of clips that are one step off or less"),
    # A mouth that does what is heard and nothing else agrees better than a living one.
    Measure("sync confidence", "", "near ceiling", "how clearly one offset is the best"),
    Measure("sync agreement", "", "near ceiling", "how well lips and speech agree as they are"),
)


def judge_sync(
    expert: SyncExpert, encoder: SpeechEncoder, clip: Clip, face: MeasuredFace, speech: Audio
) -> SyncScore | None:
    """How well the lips of `clip`, whose face is `face`, go with `speech`; None when less than a
    second of them is seen and heard."""
    heard = encode_speech(encoder, speech)
    if int(face.valid[: len(heard.features)].sum()) < LEAST_STEPS:
        return None
    lips = mouth_at_steps(clip, face) if expert.config.sees == PIXELS else face.lips
    return score_sync(expert, lips, face.valid, heard)


def sync_figures(score: SyncScore | None) -> dict[str, float]:
    """The figures of SYNC_MEASURES; nan without a score."""
    if score is None:
        return {measure.name: math.nan for measure in SYNC_MEASURES}
    return {
        "sync offset": STEP * score.offset,
        "sync offset, absolute": STEP * abs(score.offset),
        "sync within 40 ms": float(abs(score.offset) <= 1),
        "sync confidence": score.confidence,
        "sync agreement": score.agreement,
    }


def mouth_at_steps(clip: Clip, face: MeasuredFace) -> Float[Tensor, "t h w"]:
    """The grey mouth picture of the frame that is shown at each 25 Hz step."""
    track = face.track.resized(SYNC_CROP)
    pictures = []
    for start in range(0, clip.frame_count, _CHUNK):
        stop = min(start + _CHUNK, clip.frame_count)
        crops = crop_faces(clip.frames(start, stop), track.frame_to_crop[start:stop], SYNC_CROP)
        pictures.append(mouth_pictures(crops))
    steps = torch.arange(len(face.valid)) * float(clip.fps) / MOTION_RATE
    return torch.cat(pictures)[steps.round().long().clamp_max(clip.frame_count - 1)]
