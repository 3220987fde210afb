"""A part of any clip, as a clip."""

from fractions import Fraction
from math import isfinite

from jaxtyping import Float
from torch import Tensor

from ..types import Audio, Clip, Sound


def trim_clip(clip: Clip, start: float, duration: float | None = None) -> Clip:
    """A lazy view of `clip` from `start` seconds, for `duration` (to the end if None).

    Both are rounded to whole frames; at least one is left. ValueError for a start outside.
    """
    if not isfinite(start) or not isfinite(duration or 0.0):
        raise ValueError(f"start is {start}, duration {duration}: give seconds")
    first = round(Fraction(start) * clip.fps)
    if not 0 <= first < clip.frame_count:
        raise ValueError(f"start is {start} s; the clip lasts {clip.duration:.2f} s")
    rest = clip.frame_count - first
    wanted = rest if duration is None else max(1, round(Fraction(duration) * clip.fps))
    return TrimmedClip(clip, first, min(rest, wanted))


class TrimmedClip(Clip):
    """The frames first <= i < first + frame_count of another clip."""

    def __init__(self, clip: Clip, first: int, frame_count: int):
        self._clip = clip
        self._first = first
        self.fps, self.height, self.width = clip.fps, clip.height, clip.width
        self.coding = clip.coding
        self.frame_count = frame_count

    def frames(self, start: int, stop: int) -> Float[Tensor, "t h w 3"]:
        if not 0 <= start <= stop <= self.frame_count:
            raise ValueError(f"frames {start} to {stop} of a clip of {self.frame_count}")
        return self._clip.frames(self._first + start, self._first + stop)

    def audio(self) -> Audio | None:
        """The sound heard with these frames."""
        sound = self.sound()
        return None if sound is None else sound.read()

    def sound(self) -> Sound | None:
        whole = self._clip.sound()
        if whole is None:
            return None
        begin = round(self._first / self.fps * whole.sample_rate)
        count = round(self.frame_count / self.fps * whole.sample_rate)
        return whole.samples(begin, begin + count)
