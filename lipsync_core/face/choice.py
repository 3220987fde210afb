"""Which of several faces is meant."""

from dataclasses import dataclass

from .landmarking import Face


@dataclass(frozen=True)
class FaceChoice:
    """The largest face, unless an index or a point is given."""

    index: int | None = None
    """Counted from 0 at the picture's left."""
    point: tuple[float, float] | None = None
    """x, y in frame pixels: the nearest face is meant."""

    def __post_init__(self) -> None:
        if self.index is not None and self.point is not None:
            raise ValueError("choose a face by its index or by a point, not by both")
        if self.index is not None and self.index < 0:
            raise ValueError(f"faces are counted from 0 at the left, not from {self.index}")

    def pick(self, faces: list[Face], sure: bool = False) -> Face | None:
        """The face that is meant, None when it is not among `faces`.

        With `sure`, None also when faces that were not found yet could change the answer.
        """
        if self.index is not None:
            from_left = sorted(faces, key=lambda face: face.centre[0])
            return from_left[self.index] if self.index < len(faces) and not sure else None
        if not faces:
            return None
        if self.point is None:
            return max(faces, key=lambda face: face.size)
        x, y = self.point
        nearest = min(faces, key=lambda f: (f.centre[0] - x) ** 2 + (f.centre[1] - y) ** 2)
        reach = nearest.size / 2
        hit = abs(nearest.centre[0] - x) <= reach and abs(nearest.centre[1] - y) <= reach
        return nearest if hit or not sure else None
