"""What a page shows of one clip: a strip of frames at the same times, a motion plot, the videos."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from ..types import Clip, FaceTrack
from .bench import VIDEOS, Talking
from .modes import Exhibit
from .plots import Curve, motion_plot, write_picture

PICTURES = "pictures"
TILES = 10
"""Frames of a strip."""
TILE = 150
"""Height of one in pixels."""
_MARGIN = 0.12
_EDGE = 0.04
"""Parts of a clip left out at its ends, where people are silent."""


def show(exhibit: Exhibit, folder: Path, mode: str, name: str) -> dict[str, str]:
    """Draws the exhibit into `folder`; what it drew -> file, relative to it."""
    stem = f"{PICTURES}/{name}.{mode.replace(' ', '_')}"
    files = {
        f"{label} video": f"{VIDEOS}/{talking.path.name}"
        for label, talking in exhibit.videos.items()
        if talking.path is not None
    }
    if not exhibit.videos:
        return files
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    write_picture(folder / f"{stem}.frames.png", contact_sheet(exhibit.videos))
    openings = {
        label: Curve(talking.face.opening, talking.face.valid)
        for label, talking in exhibit.videos.items()
    }
    plot = motion_plot(openings, exhibit.speech, exhibit.scores)
    write_picture(folder / f"{stem}.motion.png", plot)
    return {"frames": f"{stem}.frames.png", "motion": f"{stem}.motion.png"} | files


def contact_sheet(videos: dict[str, Talking]) -> UInt8[np.ndarray, "h w 3"]:
    """One line of faces per video, all at the same times, its name above it."""
    shortest = min(talking.clip.duration for talking in videos.values())
    times = torch.linspace(_EDGE * shortest, (1 - _EDGE) * shortest, TILES).tolist()
    lines = [line for label, video in videos.items() for line in _strip(label, video, times)]
    width = min(line.shape[1] for line in lines)
    return np.vstack([line[:, :width] for line in lines])


def _strip(label: str, video: Talking, times: Sequence[float]) -> list[UInt8[np.ndarray, "h w 3"]]:
    import cv2

    rows, columns = face_box(video.clip, video.face.track)
    tiles = []
    for time in times:
        frame = min(round(time * float(video.clip.fps)), video.clip.frame_count - 1)
        pixels = _pixels(video.clip.frames(frame, frame + 1)[0])[rows, columns]
        width = round(TILE * 0.9)
        tiles.append(cv2.resize(pixels, (width, TILE), interpolation=cv2.INTER_AREA))
    strip = np.hstack(tiles)
    title = np.full((20, strip.shape[1], 3), 255, np.uint8)
    cv2.putText(title, label, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return [title, strip]


def face_box(clip: Clip, track: FaceTrack) -> tuple[slice, slice]:
    """Rows and columns that hold the face in all frames, about as wide as 9/10 of their height."""
    points = track.landmarks[..., :2].flatten(0, 1)
    low, high = points.quantile(0.01, dim=0), points.quantile(0.99, dim=0)
    centre, height = (low + high) / 2, float((high - low).max()) * (1 + 2 * _MARGIN)
    half_width = 0.45 * height
    left, right = float(centre[0]) - half_width, float(centre[0]) + half_width
    top, bottom = float(centre[1]) - height / 2, float(centre[1]) + height / 2
    return (
        slice(max(0, round(top)), min(clip.height, round(bottom))),
        slice(max(0, round(left)), min(clip.width, round(right))),
    )


def _pixels(picture: Float[torch.Tensor, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    return (picture * 255).round().clamp(0, 255).to(torch.uint8).numpy(force=True)
