"""What the style benchmarks compare: anything that moves lips to speech after seeing references."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from ..motion.prediction import predict_lip_motion
from ..motion.predictor import MotionPredictor
from ..training.motion_clips import MotionClip
from .style_clips import StyleClip, as_reference

_REACH = 3
"""Steps to each side that the ridge probe hears."""
_COMPONENTS = 128
_PENALTY = 100.0
_EVERY = 2
"""Of the training steps every second is enough for a linear map."""


@runtime_checkable
class Speaker(Protocol):
    """Anything that can be judged."""

    def speak(
        self, clip: StyleClip, references: Sequence[StyleClip]
    ) -> Float[Tensor, "t points 3"]:
        """Lips (displacement from neutral, eye distances) to the clip's speech, in the manner of
        the references; without references, in no manner."""
        ...


@dataclass(frozen=True)
class PredictorSpeaker:
    """A motion predictor, used as the pack uses it."""

    predictor: MotionPredictor
    strength: float = 1.0

    def speak(
        self, clip: StyleClip, references: Sequence[StyleClip]
    ) -> Float[Tensor, "t points 3"]:
        basis, encoder = self.predictor.basis, self.predictor.config.encoder
        style = as_reference(list(references), basis, encoder) if references else None
        speech = clip.heard_by(encoder)
        motion = predict_lip_motion(self.predictor, speech, style, self.strength)
        return basis.displacement(motion.coefficients.cpu().float())


@dataclass(frozen=True)
class RidgeProbe:
    """The floor: a linear map from speech features of seven steps, blind to every reference."""

    mean: Float[Tensor, " d"]
    projection: Float[Tensor, "d p"]
    weight: Float[Tensor, "window coordinates"]

    @staticmethod
    def fit(clips: Sequence[MotionClip]) -> "RidgeProbe":
        """Ridge regression of the landmarks' displacement on principal speech components."""
        speech = torch.cat([clip.speech[0].float()[clip.valid] for clip in clips])
        mean = speech.mean(dim=0)
        values, vectors = torch.linalg.eigh((speech - mean).T.cov())
        count = min(_COMPONENTS, len(values))
        projection = vectors[:, -count:] * values[-count:].clamp_min(1e-6).rsqrt()
        inputs, outputs = [], []
        for clip in clips:
            heard = _windows((clip.speech[0].float() - mean) @ projection)
            inputs.append(heard[clip.valid][::_EVERY])
            outputs.append(clip.displacement[clip.valid].flatten(1)[::_EVERY])
        x, y = torch.cat(inputs).double(), torch.cat(outputs).double()
        gram = x.T @ x + _PENALTY * torch.eye(x.shape[1], dtype=torch.float64)
        return RidgeProbe(mean, projection, torch.linalg.solve(gram, x.T @ y).float())

    def speak(
        self, clip: StyleClip, references: Sequence[StyleClip]
    ) -> Float[Tensor, "t points 3"]:
        heard = _windows((clip.speech.features - self.mean) @ self.projection)
        return (heard @ self.weight).unflatten(1, (-1, 3))


def _windows(components: Float[Tensor, "t p"]) -> Float[Tensor, "t window"]:
    """Every step with its neighbours, and a constant."""
    padded = nn.functional.pad(components.T[None], (_REACH, _REACH), mode="replicate")[0].T
    around = padded.unfold(0, 2 * _REACH + 1, 1).flatten(1)
    return torch.cat([around, torch.ones(len(around), 1)], dim=1)
