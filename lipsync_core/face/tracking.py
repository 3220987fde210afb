"""track_face(): one face through a whole clip, with a steady way into its crop.

frames -> cuts -> the chosen face's landmarks, frame by frame -> visible or not
       -> bridged inside shots -> brow, eye-corner and nose points smoothed -> frame_to_crop
"""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from ..canonical_pose import canonicalise
from ..errors import NoFaceError
from ..landmarks import LIPS, STABLE, TRACKED, tracked
from ..types import Clip, FaceTrack, OnProgress
from .alignment import fit_frame_to_crop
from .choice import FaceChoice
from .following import FaceFollower
from .landmarking import EYE_LEFT, EYE_RIGHT, Face, FaceLandmarker
from .neutral import neutral_shape
from .shots import face_jumps, mark_cuts
from .smoothing import bridge, steady

MAX_YAW, BACK_YAW = 50.0, 45.0
"""Degrees as they are read: up to 5 more than a head of ICT-FaceKit is turned by, at 45. Beyond the
first the far half of the mouth is guessed, and the face counts as turned away until it is back
within the second: a head that rests between them does not flicker."""
MIN_INSIDE = 0.8
"""Part of the landmarks that must lie inside the frame, beside all of the lips."""
CHUNK_BYTES = 32 * 2**20
"""Of frames that are read at once."""
_PART = 1024

LARGEST = FaceChoice()


@runtime_checkable
class Follower(Protocol):
    """Sees frames in their order and says where the chosen face is."""

    choice: FaceChoice
    most_faces: int
    """So many were seen at once, at most, while one was to be chosen."""

    def start_shot(self) -> None:
        """A cut: the face is chosen anew in the next frame."""

    def step(self, frame: UInt8[np.ndarray, "h w 3"]) -> Face | None:
        """The chosen face in the next frame; None when it is not there."""


def track_face(
    landmarker: FaceLandmarker,
    clip: Clip,
    choice: FaceChoice = LARGEST,
    crop_size: int = 256,
    on_progress: OnProgress | None = None,
) -> FaceTrack:
    """Where the chosen face is in every frame of `clip`, read once from start to end.

    Of the pictures nothing is kept. A face in profile, partly outside the frame or covered counts
    as not visible. NoFaceError when the clip shows no usable face.
    """
    return track_with(FaceFollower(landmarker, choice), clip, crop_size, on_progress)


def track_with(
    follower: Follower, clip: Clip, crop_size: int = 256, on_progress: OnProgress | None = None
) -> FaceTrack:
    """`track_face`, whoever follows the face from frame to frame."""
    landmarks, found, cuts = _follow(follower, clip, on_progress)
    if not found.any():
        raise NoFaceError(_why_none(clip, follower.choice, follower.most_faces))
    visible = found & _inside(landmarks, clip.height, clip.width)
    visible &= ~_turned_away(landmarks, found, cuts)
    if not visible.any():
        raise NoFaceError(
            f"a face was found in {int(found.sum())} of {clip.frame_count} frames, but in profile "
            "or partly outside the frame in all: give a clip that shows it from the front"
        )
    jumps = face_jumps(landmarks[:, tracked(STABLE), :2], _eye_distance(landmarks), visible)
    cuts = tuple(sorted({*cuts, *jumps}))
    landmarks = bridge(landmarks, visible, cuts)
    stable = landmarks[:, tracked(STABLE), :2]
    stable = steady(stable, _eye_distance(landmarks), float(clip.fps), cuts)
    return FaceTrack(
        landmarks=landmarks,
        frame_to_crop=fit_frame_to_crop(stable, crop_size),
        visible=visible,
        cuts=cuts,
        neutral=neutral_shape(landmarks, visible),
        crop_size=crop_size,
        fps=clip.fps,
    )


def _why_none(clip: Clip, choice: FaceChoice, most_faces: int) -> str:
    frames = f"{clip.frame_count} frames of {clip.width} x {clip.height}"
    if not most_faces:
        return (
            f"no face in any of the {frames}: give a clip in which the face is seen, at least 60 "
            "pixels wide"
        )
    return (
        f"no face number {choice.index} in any of the {frames}: counted from the left they go from "
        f"0 to {most_faces - 1}; choose another face"
    )


def _follow(
    follower: Follower,
    clip: Clip,
    on_progress: OnProgress | None,
) -> tuple[Float[Tensor, "t k 3"], Bool[Tensor, " t"], tuple[int, ...]]:
    """Landmarks of every frame, in which of them they were found, and the cuts."""
    landmarks = torch.zeros(clip.frame_count, len(TRACKED), 3)
    found = torch.zeros(clip.frame_count, dtype=torch.bool)
    cuts = []
    for index, (frame, is_cut) in enumerate(mark_cuts(_frames(clip))):
        if is_cut:
            cuts.append(index)
            follower.start_shot()
        if face := follower.step(frame):
            landmarks[index] = torch.from_numpy(face.landmarks[list(TRACKED)])
            found[index] = True
        if on_progress is not None:
            on_progress(index + 1, clip.frame_count)
    return landmarks, found, tuple(cuts)


def _frames(clip: Clip) -> Iterator[UInt8[np.ndarray, "h w 3"]]:
    """The clip's frames one by one, read in chunks of bounded size."""
    import cv2

    chunk = max(1, CHUNK_BYTES // (clip.height * clip.width * 3 * 4))
    for start in range(0, clip.frame_count, chunk):
        frames = clip.frames(start, min(start + chunk, clip.frame_count))
        for frame in frames.cpu().numpy():
            yield cv2.convertScaleAbs(frame, alpha=255)


def _eye_distance(landmarks: Float[Tensor, "t k 3"]) -> Float[Tensor, " t"]:
    left, right = tracked((EYE_LEFT, EYE_RIGHT))
    return (landmarks[:, left] - landmarks[:, right]).norm(dim=-1)


def _inside(landmarks: Float[Tensor, "t k 3"], height: int, width: int) -> Bool[Tensor, " t"]:
    """Whether enough of the face is inside the frame to be re-made."""
    size = landmarks.new_tensor((width, height))
    inside = ((landmarks[..., :2] >= 0) & (landmarks[..., :2] <= size)).all(dim=-1)
    whole_mouth = inside[:, tracked(LIPS)].all(dim=1)
    return whole_mouth & (inside.float().mean(dim=1) >= MIN_INSIDE)


def _turned_away(
    landmarks: Float[Tensor, "t k 3"], found: Bool[Tensor, " t"], cuts: tuple[int, ...]
) -> Bool[Tensor, " t"]:
    """Where the face is turned from the camera too far to be re-made; of no meaning where it was
    not found."""
    parts = landmarks.split(_PART)  # float64 for some frames at a time
    yaw = torch.cat([canonicalise(part).yaw for part in parts]).abs().tolist()
    away = torch.zeros(len(found), dtype=torch.bool)
    state = False
    for frame in range(len(found)):
        state &= frame not in cuts
        if found[frame]:
            state = yaw[frame] > (BACK_YAW if state else MAX_YAW)
        away[frame] = state
    return away
