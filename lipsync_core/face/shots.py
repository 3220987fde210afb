"""Where one shot ends and the next begins, seen from small pictures of consecutive frames."""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
from jaxtyping import Float, UInt8

THUMBNAIL = (32, 18)
"""Width and height of the small pictures that are compared."""
MIN_CHANGE = 0.06
"""Mean change of a thumbnail's pixel, of full range, that may be a cut."""
MIN_RATIO = 3.0
"""A cut changes so many times more than the frames before it: a camera that pans does not."""
MEMORY = 10
"""Frames whose median change is what a shot's own movement amounts to."""


Thumbnail = Float[np.ndarray, "18 32 3"]


def thumbnail(frame: UInt8[np.ndarray, "h w 3"]) -> Thumbnail:
    """The frame, very small, in [0, 1]."""
    import cv2

    return cv2.resize(frame, THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32) / 255


class CutDetector:
    """Compares each frame with its neighbours; frames come in order."""

    def __init__(self) -> None:
        self.changes: deque[float] = deque(maxlen=MEMORY)

    def watch(
        self, frames: Iterable[UInt8[np.ndarray, "h w 3"]]
    ) -> Iterator[tuple[UInt8[np.ndarray, "h w 3"], bool]]:
        """Each frame, one frame late, and whether it opens a new shot. The first opens none."""
        before, now = None, None
        for frame in frames:
            after = frame, thumbnail(frame)
            if now is not None:
                yield now[0], self._is_cut(before, now[1], after[1])
                before = now[1]
            now = after
        if now is not None:
            yield now[0], self._is_cut(before, now[1], None)

    def _is_cut(self, before: Thumbnail | None, now: Thumbnail, after: Thumbnail | None) -> bool:
        if before is None:
            return False
        change = difference(before, now)
        usual = float(np.median(self.changes)) if self.changes else 0.0
        cut = change > max(MIN_CHANGE, MIN_RATIO * usual)
        if cut and after is not None:
            # A flash goes away again.
            cut = difference(before, after) > 0.5 * change
        if cut:
            self.changes.clear()
        else:
            self.changes.append(change)
        return cut


def difference(one: Thumbnail, other: Thumbnail) -> float:
    """Mean change of a pixel, of full range."""
    return float(np.abs(one - other).mean())
