"""Faces that somebody else has found, followed as those that we find ourselves.

The form is that of FACE_LANDMARKS in ComfyUI 0.23 and newer (comfy_extras/nodes_mediapipe.py):

    {"frames": [[face, ...], ...], "image_size": (height, width), ...}
    face: {"landmarks_xy": [478, 2] in frame pixels, "landmarks_3d": [478, 3] in pixels of the
           landmark network's own turned picture, "presence": logit, ...}
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from ..errors import NoFaceError
from ..types import Clip
from .choice import FaceChoice
from .following import Person, distance
from .landmarking import LANDMARKS, MIN_PRESENCE, Face


class GivenFaces:
    """The faces of every frame, asked for frame by frame in order; a `Follower` of one of them."""

    def __init__(self, frames: Sequence[Sequence[Face]], choice: FaceChoice):
        self.frames = frames
        self.choice = choice
        self.most_faces = max((len(faces) for faces in frames), default=0)
        self._next = 0
        self.start_shot()

    def start_shot(self) -> None:
        """The face is chosen anew."""
        self._chosen: Person | None = None

    def step(self, frame: UInt8[np.ndarray, "h w 3"]) -> Face | None:
        """The chosen face in the next frame: the nearest that can be the same; None if there is
        none. The picture itself is not looked at."""
        faces = list(self.frames[self._next])
        self._next += 1
        if self._chosen is None:
            face = self.choice.pick(faces)
            self._chosen = None if face is None else Person(face)
            return face
        person = self._chosen
        near = [face for face in faces if person.may_be(face)]
        face = min(near, key=lambda face: distance(face, person.last), default=None)
        person.missed = person.missed + 1 if face is None else 0
        person.last = person.last if face is None else face
        return face


def read_given_faces(given: Any, clip: Clip) -> list[list[Face]]:
    """FACE_LANDMARKS of every frame of `clip`; faces that their finder is not sure of are left out.

    Raises NoFaceError when they are of another form, or of another video than `clip`.
    """
    try:
        frames, (height, width) = given["frames"], given["image_size"]
        faces = [[_face(face) for face in each] for each in frames]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise NoFaceError(
            f"the face landmarks have another form than those of MediaPipe Face Landmarker "
            f"({type(error).__name__}: {error}): connect its output, or leave the input empty"
        ) from error
    if (len(faces), height, width) != (clip.frame_count, clip.height, clip.width):
        raise NoFaceError(
            f"the face landmarks are of {len(faces)} frames of {width} x {height}, the video has "
            f"{clip.frame_count} of {clip.width} x {clip.height}: find them in the very frames of "
            "this video, with Get Video Components"
        )
    return [[face for face in each if face.presence >= MIN_PRESENCE] for each in faces]


def _face(given: Mapping[str, Any]) -> Face:
    flat = np.asarray(given["landmarks_xy"], dtype=np.float64)
    deep = np.asarray(given["landmarks_3d"], dtype=np.float64)
    if flat.shape != (LANDMARKS, 2) or deep.shape != (LANDMARKS, 3):
        raise ValueError(f"landmarks of shapes {flat.shape} and {deep.shape}")
    if not (np.isfinite(flat).all() and np.isfinite(deep).all()):
        raise ValueError("landmarks that are not finite")
    depth = deep[:, 2] * (_spread(flat) / _spread(deep[:, :2]))
    logit = np.clip(float(given["presence"]), -80, 80)
    return Face(np.column_stack([flat, depth]), float(1 / (1 + np.exp(-logit))))


def _spread(points: Float[np.ndarray, "k 2"]) -> float:
    """Root mean square distance from their middle: tells how much larger one picture of the same
    points is than another, however it is turned."""
    spread = float(np.sqrt(np.square(points - points.mean(axis=0)).sum(axis=1).mean()))
    if spread == 0:
        raise ValueError("landmarks that all lie in one place")
    return spread
