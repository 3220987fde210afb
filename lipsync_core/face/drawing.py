"""Pictures for people: what a track found, drawn into a few frames of the clip."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..crop_geometry import MASK_POLYGON, crop_points
from ..landmarks import BROWS, JAW, LIPS_INNER, LIPS_OUTER, NOSE, TRACKED, tracked
from ..types import Clip, FaceTrack
from .alignment import invert, transform
from .landmarking import Face, FaceLandmarker

LONGEST_SIDE = 640
"""Pixels; larger frames are drawn smaller."""
_CROP, _MASK, _LIPS, _POINTS = (90, 220, 120), (250, 200, 60), (255, 90, 120), (120, 190, 255)
_UNSEEN, _OTHERS = (230, 60, 60), (235, 235, 235)


def draw_track(
    clip: Clip,
    track: FaceTrack,
    landmarker: FaceLandmarker | Sequence[Sequence[Face]] | None = None,
    count: int = 6,
) -> Float[Tensor, "n h w 3"]:
    """Up to `count` frames spread over the clip, from the first to the last, each with the crop,
    the mask's outline, lips, jaw, brows and nose; all in red where the face counts as not visible.

    With a `landmarker`, or the faces of every frame, also a box round every face, with its number
    from the left: the index of FaceChoice, if nobody comes, goes or changes places after the
    beginning of the shot.
    """
    count = min(count, clip.frame_count)
    places = torch.linspace(0, clip.frame_count - 1, count).round().long().tolist()
    return torch.stack([draw_frame(clip, track, index, landmarker) for index in places])


def draw_frame(
    clip: Clip,
    track: FaceTrack,
    index: int,
    landmarker: FaceLandmarker | Sequence[Sequence[Face]] | None = None,
) -> Float[Tensor, "h w 3"]:
    """Frame `index`, shrunk to LONGEST_SIDE, with the face drawn in."""
    import cv2

    frame = clip.frames(index, index + 1)[0]
    pixels = (frame * 255).round().clamp(0, 255).to(torch.uint8).numpy(force=True)
    scale = min(1.0, LONGEST_SIDE / max(clip.height, clip.width))
    size = round(clip.width * scale), round(clip.height * scale)
    picture = np.ascontiguousarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    seen = bool(track.visible[index])
    for points, closed, colour in _outlines(track, index):
        _draw(picture, points * scale, closed, colour if seen else _UNSEEN)
    if landmarker is not None:
        own = isinstance(landmarker, FaceLandmarker)
        faces = landmarker.find_all(pixels) if own else landmarker[index]
        for number, face in enumerate(_from_left(faces)):
            chosen = seen and _is_tracked(face, track, index)
            _draw_number(picture, face.box, scale, number, _CROP if chosen else _OTHERS)
    return torch.from_numpy(picture).float() / 255


def _from_left(faces: Sequence[Face]) -> list[Face]:
    """All faces of a frame in the order of their indices."""
    return sorted(faces, key=lambda face: face.centre[0])


def _is_tracked(face: Face, track: FaceTrack, index: int) -> bool:
    points = track.landmarks[index, :, :2].double().numpy(force=True)
    read = face.landmarks[list(TRACKED), :2]
    return float(np.hypot(*(points - read).T).mean()) < 0.25 * face.size


def _draw_number(
    picture: UInt8[np.ndarray, "h w 3"],
    box: tuple[float, float, float, float],
    scale: float,
    number: int,
    colour: tuple[int, int, int],
) -> None:
    """A face's bounds, and its number on a plate at their upper left corner."""
    import cv2

    left, top, right, bottom = (round(scale * edge) for edge in box)
    thickness = max(1, round(max(picture.shape[:2]) / 320))
    cv2.rectangle(picture, (left, top), (right, bottom), colour, thickness, cv2.LINE_AA)
    letters = max(0.6, max(picture.shape[:2]) / 400)
    text, font = str(number), cv2.FONT_HERSHEY_SIMPLEX
    weight = max(2, round(2 * letters))
    (width, height), _ = cv2.getTextSize(text, font, letters, weight)
    bottom = max(top, height + 8)  # of the plate, which stays inside the picture
    left = min(max(left, 0), picture.shape[1] - width - 8)
    cv2.rectangle(picture, (left, bottom - height - 8), (left + width + 8, bottom), colour, -1)
    place = (left + 4, bottom - 4)
    cv2.putText(picture, text, place, font, letters, (20, 20, 20), weight, cv2.LINE_AA)


def _outlines(
    track: FaceTrack, index: int
) -> list[tuple[Float[np.ndarray, "k 2"], bool, tuple[int, int, int]]]:
    """Lines in frame pixels, whether they close, and their colours."""
    side = float(track.crop_size)
    square = torch.tensor([[0, 0], [side, 0], [side, side], [0, side]]).double()
    mask = crop_points(torch.tensor(MASK_POLYGON), track.crop_size).double()
    back = invert(track.frame_to_crop[index : index + 1])
    square, mask = (transform(back, points[None])[0].numpy() for points in (square, mask))
    face = track.landmarks[index, :, :2].double().numpy(force=True)
    groups = ((LIPS_OUTER, True, _LIPS), (LIPS_INNER, True, _LIPS), (NOSE, False, _POINTS))
    lines = [(face[tracked(points)], closed, colour) for points, closed, colour in groups]
    dots = [(face[[place]], False, _POINTS) for place in tracked(JAW + BROWS)]
    return [(square, True, _CROP), (mask, True, _MASK), *lines, *dots]


def _draw(
    picture: UInt8[np.ndarray, "h w 3"],
    points: Float[np.ndarray, "k 2"],
    closed: bool,
    colour: tuple[int, int, int],
) -> None:
    """A line through `points`, or a dot for a single one, 1/16 pixel exact."""
    import cv2

    # cv2 puts pixel centres at integers, we put them at +.5.
    fixed_point = np.round((points - 0.5) * 16).astype(np.int32)
    if len(points) == 1:
        cv2.circle(picture, fixed_point[0].tolist(), 24, colour, -1, cv2.LINE_AA, shift=4)
    else:
        cv2.polylines(picture, [fixed_point], closed, colour, 1, cv2.LINE_AA, shift=4)
