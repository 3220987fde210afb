"""A picture and roughly where a face is in it -> the face's 478 landmarks.

The networks are those of MediaPipe's face_landmarker.task (Apache-2.0): BlazeFace and the
attention mesh (Grishchenko et al. 2020, arXiv 2006.10962), run by ai-edge-litert.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from ..errors import ModelError
from .detection import SUPPRESSION_OVERLAP, Box, Detection, FaceDetector, overlap
from .network import Network

INPUT_SIZE = 256
LANDMARKS = 478
REGION_SIZE = 1.5
"""Side of the square that the landmark network looks at, in sizes of the face."""
EYE_LEFT, EYE_RIGHT = 33, 263
MIN_PRESENCE = 0.5
SURE_SCORE = 0.73
"""Of the detector in a tile. Folds of clothes got up to 0.67, the same portrait at 38 to 87 pixels
0.79 and more; the landmark network sees a face in both."""


@dataclass(frozen=True)
class Region:
    """A turned square of a picture."""

    centre: tuple[float, float]
    """x, y in frame pixels."""
    size: float
    """Side in pixels."""
    angle: float
    """Radians; > 0 is clockwise on the screen."""

    def axes(self) -> Float[np.ndarray, "2 2"]:
        """Columns: the square's right and down, as unit vectors of the frame."""
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.array([[cos, -sin], [sin, cos]])


@dataclass(frozen=True)
class Face:
    """The landmarks of one face in one picture."""

    landmarks: Float[np.ndarray, "478 3"]
    """Frame pixels; z, away from the camera, in the same scale."""
    presence: float
    """How sure the network is that this is a face, 0 to 1."""

    @property
    def centre(self) -> Float[np.ndarray, " 2"]:
        """Middle of the face's bounds, x and y in frame pixels."""
        return (self.landmarks[:, :2].min(axis=0) + self.landmarks[:, :2].max(axis=0)) / 2

    @property
    def box(self) -> Box:
        """Bounds of the landmarks."""
        left, top = self.landmarks[:, :2].min(axis=0)
        right, bottom = self.landmarks[:, :2].max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    @property
    def size(self) -> float:
        """Longer side of the face's bounds in pixels."""
        return float(np.ptp(self.landmarks[:, :2], axis=0).max())


class FaceLandmarker:
    """Finds faces in single pictures and reads their landmarks."""

    def __init__(self, detector: FaceDetector, mesh: Network):
        self.detector = detector
        self.mesh = mesh

    @classmethod
    def load(cls, path: Path, threads: int = 1) -> "FaceLandmarker":
        """Reads a face_landmarker.task; ModelError when it is missing or damaged."""
        if not path.is_file():
            raise ModelError(f"no face landmarker at {path}: check the name, or run install.py")
        try:
            with zipfile.ZipFile(path) as task:
                detector = task.read("face_detector.tflite")
                mesh = task.read("face_landmarks_detector.tflite")
            return cls(FaceDetector(Network(detector, threads)), Network(mesh, threads))
        # zipfile checks the sums; the interpreter raises ValueError for what is no network.
        except (zipfile.BadZipFile, KeyError, OSError, ValueError) as error:
            raise ModelError(
                f"{path} is not a whole face_landmarker.task ({error}): it may be damaged or "
                "half downloaded; get it again"
            ) from error

    def find(self, frame: UInt8[np.ndarray, "h w 3"], known: Sequence[Face] = ()) -> list[Face]:
        """The faces that one look at the whole picture finds, without those `known` already."""
        return self._read(frame, self.detector.detect(frame), known)

    def find_small(
        self,
        frame: UInt8[np.ndarray, "h w 3"],
        near: Box | None = None,
        known: Sequence[Face] = (),
        least_score: float = 0.0,
    ) -> list[Face]:
        """What only a search in tiles finds, in the part `near` or anywhere, without the `known`
        and without what the detector gives less than `least_score`.

        A search takes up to 0.2 s for 1080p.
        """
        found = self.detector.detect_small(frame, near)
        return self._read(frame, [each for each in found if each.score >= least_score], known)

    def find_all(self, frame: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        """Every face of a picture. What looks a little like a small face counts only when there
        is nothing that looks more like one."""
        faces = self.find(frame)
        return faces + self.find_small(frame, known=faces, least_score=SURE_SCORE if faces else 0.0)

    def follow(self, frame: UInt8[np.ndarray, "h w 3"], face: Face) -> Face:
        """The landmarks of the same face in the next picture, wherever presence says so."""
        return self.landmarks(frame, region_of(face))

    def landmarks(self, frame: UInt8[np.ndarray, "h w 3"], region: Region) -> Face:
        """What the landmark network sees in `region`."""
        import cv2

        axes = region.axes()
        to_input = axes.T * (INPUT_SIZE / region.size)
        offset = INPUT_SIZE / 2 - to_input @ np.array(region.centre)
        # cv2 puts pixel centres at integers, we put them at +.5.
        offset += to_input @ np.array([0.5, 0.5]) - 0.5
        matrix = np.column_stack([to_input, offset])
        picture = cv2.warpAffine(frame, matrix, (INPUT_SIZE, INPUT_SIZE), flags=cv2.INTER_LINEAR)
        points, logit, _ = self.mesh(picture.astype(np.float32) / 255)
        points = points.reshape(LANDMARKS, 3).astype(np.float64) / INPUT_SIZE
        xy = (points[:, :2] - 0.5) * region.size @ axes.T + region.centre
        logit = float(np.clip(logit.reshape(-1)[0], -80, 80))
        presence = float(1 / (1 + np.exp(-logit)))
        return Face(np.column_stack([xy, points[:, 2] * region.size]), presence)

    def _read(
        self, frame: UInt8[np.ndarray, "h w 3"], found: list[Detection], known: Sequence[Face]
    ) -> list[Face]:
        faces: list[Face] = []
        for detection in found:
            if _is_among(detection.box, known):
                continue
            size = detection.size * REGION_SIZE
            face = self.landmarks(frame, Region(detection.centre, size, detection.angle))
            if face.presence >= MIN_PRESENCE:
                # The detector's square is rough; a second look from the landmarks' own is not.
                face = self.follow(frame, face)
            if face.presence >= MIN_PRESENCE and not _is_among(face.box, [*known, *faces]):
                faces.append(face)
        return faces


def _is_among(box: Box, faces: Sequence[Face]) -> bool:
    return any(overlap(box, face.box) > SUPPRESSION_OVERLAP for face in faces)


def region_of(face: Face) -> Region:
    """The square that the landmark network should look at to see `face` again."""
    x, y = face.landmarks[EYE_RIGHT, :2] - face.landmarks[EYE_LEFT, :2]
    angle = float(np.arctan2(y, x))
    axes = Region((0.0, 0.0), 1.0, angle).axes()
    upright = face.landmarks[:, :2] @ axes
    low, high = upright.min(axis=0), upright.max(axis=0)
    centre = axes @ ((low + high) / 2)
    return Region(
        (float(centre[0]), float(centre[1])), REGION_SIZE * float((high - low).max()), angle
    )
