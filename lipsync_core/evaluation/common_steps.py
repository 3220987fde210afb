"""The steps in which two faces can be compared."""

from jaxtyping import Bool
from torch import Tensor

from .measured_face import MeasuredFace

MINIMUM_STEPS = 10
"""25 Hz steps below which no measure says anything."""


def common_steps(ours: MeasuredFace, real: MeasuredFace) -> Bool[Tensor, " t"]:
    """Over the length of the shorter clip: the steps that are valid in both."""
    length = min(len(ours.valid), len(real.valid))
    return ours.valid[:length] & real.valid[:length]
