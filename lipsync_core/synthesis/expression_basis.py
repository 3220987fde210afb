"""A basis of lip motion from the expression shapes of a face kit: what a 3-D morphable model knows.

Talking-face work often speaks in the expression coefficients of such a model. This is that choice
in our coordinates, so that it can stand beside components learned from real people.
"""

import torch
from einops import rearrange
from jaxtyping import Float
from torch import Tensor

from ..motion.basis import LipMotionBasis
from .face_kit import FaceKit
from .landmark_map import LandmarkMap
from .truth import resting_shape, true_motion

MOUTH_SHAPES = ("mouth", "jaw", "cheek")
"""Names of the expression shapes that move lips and jaw begin so."""
_INDEPENDENT = 1e-3
"""Directions weaker than this, of the strongest, are rounding: left and right jaw are one axis."""


def expression_fields(kit: FaceKit, landmark_map: LandmarkMap) -> Float[Tensor, "e points 3"]:
    """How each mouth shape at weight 1 moves the MOVING landmarks of the mean head, in the
    canonical face, eye distances.

    ValueError when the kit has no mouth shapes; ModelError when the map is of another kit.
    """
    chosen = [i for i, name in enumerate(kit.expression_names) if name.startswith(MOUTH_SHAPES)]
    if not chosen:
        raise ValueError(f"no expression shape begins with {MOUTH_SHAPES}")
    mean_head = torch.zeros(0)
    rest = resting_shape(kit, landmark_map, mean_head)
    weights = torch.eye(len(kit.expression_names))[chosen]
    posed = landmark_map.of_expressions(kit, mean_head, torch.cat([kit.expressions(), weights]))
    return true_motion(posed, rest)[1:]


def expression_basis(
    fields: Float[Tensor, "e points 3"],
    size: int | None = None,
    beside: LipMotionBasis | None = None,
) -> LipMotionBasis:
    """The principal directions of `fields`, the strongest first, all independent ones or `size`.

    With `beside`, its components come first and those of the fields are what it cannot express.
    Signs and rounding are those of `fit_basis`, so that a saved and loaded basis keeps its id.
    """
    flat = rearrange(fields, "e points xyz -> e (points xyz)").double()
    strongest = torch.linalg.matrix_norm(flat, 2)
    known = flat[:0] if beside is None else beside.components.double()
    flat = flat - flat @ known.T @ known
    _, strength, directions = torch.linalg.svd(flat, full_matrices=False)
    directions = directions[strength > _INDEPENDENT * strongest]
    largest = directions.abs().argmax(dim=1, keepdim=True)
    directions = directions * directions.gather(1, largest).sign()
    return LipMotionBasis(torch.cat([known, directions])[:size].half().float())
