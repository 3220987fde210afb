"""The score of one video, for people: offset, confidence, a sentence or two, and a plot."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..audio.encoder import SpeechEncoder
from ..errors import SpeechError
from ..face.choice import FaceChoice
from ..face.landmarking import FaceLandmarker
from ..sync.expert import SyncExpert
from ..sync.offset import LEAST_STEPS, MOST_OFFSET, SyncScore
from ..types import MOTION_RATE, Audio, Clip, OnProgress
from .measured_face import MeasuredFace, measure_face
from .motion_measures import compare_motion, opening_statistics
from .plots import Curve, motion_plot
from .sync_measures import STEP, judge_sync

_TOLD = ("opening r", "width r", "opening lag", "opening spread ratio", "lip vertex error")
"""Of what is compared with the real video."""


@dataclass(frozen=True)
class LipSyncScore:
    """What is found of one video."""

    sync: SyncScore
    face: MeasuredFace
    speech: Audio
    real: MeasuredFace | None = None

    @property
    def offset(self) -> float:
        """Milliseconds by which the lips come after the speech; < 0 is early."""
        return STEP * self.sync.offset

    @property
    def confidence(self) -> float:
        """How clearly that offset is the best."""
        return self.sync.confidence

    @property
    def summary(self) -> str:
        """Offset and confidence in words; then, with a real video, how the lips differ from it."""
        lines = [_tell_offset(self.sync), f"Confidence {self.confidence:.1f}."]
        seen = 100 * float(self.face.valid.float().mean())
        opening = opening_statistics(self.face)
        lines.append(
            f"The mouth is seen in {seen:.0f} % of the video and opens "
            f"{opening['opening mean']:.1f} % of the eye distance on average, "
            f"{opening['opening maximum']:.1f} % at most."
        )
        if self.real is not None:
            found = compare_motion(self.face, self.real)
            lines.append("Beside the real video:")
            lines += [f"- {name}: {_tell(name, found[name])}" for name in _TOLD]
        return "\n".join(lines)

    def plot(self) -> Float[Tensor, "1 h w 3"]:
        """The opening over the waveform, and the agreement at every offset; RGB in [0, 1]."""
        openings = {} if self.real is None else {"real": Curve(self.real.opening, self.real.valid)}
        openings["video"] = Curve(self.face.opening, self.face.valid)
        drawn = motion_plot(openings, self.speech, {"video": self.sync})
        return torch.from_numpy(drawn)[None].float() / 255


def score_lip_sync(
    landmarker: FaceLandmarker,
    encoder: SpeechEncoder,
    expert: SyncExpert,
    clip: Clip,
    speech: Audio | None,
    choice: FaceChoice,
    real: Clip | None = None,
    on_progress: OnProgress | None = None,
) -> LipSyncScore:
    """How well the chosen face of `clip` speaks `speech`, or the clip's own sound without it.

    real: the same face really saying the same, compared by its largest face. Raises SpeechError
    without sound or when less than a second has both, NoFaceError when there is no face.
    """
    heard = clip.audio() if speech is None else speech
    if heard is None:
        raise SpeechError(
            "the video has no sound: give the speech by which its lips are to be judged"
        )
    face = measure_face(landmarker, clip, choice, on_progress)
    sync = judge_sync(expert, encoder, clip, face, heard)
    if sync is None:
        raise SpeechError(
            f"less than {LEAST_STEPS / MOTION_RATE:.0f} s of speech has a face that is seen: give "
            "a longer video"
        )
    truth = None if real is None else measure_face(landmarker, real, on_progress=on_progress)
    return LipSyncScore(sync, face, heard, truth)


def _tell_offset(score: SyncScore) -> str:
    milliseconds = STEP * abs(score.offset)
    if score.offset == 0:
        return "The lips go with the speech: no offset."
    when = "after" if score.offset > 0 else "before"
    edge = " or more" if abs(score.offset) == MOST_OFFSET else ""
    return f"The lips come {milliseconds:.0f} ms{edge} {when} the speech."


def _tell(name: str, value: float) -> str:
    units = {"opening lag": " steps of 40 ms", "lip vertex error": " % of the eye distance"}
    return f"{value:.2f}{units.get(name, '')}" if value == value else "cannot be measured"
