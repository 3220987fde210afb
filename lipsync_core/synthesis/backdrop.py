"""What is behind a head: a wall, a gradient, or things out of focus."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from .drawing import Colour, Draw

_THINGS = 14
_BLUR = 0.5
"""Softness of the edge of a thing wholly out of focus, as a part of the picture's side."""


@dataclass(frozen=True)
class Backdrop:
    """Two colours that run into each other, and things before them."""

    colours: tuple[Colour, Colour] = ((0.55, 0.58, 0.60), (0.35, 0.38, 0.42))
    things: int = 0
    """How many boxes and balls stand there."""
    focus: float = 0.5
    """0: they are a blur; 1: their edges are sharp."""
    texture: float = 0.0
    """Of the wall: standard deviation of its fine grain."""
    seed: int = 0

    @classmethod
    def draw(cls, generator: torch.Generator, colours: tuple[Colour, Colour]) -> "Backdrop":
        draw = Draw(generator)
        return cls(
            colours=colours,
            things=draw.whole(_THINGS) if draw.chance(0.7) else 0,
            focus=draw.uniform(0.0, 1.0),
            texture=draw.uniform(0.0, 0.04) if draw.chance(0.5) else 0.0,
            seed=draw.whole(1 << 30),
        )


@lru_cache(maxsize=2)
def backdrop_picture(backdrop: Backdrop, size: int) -> Float[Tensor, "size size 3"]:
    """The backdrop alone, the same at every size but for its finest grain.

    It is remembered from one frame to the next: do not write into it.
    """
    generator = torch.Generator().manual_seed(backdrop.seed)
    blots = torch.rand(1, 1, 5, 5, generator=generator)
    share = torch.nn.functional.interpolate(
        blots, size=(size, size), mode="bicubic", align_corners=True
    )[0, 0]
    slope = torch.linspace(0, 1, size)
    share = (0.5 * share + 0.5 * slope[:, None]).clamp(0, 1)[..., None]
    one, other = torch.tensor(backdrop.colours)
    picture = one + share * (other - one)
    soft = 0.01 + _BLUR * (1 - backdrop.focus) ** 2 / 2
    for _ in range(backdrop.things):
        x, y, width, height = torch.rand(4, generator=generator).tolist()
        colour = torch.rand(3, generator=generator) * torch.rand((), generator=generator)
        across = (slope - x).abs() / (0.02 + 0.3 * width**2)
        down = (slope - y).abs() / (0.05 + 0.6 * height**2)
        if torch.rand((), generator=generator) < 0.5:
            away = torch.maximum(across[None, :], down[:, None])
        else:
            away = (across[None, :] ** 2 + down[:, None] ** 2).sqrt()
        seen = torch.sigmoid((1 - away) / soft)[..., None]
        picture = picture + 0.85 * seen * (colour - picture)
    grain = torch.randn(size // 2, size // 2, 1, generator=generator)
    grain = grain.repeat_interleave(2, dim=0).repeat_interleave(2, dim=1)
    rows, columns = grain.shape[:2]
    picture[:rows, :columns] += backdrop.texture * grain
    return picture.clamp(0, 1)
