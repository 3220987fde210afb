"""What is finer than a head's vertices: pores, blotches, freckles, creases of the lips, strands.

Noise over the neutral head, looked up for every pixel, so that expressions carry it along.
"""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from .drawing import Draw, step
from .facial_hair import FacialHair

_CELLS = 32
"""Of the noise, along each axis; then it repeats."""
_FRECKLE: tuple[float, float, float] = (0.78, 0.60, 0.50)
_FRECKLE_SIZE = 0.22
"""cm."""


@dataclass(frozen=True)
class SkinDetail:
    """How rough and how even a skin is."""

    pores: float = 0.0
    """By how much the surface tilts, about 0.02 (smooth) to 0.16."""
    blotches: float = 0.0
    """Standard deviation of fine differences of colour."""
    freckles: float = 0.0
    """0 to 1."""
    creases: float = 0.0
    """How dark the creases of the lips are, 0 to 1."""
    seed: int = 0

    @classmethod
    def draw(cls, generator: torch.Generator, fair: bool) -> "SkinDetail":
        """From smooth to rough; freckles only on `fair` skin."""
        draw = Draw(generator)
        return cls(
            pores=draw.uniform(0.02, 0.16),
            blotches=draw.uniform(0.006, 0.035),
            freckles=draw.uniform(0.15, 0.6) if fair and draw.chance(0.2) else 0.0,
            creases=draw.uniform(0.05, 0.28),
            seed=draw.whole(1 << 30),
        )


def with_detail(
    albedo: Float[Tensor, "n 3"],
    normals: Float[Tensor, "n 3"],
    rest: Float[Tensor, "n 3"],
    cover: Float[Tensor, "n 3"],
    detail: SkinDetail,
    facial_hair: FacialHair,
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Colours and unit normals of pixels whose places on the neutral head (cm) are `rest`.

    `cover` says how much of each is skin, lip and facial hair. Pixels of anything else keep what
    they have.
    """
    skin, lip, hair = (cover[:, i, None] for i in range(3))
    fine, middle = (noise(rest / cell, detail.seed + i) for i, cell in enumerate((0.11, 0.37)))
    colour = detail.blotches * (0.6 * fine[:, 3:] + middle[:, 3:])
    albedo = albedo * (1 + skin * colour * albedo.new_tensor((0.8, 1.1, 1.2)))
    if detail.freckles:
        dots = noise(rest / _FRECKLE_SIZE, detail.seed + 4)[:, :1] + 0.5 * middle[:, :1]
        spots = step(dots, 0.8, 1.3) * detail.freckles
        spots = spots * step(-rest[:, 2:], 6.0, 8.5) * (1 - lip)
        albedo = torch.lerp(albedo, albedo * albedo.new_tensor(_FRECKLE), skin * spots)
    if detail.creases:
        chosen = (lip[:, 0] > 0).nonzero()[:, 0]
        lines = noise(rest[chosen] / rest.new_tensor((0.13, 0.9, 0.9)), detail.seed + 2)[:, 3:]
        albedo[chosen] *= 1 - detail.creases * lip[chosen] * step(lines, 0.1, 1.2)
    tilt = detail.pores * (0.7 * fine[:, :3] + 0.5 * middle[:, :3]) * skin
    normals = torch.nn.functional.normalize(normals + tilt, dim=1)
    chosen = (hair[:, 0] > 0.01).nonzero()[:, 0]
    if len(chosen):
        grown = strands(rest[chosen], hair[chosen], detail.seed + 3, facial_hair.stubble)
        colour = torch.tensor(facial_hair.colour) * (1 + 0.35 * fine[chosen, 3:])
        albedo[chosen] = torch.lerp(albedo[chosen], colour, grown)
    return albedo.clamp(0.01, 1), normals


def strands(
    rest: Float[Tensor, "n 3"], hair: Float[Tensor, "n 1"], seed: int, stubble: float
) -> Float[Tensor, "n 1"]:
    """How much of a pixel hair hides: strands that run down, or dots, where `hair` is dense."""
    cell = (0.09, 0.09, 0.09) if stubble > 0.5 else (0.08, 0.42, 0.25)
    pattern = noise(rest / rest.new_tensor(cell), seed)[:, 3:]
    grown = torch.sigmoid(3.5 * (pattern + 3.6 * hair - 1.9)) * step(hair, 0.02, 0.25)
    return grown * (0.9 - 0.5 * stubble)


def noise(places: Float[Tensor, "n 3"], seed: int) -> Float[Tensor, "n 4"]:
    """Four smooth noises over space, about unit variance at the cells' corners, one cell a unit."""
    volume = _volume(seed)
    # align_corners: -1 and 1 are the first and the last cell, which are the same noise.
    wrapped = places.remainder(_CELLS) / _CELLS * 2 - 1
    grid = wrapped[None, None, None]
    found = torch.nn.functional.grid_sample(volume, grid, align_corners=True)
    return found[0, :, 0, 0].T


@lru_cache(maxsize=8)
def _volume(seed: int) -> Float[Tensor, "1 4 c c c"]:
    generator = torch.Generator().manual_seed(seed)
    volume = torch.randn(1, 4, _CELLS, _CELLS, _CELLS, generator=generator)
    return torch.nn.functional.pad(volume, (0, 1, 0, 1, 0, 1), mode="circular")
