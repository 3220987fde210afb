"""The contact sheet of one clip: the mouth as it is and as it is made, pixel for pixel.

Columns rise in how far the real mouth is open, so that what goes wrong with teeth is seen at once.
"""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..landmarks import opening
from ..types import Clip, FaceTrack
from .picture_regions import MOUTH_MARGIN, lips_in_frame
from .renderer_networks import pick

TILES = 8
TILE = 150
"""Width in pixels that a mouth is enlarged to at least, by a whole factor."""


def mouth_sheet(videos: Mapping[str, Clip], track: FaceTrack) -> UInt8[np.ndarray, "h w 3"]:
    """One line of mouths per video, all of the same frames, its name above; `track` is of all."""
    frames = shown_frames(track)
    boxes = equal_boxes(lips_in_frame(track)[frames])
    lines = []
    for name, clip in videos.items():
        tiles = [_tile(*pair) for pair in zip(pick(clip, frames), boxes, strict=True)]
        lines += [_title(name, sum(tile.shape[1] for tile in tiles)), np.hstack(tiles)]
    return np.vstack(lines)


def shown_frames(track: FaceTrack) -> list[int]:
    """TILES visible frames, evenly spaced in rank from the most closed mouth to the most open."""
    seen = track.visible.nonzero()[:, 0]
    ranked = seen[opening(track.landmarks[seen].float()).argsort()]
    places = torch.linspace(0, len(ranked) - 1, min(TILES, len(ranked))).round().long()
    return ranked[places].tolist()


def equal_boxes(lips: Float[Tensor, "n k 2"]) -> list[tuple[int, int, int, int]]:
    """left, top, width, height about each mouth, as large as the largest needs."""
    low, high = lips.amin(1), lips.amax(1)
    size = (high - low) + 2 * MOUTH_MARGIN * (high - low)[:, :1]
    width, height = size.amax(0).ceil().int().tolist()
    centres = (low + high) / 2
    return [
        (round(float(x) - width / 2), round(float(y) - height / 2), width, height)
        for x, y in centres
    ]


def _tile(
    picture: Float[Tensor, "h w 3"], box: tuple[int, int, int, int]
) -> UInt8[np.ndarray, "y x 3"]:
    left, top, width, height = box
    rows = torch.arange(top, top + height).clamp(0, len(picture) - 1)
    columns = torch.arange(left, left + width).clamp(0, picture.shape[1] - 1)
    levels = (picture[rows][:, columns] * 255).round().clamp(0, 255).to(torch.uint8)
    factor = -(-TILE // width)
    # Squares of one colour: nothing is smoothed over.
    return levels.numpy(force=True).repeat(factor, axis=0).repeat(factor, axis=1)


def _title(text: str, width: int) -> UInt8[np.ndarray, "20 w 3"]:
    import cv2

    title = np.full((20, width, 3), 255, np.uint8)
    cv2.putText(title, text, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (40, 40, 40), 1, cv2.LINE_AA)
    return title
