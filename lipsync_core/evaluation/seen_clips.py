"""The beginnings of files as the renderer needs them: the face, and how its lips truly move."""

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from ..face.tracking import track_face
from ..media.chaining import chain_clips
from ..media.file_clip import open_clip
from ..motion.measuring import measure_lip_motion
from ..pipeline import Models
from ..render.motion_windows import motion_windows
from ..types import Clip, FaceTrack, LipMotion

LONGEST = 6.0
"""Seconds of each file that are tracked, from its start."""


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


def see(models: Models, *paths: Path) -> SeenClip:
    """The first LONGEST seconds of each file, one after another, with their largest face, by the
    predictor's basis; MediaError, NoFaceError."""
    pictures = chain_clips([open_clip(path, 0.0, LONGEST) for path in paths])
    size = models.renderer.config.crop_size
    track = track_face(models.landmarker, pictures, crop_size=size)
    name = ", ".join(path.stem for path in paths)
    return SeenClip(name, pictures, track, measure_lip_motion(track, models.predictor.basis))
