"""The lip motion about a moment in time: what the renderer is told of how the mouth moves."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..types import MOTION_RATE


def motion_windows(
    coefficients: Float[Tensor, "n m"], times: Float[Tensor, " t"], steps: int
) -> Float[Tensor, "t steps m"]:
    """The 25 Hz motion at `steps` moments, 1/25 s apart, centred on each of `times` (seconds).

    Linear between the steps of `coefficients`; the first and last hold beyond the ends. Any frame
    rate goes, since a frame is only its time.
    """
    moments = times.double()[:, None] * MOTION_RATE + torch.arange(steps) - steps // 2
    moments = moments.clamp(0, len(coefficients) - 1)
    before = moments.floor().long().clamp(max=max(len(coefficients) - 2, 0))
    after = (before + 1).clamp(max=len(coefficients) - 1)
    share = (moments - before).to(coefficients.dtype)[..., None]
    return coefficients[before] * (1 - share) + coefficients[after] * share
