"""Where one shot ends and the next begins, seen from how much consecutive frames differ.

A cut is a change that stands alone: much larger than those a few frames before and after it. Heads
and cameras that move fast change many frames in a row, a flash changes two. At 50 cuts between
clips of equal framing, same speaker and studio included, the ratio was 5.8 and more; within three
minutes of moving, compressed and frame-doubled clips it stayed below 3.6.
"""

from collections import deque
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

MIN_CHANGE = 0.012
"""Mean change of a pixel, of full range, that may be a cut."""
MIN_RATIO = 4.5
"""How much larger a cut is than any change within NEIGHBOURS frames of it."""
NEIGHBOURS = 3
MIN_JUMP = 0.3
"""Eye distances that a face moves in one frame that may be a cut the pictures did not give away, at
the end of a dissolve for instance; also stands alone, by the same MIN_RATIO."""
LEAST_CHANGE = 1e-3
"""Changes below this are noise; still pictures have none."""

Frame = UInt8[np.ndarray, "h w 3"]
Thumbnail = Float[np.ndarray, "18 32 3"]


def thumbnail(frame: Frame) -> Thumbnail:
    """The frame, very small, in [0, 1]."""
    import cv2

    # Every k-th pixel of large frames is enough to see cuts by, and much faster.
    step = max(1, min(frame.shape[:2]) // 90)
    small = cv2.resize(frame[::step, ::step], (32, 18), interpolation=cv2.INTER_AREA)
    return small.astype(np.float32) / 255


def mark_cuts(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Each frame, and whether it opens a new shot; the first one does not.

    Runs NEIGHBOURS frames ahead of what it yields.
    """
    # changes[i] is the change into waiting[i]; the frames before those are only known by theirs.
    waiting: deque[Frame] = deque()
    changes: deque[float] = deque()
    earlier: deque[float] = deque(maxlen=NEIGHBOURS)
    before = None
    for frame in frames:
        now = thumbnail(frame)
        changes.append(0.0 if before is None else float(np.abs(now - before).mean()))
        waiting.append(frame)
        before = now
        if len(waiting) > NEIGHBOURS:
            yield waiting.popleft(), _next_is_cut(changes, earlier)
    while waiting:
        yield waiting.popleft(), _next_is_cut(changes, earlier)


def _next_is_cut(changes: deque[float], earlier: deque[float]) -> bool:
    change = changes.popleft()
    usual = max([LEAST_CHANGE, *earlier, *list(changes)[:NEIGHBOURS]])
    earlier.append(change)
    return change > max(MIN_CHANGE, MIN_RATIO * usual)


def face_jumps(
    points: Float[Tensor, "t k 2"], unit: Float[Tensor, " t"], found: Bool[Tensor, " t"]
) -> list[int]:
    """Frames into which the face jumps from where it was seen last; `unit` is the eye distance.

    After a gap a jump is judged by its mean speed: where the face was meanwhile is not known.
    """
    seen = found.nonzero()[:, 0]
    moved = (points[seen[1:]] - points[seen[:-1]]).square().sum(dim=-1).mean(dim=1).sqrt()
    speed = moved / unit[seen[:-1]] / (seen[1:] - seen[:-1])
    shifts = [offset for offset in range(-NEIGHBOURS, NEIGHBOURS + 1) if offset]
    padded = torch.nn.functional.pad(speed, (NEIGHBOURS, NEIGHBOURS))
    around = [padded[NEIGHBOURS + shift :][: len(speed)] for shift in shifts]
    usual = torch.stack(around).amax(dim=0).clamp_min(LEAST_CHANGE)
    jumps = (speed > MIN_JUMP) & (speed > MIN_RATIO * usual)
    return seen[1:][jumps].tolist()
