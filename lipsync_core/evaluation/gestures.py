"""What lips do, in seven plain words: open, spread, protrude, raise, smile, shift and lopsided.

Fields of movement over the MOVING landmarks, made from the canonical face's geometry alone, so that
a style that is written down in them belongs to no person, basis or model.
"""

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from ..landmarks import LIPS, LIPS_INNER, LIPS_OUTER, MOVING, canonical

GESTURES = ("open", "spread", "protrude", "raise", "smile", "shift", "lopsided")
"""Lower lip and chin down; corners apart; lips forward; upper lip up; corners up; lower lip and
chin to the picture's right; lower lip lower on the picture's right than on its left."""
_CHIN_REACH = 0.45
"""Eye distances to each side of the chin's middle that open with the jaw."""


@cache
def gesture_fields() -> Float[Tensor, "g points 3"]:
    """The movement of each point for an activation of 1 eye distance."""
    place = canonical(MOVING).float()
    lips = place[: len(LIPS)]
    middle = lips.mean(dim=0)
    half_width = (lips[:, 0] - middle[0]).abs().max()
    across = (place[:, 0] - middle[0]) / half_width
    on_lips = torch.arange(len(MOVING)) < len(LIPS)
    lower = on_lips & torch.tensor([_is_lower(i) for i in range(len(MOVING))])
    upper = on_lips & ~lower
    # Corners hardly follow the jaw; the chin does, the jaw angle does not.
    centred = (1 - across.square()).clamp_min(0).sqrt()
    chin = (1 - (place[:, 0].abs() / _CHIN_REACH)).clamp(0, 1)
    chin = torch.where(on_lips, torch.zeros(()), chin)
    jaw = torch.where(lower, centred, 0.0) + chin
    corner = torch.where(on_lips, across.abs(), 0.0)
    x, y, z = torch.eye(3)
    fields = (
        jaw[:, None] * y,
        torch.where(on_lips, across, 0.0)[:, None] * x,
        -torch.where(on_lips, 1.0, 0.2)[:, None] * z * (0.5 + 0.5 * centred[:, None]),
        -torch.where(upper, centred, 0.0)[:, None] * y,
        -corner.square()[:, None] * y,
        jaw[:, None] * x,
        (jaw * across.clamp(-1, 1))[:, None] * y,
    )
    return torch.stack(fields)


def _is_lower(index: int) -> bool:
    """Whether a lip point belongs to the lower lip: both contours begin at the left corner and run
    along it first."""
    if index >= len(LIPS):
        return False
    contour = LIPS_OUTER if index < len(LIPS_OUTER) else LIPS_INNER
    return 0 < index % len(LIPS_OUTER) < len(contour) // 2


def activations(displacement: Float[Tensor, "*t points 3"]) -> Float[Tensor, "*t g"]:
    """How much of each gesture there is, eye distances: least squares over all points."""
    return displacement.flatten(-2) @ _inverse_fields().to(displacement)


@cache
def _inverse_fields() -> Float[Tensor, "coordinates g"]:
    return torch.linalg.pinv(gesture_fields().flatten(1))


def moved(
    displacement: Float[Tensor, "*t points 3"], change: Float[Tensor, "*t g"]
) -> Float[Tensor, "*t points 3"]:
    """The displacement with gestures changed; what no gesture describes stays as it was."""
    fields = gesture_fields().to(displacement)
    return displacement + torch.einsum("...g,gpx->...px", change.to(displacement), fields)
