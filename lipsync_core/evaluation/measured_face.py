"""A face as every measure sees it: landmarks of a clip without head pose, 25 Hz, eye distances."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from ..face.choice import FaceChoice
from ..face.landmarking import FaceLandmarker
from ..face.tracking import LARGEST, track_face
from ..landmarks import INNER_LEFT, INNER_LOWER, INNER_RIGHT, INNER_UPPER, LIPS, MOVING, tracked
from ..motion.measuring import canonical_motion
from ..types import Clip, FaceTrack, OnProgress

_UPPER, _LOWER = MOVING.index(INNER_UPPER), MOVING.index(INNER_LOWER)
_LEFT, _RIGHT = MOVING.index(INNER_LEFT), MOVING.index(INNER_RIGHT)


@dataclass(frozen=True)
class MeasuredFace:
    """One face of one clip. Two clips of a person are compared by their absolute points, so that
    an error in either's neutral shape plays no part."""

    track: FaceTrack
    points: Float[Tensor, "t points 3"]
    """MOVING landmarks in the canonical face, eye distances, at 25 Hz: neutral and displacement."""
    valid: Bool[Tensor, " t"]

    @property
    def lips(self) -> Float[Tensor, "t 40 3"]:
        """The lip points alone."""
        return self.points[:, : len(LIPS)]

    @property
    def neutral(self) -> Float[Tensor, "points 3"]:
        """The clip's own estimate of the person's rest."""
        return self.track.neutral[tracked(MOVING)].to(self.points)

    @property
    def opening(self) -> Float[Tensor, " t"]:
        """Distance of the inner lips' midpoints, eye distances."""
        return (self.points[:, _UPPER] - self.points[:, _LOWER]).norm(dim=-1)

    @property
    def width(self) -> Float[Tensor, " t"]:
        """Distance of the inner mouth corners, eye distances."""
        return (self.points[:, _LEFT] - self.points[:, _RIGHT]).norm(dim=-1)


def measure_face(
    landmarker: FaceLandmarker,
    clip: Clip,
    choice: FaceChoice = LARGEST,
    on_progress: OnProgress | None = None,
) -> MeasuredFace:
    """Tracks `clip` with the pack's own landmarker; NoFaceError when it shows no face."""
    return measured(track_face(landmarker, clip, choice, on_progress=on_progress))


def measured(track: FaceTrack) -> MeasuredFace:
    """The same from a track that is there."""
    displacement, valid = canonical_motion(track)
    neutral = track.neutral[tracked(MOVING)].to(displacement)
    return MeasuredFace(track, displacement + neutral, valid)
