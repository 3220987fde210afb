"""A loss in motion space: predicted lips should fit their speech as well as the true ones do."""

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor

from ..errors import TrainingError
from ..landmarks import LIPS
from ..motion.basis import LipMotionBasis
from ..sync.expert import LANDMARKS, SyncExpert


class MotionSyncLoss:
    """What a frozen sync expert misses in predicted lips and finds in true ones.

    Wav2Lip (Prajwal et al., 2020, arXiv 2008.10010) maximises the agreement of drawn mouths with
    the speech. Two things differ here: the expert judges lip landmarks, so no picture is needed,
    and it asks for no more agreement than the true lips of the clip have, so that a style that
    lags or hardly moves is not pulled towards what the expert likes best.
    """

    def __init__(self, expert: SyncExpert, basis: LipMotionBasis, encoder: str):
        """encoder: id of the speech encoder of the training clips. Raises TrainingError when the
        expert listens with another, or sees pictures."""
        config = expert.config
        if config.sees != LANDMARKS or config.encoder != encoder:
            raise TrainingError(
                f"the sync expert sees {config.sees} and listens with {config.encoder}: a teacher "
                f"of this predictor must see {LANDMARKS} and listen with {encoder}"
            )
        self.expert = expert.eval().requires_grad_(False)
        self.basis = basis

    def __call__(
        self,
        predicted: Float[Tensor, "b g t m"],
        target: Float[Tensor, "b g t m"],
        speech: Float[Tensor, "b g t d"],
        valid: Bool[Tensor, "b g t"],
    ) -> Float[Tensor, ""]:
        """Mean shortfall of the cosine of lips and speech over the valid steps, 0 at best."""
        flat = rearrange(valid, "b g t -> (b g) t")
        with torch.no_grad():
            heard = self.expert.embed_speech(rearrange(speech, "b g t d -> (b g) t d"))
            reached = self._agreement(target, heard, flat)
        shortfall = (reached - self._agreement(predicted, heard, flat)).clamp_min(0)
        return (shortfall * flat).sum() / flat.sum().clamp_min(1)

    def _agreement(
        self,
        motion: Float[Tensor, "b g t m"],
        heard: Float[Tensor, "clips t e"],
        valid: Bool[Tensor, "clips t"],
    ) -> Float[Tensor, "clips t"]:
        points = self.basis.displacement(rearrange(motion.float(), "b g t m -> (b g) t m"))
        return (self.expert.embed_lips(points[..., : len(LIPS), :], valid) * heard).sum(dim=-1)
