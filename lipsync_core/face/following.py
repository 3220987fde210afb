"""The chosen face from one frame to the next: followed, lost, found again, never mixed up."""

import numpy as np
from jaxtyping import UInt8

from .choice import FaceChoice
from .landmarking import MIN_PRESENCE, Face, FaceLandmarker

MAX_STEP = 0.6
"""How far a face may move from one frame to the next and be the same, in its own size."""
STEP_GROWTH = 0.05
"""How much farther for each frame in which it was lost."""
FARTHEST = 1.5
"""How far away a lost face is looked for at most, in its own size: beyond, it may be another's."""
MAX_GROWTH = 1.6
"""How much larger or smaller a face may be when it is found again."""
TILE_EVERY = 5
"""A frame without the face is searched in tiles only so often: tiles are many."""
FORGOTTEN = 25
"""Frames after which a face that was alone in its shot may come back anywhere."""


class FaceFollower:
    """Frames come in order; remembers the face of the running shot."""

    def __init__(self, landmarker: FaceLandmarker, choice: FaceChoice):
        self.landmarker = landmarker
        self.choice = choice
        self.start_shot()

    def start_shot(self) -> None:
        """Forgets where the face was: in a new shot it is chosen anew."""
        self.last: Face | None = None
        self.alone = True
        self.missed = 0

    def step(self, frame: UInt8[np.ndarray, "h w 3"]) -> Face | None:
        """The chosen face in the next frame; None when it is not there."""
        if self.last is None:
            face = self._choose(frame)
        else:
            face = self._follow(frame, self.last) or self._find_again(frame, self.last)
        if face is None:
            self.missed += 1
        else:
            self.last, self.missed = face, 0
        return face

    def _choose(self, frame: UInt8[np.ndarray, "h w 3"]) -> Face | None:
        faces = self.landmarker.find(frame)
        chosen = self.choice.pick(faces, sure=True)
        if chosen is None and self.missed % TILE_EVERY == 0:
            faces = self.landmarker.find_small(frame, known=faces)
            chosen = self.choice.pick(faces)
        self.alone = len(faces) == 1
        return chosen

    def _follow(self, frame: UInt8[np.ndarray, "h w 3"], last: Face) -> Face | None:
        face = self.landmarker.follow(frame, last)
        return face if self._same(face, last) else None

    def _find_again(self, frame: UInt8[np.ndarray, "h w 3"], last: Face) -> Face | None:
        faces = self.landmarker.find(frame)
        if self.missed % TILE_EVERY == 0 and not any(self._same(face, last) for face in faces):
            x, y = last.centre
            reach = self._reach() * last.size
            near = (x - reach, y - reach, x + reach, y + reach)
            faces = self.landmarker.find_small(frame, near, known=faces)
        same = [face for face in faces if self._same(face, last)]
        if same:
            return min(same, key=lambda face: distance(face, last))
        if self.alone and self.missed >= FORGOTTEN and len(faces) == 1:
            return faces[0]
        return None

    def _reach(self) -> float:
        return min(FARTHEST, MAX_STEP + STEP_GROWTH * self.missed)

    def _same(self, face: Face, last: Face) -> bool:
        return (
            face.presence >= MIN_PRESENCE
            and distance(face, last) <= self._reach() * last.size
            and last.size / MAX_GROWTH <= face.size <= last.size * MAX_GROWTH
        )


def distance(one: Face, other: Face) -> float:
    """Between the faces' middles, in pixels."""
    return float(np.hypot(*(one.centre - other.centre)))
