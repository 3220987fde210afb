"""Fits a clip to the length of new speech: cut, or extended in one of three ways."""

from collections.abc import Iterator
from fractions import Fraction
from math import isfinite
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from ..types import Audio, Clip

FitPolicy = Literal["cut", "freeze", "ping-pong", "loop"]
"""What happens when the speech is longer than the video; a longer video is always cut.

cut: the result ends with the video. freeze: the last frame stays. ping-pong: the video runs
backwards and forwards in turns, no end frame twice in a row. loop: it begins again.
"""


def fit_clip(clip: Clip, duration: float, policy: FitPolicy) -> Clip:
    """A lazy view of `clip` that lasts `duration` seconds, rounded to whole frames, at least one.

    With "cut" it may be shorter. The view carries no sound: the speech takes its place.
    """
    if policy not in get_args(FitPolicy):
        raise ValueError(f"policy is {policy!a:.99}; it must be one of {get_args(FitPolicy)}")
    if not isfinite(duration) or duration < 0:
        raise ValueError(f"duration is {duration}; it must be a number of seconds")
    return FittedClip(clip, max(1, round(Fraction(duration) * clip.fps)), policy)


class FittedClip(Clip):
    """Frame i shows frame `source_frame(i)` of another clip."""

    def __init__(self, clip: Clip, frame_count: int, policy: FitPolicy):
        self._clip = clip
        self._policy = policy
        self.fps, self.height, self.width = clip.fps, clip.height, clip.width
        self.coding = clip.coding
        self.frame_count = min(frame_count, clip.frame_count) if policy == "cut" else frame_count

    def source_frame(self, index: int) -> int:
        """Which frame of the clip underneath is seen."""
        last = self._clip.frame_count - 1
        if self._policy == "loop":
            return index % (last + 1)
        if self._policy == "ping-pong" and last > 0:
            return last - abs(last - index % (2 * last))
        return min(index, last)

    def frames(self, start: int, stop: int) -> Float[Tensor, "t h w 3"]:
        """Reads each run of frames once and forwards, whichever way it is seen."""
        if not 0 <= start <= stop <= self.frame_count:
            raise ValueError(f"frames {start} to {stop} of a clip of {self.frame_count}")
        if start == stop:
            return self._clip.frames(0, 0)
        indices = [self.source_frame(index) for index in range(start, stop)]
        return torch.cat([self._run(first, last, times) for first, last, times in _runs(indices)])

    def _run(self, first: int, last: int, times: int) -> Float[Tensor, "t h w 3"]:
        frames = self._clip.frames(min(first, last), max(first, last) + 1)
        if times > 1:
            return frames.expand(times, -1, -1, -1)
        return frames.flip(0) if last < first else frames

    def audio(self) -> Audio | None:
        """None: the speech that the clip was fitted to takes the place of its own sound."""
        return None


def _runs(indices: list[int]) -> Iterator[tuple[int, int, int]]:
    """Splits indices into runs (first, last, times): by +1, by -1, or one index repeated."""
    start = 0
    while start < len(indices):
        stop = start + 1
        step = indices[stop] - indices[start] if stop < len(indices) else 0
        if step in (-1, 0, 1):
            while stop < len(indices) and indices[stop] - indices[stop - 1] == step:
                stop += 1
        yield indices[start], indices[stop - 1], 1 if step else stop - start
        start = stop
