"""How far a head's lips are apart for given expression weights, and what brings them together.

Vertices are linear in the weights, so the gap is too. Lips of different heads need different
weights to meet, and must never pass through each other.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..canonical_pose import canonicalise
from ..landmarks import tracked
from .face_kit import FaceKit
from .landmark_map import LandmarkMap

CLOSING = "mouthClose"
"""The shape that brings the lips together."""
_UPPER, _LOWER = tracked((82, 13, 312)), tracked((87, 14, 317))
_SLACK = 0.004
"""Eye distances between the landmarks of lips that touch."""


@dataclass(frozen=True)
class LipContact:
    """The lips of one head."""

    names: tuple[str, ...]
    """The expression shapes of its kit."""
    rest_gap: float
    """How far the middle of the inner lips is apart at rest, eye distances; < 0 is overlap."""
    gap_per_weight: Float[Tensor, " e"]
    """What weight 1 of each shape adds."""

    @classmethod
    def of(
        cls, kit: FaceKit, landmark_map: LandmarkMap, identity: Float[Tensor, " n"]
    ) -> "LipContact":
        """Measured on the head itself, before any rotation."""
        count = len(kit.expression_names)
        weights = torch.cat([torch.zeros(1, count), torch.eye(count)])
        points = landmark_map.of_expressions(kit, identity, weights)
        scale = float(canonicalise(points[:1]).landmarks[0].std(dim=0)[0] / points[0].std(dim=0)[0])
        gap = scale * (points[:, _LOWER, 1] - points[:, _UPPER, 1]).mean(dim=1)
        return cls(kit.expression_names, float(gap[0]), gap[1:] - gap[0])

    def gap(self, weights: Float[Tensor, "t e"]) -> Float[Tensor, " t"]:
        """How far the lips are apart, eye distances."""
        return self.rest_gap + weights @ self.gap_per_weight

    def closed(
        self, weights: Float[Tensor, "t e"], closing: Float[Tensor, " t"]
    ) -> Float[Tensor, "t e"]:
        """The weights with CLOSING set so that `closing` (0 to 1) of the gap is gone, and that
        lips never overlap. Heads without that shape stay as they are."""
        if CLOSING not in self.names:
            return weights
        place = self.names.index(CLOSING)
        slope = float(self.gap_per_weight[place])
        if slope >= 0:
            return weights
        weights = weights.clone()
        weights[:, place] = 0
        gap = self.gap(weights) - _SLACK
        wanted = torch.where(gap > 0, (1 - closing) * gap, 0)
        weights[:, place] = (wanted - gap) / slope
        return weights
