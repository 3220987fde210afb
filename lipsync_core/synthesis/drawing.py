"""Numbers and colours drawn at random, and how they are mixed."""

import torch
from jaxtyping import Float
from torch import Tensor

Colour = tuple[float, float, float]
"""RGB in [0, 1], as displayed."""


class Draw:
    """Random numbers of one generator, as plain floats."""

    def __init__(self, generator: torch.Generator):
        self._generator = generator

    def uniform(self, low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=self._generator))

    def chance(self, share: float) -> bool:
        """True in this share of the cases."""
        return self.uniform(0.0, 1.0) < share

    def whole(self, count: int) -> int:
        """A whole number from 0 to `count` - 1."""
        return int(torch.randint(count, (), generator=self._generator))

    def colour(self, low: float = 0.0, high: float = 1.0) -> Colour:
        return self.uniform(low, high), self.uniform(low, high), self.uniform(low, high)

    def pick(self, colours: tuple[Colour, ...]) -> Colour:
        """One of `colours`, a little changed."""
        return mixed(colours[self.whole(len(colours))], self.colour(), 0.05)


def mixed(one: Colour, other: Colour, share: float) -> Colour:
    """`share` of `other` in `one`."""
    red, green, blue = ((1 - share) * a + share * b for a, b in zip(one, other, strict=True))
    return red, green, blue


def bump(away: Float[Tensor, "*n"], width: float) -> Float[Tensor, "*n"]:
    """1 at 0, falling off within `width`."""
    return torch.exp(-((away / width) ** 2))


def step(value: Float[Tensor, "*n"], low: float, high: float) -> Float[Tensor, "*n"]:
    """0 below `low`, 1 above `high`, smooth between."""
    x = ((value - low) / (high - low)).clamp(0, 1)
    return x * x * (3 - 2 * x)
