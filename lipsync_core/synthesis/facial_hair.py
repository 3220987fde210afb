"""Beards: where on the neutral head hair grows, how thick, and in which colour."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from ..landmarks import tracked
from .drawing import Colour, Draw, bump, mixed, step

_CORNERS, _CHIN, _JAW = (61, 291), 152, (172, 397)
_GREY: Colour = (0.62, 0.61, 0.60)


@dataclass(frozen=True)
class FacialHair:
    """How densely hair grows, 0 (none) to 1, place by place."""

    moustache: float = 0.0
    chin: float = 0.0
    jaw: float = 0.0
    colour: Colour = (0.16, 0.10, 0.07)
    stubble: float = 0.0
    """0: strands; 1: short dots that let the skin show."""

    @classmethod
    def draw(cls, generator: torch.Generator, hair: Colour) -> "FacialHair":
        """Nothing for half of all people; else stubble or a beard of some cut."""
        draw = Draw(generator)
        kind = draw.uniform(0.0, 1.0)
        density = draw.uniform(0.5, 1.0)
        grey = draw.uniform(0.0, 0.8) if draw.chance(0.25) else 0.0
        colour = mixed(mixed(hair, (0.05, 0.03, 0.02), draw.uniform(0.0, 0.5)), _GREY, grey)
        if kind < 0.5:
            return cls(colour=colour)
        if kind < 0.72:
            return cls(density, density, density, colour, stubble=draw.uniform(0.6, 1.0))
        cut = draw.whole(4)
        moustache = density if cut != 3 else 0.2 * density
        chin = density if cut in (0, 1, 3) else 0.1 * density
        jaw = density if cut in (0, 3) else 0.15 * density
        return cls(moustache, chin, jaw, colour, stubble=draw.uniform(0.0, 0.3))


def hair_cover(
    points: Float[Tensor, "c 3"], landmarks: Float[Tensor, "k 3"], hair: FacialHair
) -> Float[Tensor, " c"]:
    """How densely hair grows at points of the neutral head's skin, 0 to 1; cm."""
    corners = landmarks[tracked(_CORNERS)]
    half = float((corners[1, 0] - corners[0, 0]) / 2)
    middle = corners.mean(dim=0)
    chin = landmarks[tracked((_CHIN,))][0]
    x, y = (points[:, 0] - middle[0]).abs(), points[:, 1]
    front = step(-points[:, 2], 1.0, 3.5)
    # Curves sideways and down about the corners of the mouth, below the nose.
    height = middle[1] - 1.4 + 0.28 * (x / half) ** 2 * half
    moustache = bump(y - height, 0.7) * (1 - step(x, 1.05 * half, 1.5 * half))
    below = step(y, float(middle[1]) + 1.0, float(middle[1]) + 1.6)
    chin_hair = below * (1 - step(x, 0.75 * half, 1.35 * half))
    # From the ears down past the corners of the mouth, and not far under the chin.
    edge = float(middle[1]) + 0.8 - 0.95 * (x - 1.15 * half).clamp_min(0)
    jaw = step(y - edge, 0.0, 1.2) * step(x, 0.8 * half, 1.4 * half)
    under = 1 - step(y, float(chin[1]) + 0.6, float(chin[1]) + 2.6)
    parts = torch.stack(
        [hair.moustache * moustache * front, hair.chin * chin_hair * under, hair.jaw * jaw * under]
    )
    return parts.amax(dim=0) * step(-points[:, 2], -3.0, 1.0).clamp_max(1)
