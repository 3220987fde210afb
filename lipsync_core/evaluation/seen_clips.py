"""The beginning of a file as the renderer needs it: its face, and how the lips truly move."""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from ..face.tracking import track_face
from ..media.file_clip import open_clip
from ..motion.measuring import measure_lip_motion
from ..pipeline import Models
from ..render.motion_windows import motion_windows
from ..types import Clip, FaceTrack, LipMotion

LONGEST = 6.0
"""Seconds of a file that are tracked, from its start."""


@dataclass(frozen=True)
class SeenClip:
    """Pictures with the face in them and how its lips move."""

    name: str
    pictures: Clip
    track: FaceTrack
    """Of crops of the renderer's size."""
    motion: LipMotion

    def frame_motion(self) -> Float[Tensor, "t m"]:
        """The coefficients at the time of every frame."""
        return motion_windows(self.motion.coefficients.float(), self.pictures.times(), 1)[:, 0]


def see(models: Models, path: Path) -> SeenClip:
    """The first LONGEST seconds of a file with their largest face, by the predictor's basis;
    MediaError, NoFaceError."""
    pictures = open_clip(path, 0.0, LONGEST)
    size = models.renderer.config.crop_size
    track = track_face(models.landmarker, pictures, crop_size=size)
    return SeenClip(path.stem, pictures, track, measure_lip_motion(track, models.predictor.basis))
