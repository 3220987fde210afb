"""Is a style recognised among others by the lips that were spoken in it?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Bool, Float
from torch import Tensor, nn

from ..landmarks import LIPS
from ..training.motion_clips import lip_error

CANDIDATES = 20
"""Styles that an output is told from, its own among them."""


@dataclass(frozen=True)
class StyledLips:
    """One speaker's unstyled lips, and each of s styles put on them."""

    plain: Float[Tensor, "t points 3"]
    styled: Float[Tensor, "s t points 3"]
    valid: Bool[Tensor, " t"]

    @cached_property
    def changes(self) -> Float[Tensor, "s coordinates"]:
        """What each style changes of the lips, of length 1 unless it is nothing."""
        return self._changes(self.styled)

    def rivals(self, own: int, order: Sequence[int], alike: float | None = None) -> list[int]:
        """The first styles of `order` that `own` is told from. With `alike`, none that changes the
        lips in the same manner (a cosine of the changes from `alike` on), and nothing for a style
        that changes nothing, as one of a sound that is not heard."""
        others = [i for i in order if i != own]
        if alike is not None:
            if not self.changes[own].any():
                return []
            like = self.changes @ self.changes[own]
            others = [i for i in others if like[i] < alike]
        return others[: CANDIDATES - 1]

    def retrieved(
        self, output: Float[Tensor, "t points 3"], own: int, rivals: Sequence[int]
    ) -> dict[str, float]:
        """Whether `own` is found by the change of the lips that the output shows ("retrieved"), and
        as the style whose lips are nearest by lip error ("nearest"); nan without rivals.

        The change is compared by its cosine: by size, timid styles, which are near to no change at
        all, would be found everywhere.
        """
        if not rivals:
            return {"retrieved": math.nan, "nearest": math.nan}
        candidates = self.styled[[own, *rivals]]
        like = self.changes[[own, *rivals]] @ self._changes(output[None])[0]
        error = lip_error(output.expand_as(candidates), candidates)[:, self.valid].mean(dim=1)
        return {
            "retrieved": float((like[0] > like[1:]).all()),
            "nearest": float((error[0] < error[1:]).all()),
        }

    def _changes(self, lips: Float[Tensor, "n t points 3"]) -> Float[Tensor, "n coordinates"]:
        changed = (lips - self.plain)[:, self.valid][:, :, : len(LIPS)]
        return nn.functional.normalize(changed.flatten(1), dim=1)
