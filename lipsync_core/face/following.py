"""The chosen face from one frame to the next: followed, lost, found again, never mixed up.

The faces around it are followed too, so that a lost face is not "found again" on a neighbour.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from .choice import FaceChoice
from .detection import SUPPRESSION_OVERLAP, overlap
from .landmarking import MIN_PRESENCE, Face, FaceLandmarker

MAX_STEP = 0.6
"""How far a face may move from one frame to the next and be the same, in its own size."""
STEP_GROWTH = 0.1
"""How much farther for each frame in which it was lost."""
FARTHEST = 2.5
"""How far away a lost face is looked for at most, in its own size."""
MAX_GROWTH = 1.6
"""How much larger or smaller a face may be when it is found again."""
FORGOTTEN = 25
"""Frames after which a lost face may come back anywhere in its shot."""
LOOK_EVERY = 12
"""Frames after which the picture is searched for people who came in."""
TILE_EVERY = 5
"""A picture without the face is searched in tiles only so often: tiles are many."""
MOST_OTHERS = 3
"""Neighbours of the face that are followed."""


@dataclass
class Person:
    """Somebody in the running shot."""

    last: Face
    """Where the face was last seen."""
    missed: int = 0
    """Frames since then."""

    @property
    def reach(self) -> float:
        """How far from its last place the face may be by now, in pixels."""
        return min(FARTHEST, MAX_STEP + STEP_GROWTH * self.missed) * self.last.size

    def may_be(self, face: Face) -> bool:
        """Whether `face` is near and large enough to be this person's."""
        growth = face.size / self.last.size
        return distance(face, self.last) <= self.reach and 1 / MAX_GROWTH <= growth <= MAX_GROWTH


class FaceFollower:
    """Frames come in order; remembers the people of the running shot."""

    def __init__(self, landmarker: FaceLandmarker, choice: FaceChoice):
        self.landmarker = landmarker
        self.choice = choice
        self.most_faces = 0
        """So many were seen at once, at most, while one was to be chosen."""
        self.start_shot()

    def start_shot(self) -> None:
        """Forgets who was where: in a new shot the face is chosen anew."""
        self.chosen: Person | None = None
        self.others: list[Person] = []
        self.frames = 0

    def step(self, frame: UInt8[np.ndarray, "h w 3"]) -> Face | None:
        """The chosen face in the next frame; None when it is not there."""
        if self.chosen is None:
            self.chosen = self._choose(frame)
        else:
            self._follow(frame, self.chosen)
        self.frames += 1
        return self.chosen.last if self.chosen and not self.chosen.missed else None

    def _choose(self, frame: UInt8[np.ndarray, "h w 3"]) -> Person | None:
        faces = self.landmarker.find(frame)
        face = self.choice.pick(faces, sure=True)
        if face is None and self.frames % TILE_EVERY == 0:
            faces = self.landmarker.find_all(frame)
            face = self.choice.pick(faces)
        self.most_faces = max(self.most_faces, len(faces))
        if face is None:
            return None
        self._meet([other for other in faces if other is not face], face)
        return Person(face)

    def _follow(self, frame: UInt8[np.ndarray, "h w 3"], chosen: Person) -> None:
        people = [chosen, *self.others]
        seen = self._settled([self._next(frame, person) for person in people], people)
        unknown: list[Face] = []
        if seen[0] is None or self.frames % LOOK_EVERY == 0:
            claimed = [face for face in seen if face]
            unknown = self.landmarker.find(frame, claimed)
            if seen[0] is None and chosen.missed % TILE_EVERY == 0:
                x, y = chosen.last.centre
                near = (x - chosen.reach, y - chosen.reach, x + chosen.reach, y + chosen.reach)
                unknown += self.landmarker.find_small(frame, near, [*claimed, *unknown])
            seen, unknown = self._recognised(seen, people, unknown)
            if seen[0] is None and chosen.missed >= FORGOTTEN and unknown:
                seen[0] = min(unknown, key=lambda face: distance(face, chosen.last))
        for person, face in zip(people, seen, strict=True):
            person.missed = person.missed + 1 if face is None else 0
            person.last = person.last if face is None else face
        if seen[0] is not None:
            self._meet([face for face in unknown if face is not seen[0]], seen[0])

    def _next(self, frame: UInt8[np.ndarray, "h w 3"], person: Person) -> Face | None:
        face = self.landmarker.follow(frame, person.last)
        return face if face.presence >= MIN_PRESENCE and person.may_be(face) else None

    def _settled(self, seen: list[Face | None], people: list[Person]) -> list[Face | None]:
        """Where two people were followed to one face, it is whose last place is nearer."""
        settled = list(seen)
        for i, one in enumerate(seen):
            for j, other in enumerate(seen[:i]):
                if one and other and overlap(one.box, other.box) > SUPPRESSION_OVERLAP:
                    nearer = distance(one, people[i].last) < distance(other, people[j].last)
                    settled[j if nearer else i] = None
        return settled

    def _recognised(
        self, seen: list[Face | None], people: list[Person], unknown: list[Face]
    ) -> tuple[list[Face | None], list[Face]]:
        """Gives found faces to the lost people whose last places are nearest."""
        recognised = list(seen)
        pairs = [
            (distance(face, person.last), i, j)
            for i, person in enumerate(people)
            for j, face in enumerate(unknown)
            if seen[i] is None and person.may_be(face)
        ]
        given = set()
        for _, i, j in sorted(pairs):
            if recognised[i] is None and j not in given:
                recognised[i] = unknown[j]
                given.add(j)
        return recognised, [face for j, face in enumerate(unknown) if j not in given]

    def _meet(self, faces: list[Face], chosen: Face) -> None:
        """Remembers people who came in; the far ones and the long gone are forgotten."""
        self.others = [person for person in self.others if person.missed < FORGOTTEN]
        self.others += [Person(face) for face in faces]
        self.others.sort(key=lambda person: distance(person.last, chosen))
        del self.others[MOST_OTHERS:]


def distance(one: Face, other: Face) -> float:
    """Between the faces' middles, in pixels."""
    return float(np.hypot(*(one.centre - other.centre)))
