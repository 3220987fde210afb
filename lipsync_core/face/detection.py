"""A picture -> the faces in it, each with where it is, how large, and how it is turned.

BlazeFace, short range (Bazarevsky et al. 2019, arXiv 1907.05047): 896 anchors on 128 x 128 pixels,
six key points each. It sees faces of about a sixth of the picture and more; smaller ones are
looked for in a pyramid of overlapping tiles.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from .network import Network

INPUT_SIZE = 128
MIN_SCORE = 0.5
SUPPRESSION_OVERLAP = 0.3
"""Intersection over union above which two detections are one face."""
SMALLEST_TILE = 160
"""Pixels. Faces in tiles of this size have about 30 pixels: too few for lips to be read."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom in frame pixels."""


@dataclass(frozen=True)
class Detection:
    """A face in a picture."""

    centre: tuple[float, float]
    """x, y in frame pixels."""
    size: float
    """Side of a square round the face, brows to chin, in pixels."""
    angle: float
    """In-plane turn in radians; > 0 is clockwise on the screen."""
    score: float
    """Of the network, 0 to 1."""

    @property
    def box(self) -> Box:
        (x, y), half = self.centre, self.size / 2
        return x - half, y - half, x + half, y + half


def anchors() -> Float[np.ndarray, "896 2"]:
    """Centres of the anchors as fractions of the input: two per cell of 8 pixels, six per 16."""
    rows = []
    for cell, count in ((8, 2), (16, 6)):
        centres = (np.arange(INPUT_SIZE // cell) + 0.5) / (INPUT_SIZE // cell)
        y, x = np.meshgrid(centres, centres, indexing="ij")
        rows.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(count, axis=0))
    return np.concatenate(rows)


class FaceDetector:
    """Finds faces in single pictures."""

    def __init__(self, network: Network):
        self.network = network
        self.anchors = anchors()

    def detect(self, frame: UInt8[np.ndarray, "h w 3"]) -> list[Detection]:
        """The faces that one look at the whole picture finds, best first."""
        height, width = frame.shape[:2]
        return suppress(self._look(frame, (0.0, 0.0, float(width), float(height))))

    def detect_small(
        self, frame: UInt8[np.ndarray, "h w 3"], near: Box | None = None
    ) -> list[Detection]:
        """The faces in overlapping tiles, from large to small until a size of tile finds some.

        With `near`, only tiles that overlap that part of the frame are searched.
        """
        height, width = frame.shape[:2]
        found: list[Detection] = []
        for side in tile_sides(height, width):
            for tile in tiles(height, width, side):
                if near is None or overlap(tile, near) > 0:
                    # A face cut by the tile's edge is found badly here and well in the next tile.
                    found += [d for d in self._look(frame, tile) if inside(d, tile, frame)]
            if found:
                break
        return suppress(found)

    def _look(self, frame: UInt8[np.ndarray, "h w 3"], tile: Box) -> list[Detection]:
        left, top, right, bottom = (round(edge) for edge in tile)
        picture = frame[top:bottom, left:right]
        side = max(picture.shape[:2])
        pad = (side - picture.shape[1]) / 2, (side - picture.shape[0]) / 2
        regressors, logits = self.network(letterboxed(picture, side))
        scores = 1 / (1 + np.exp(-np.clip(logits.reshape(-1), -80, 80)))
        detections = []
        for i in np.flatnonzero(scores >= MIN_SCORE):
            points = regressors.reshape(-1, 8, 2)[i].astype(np.float64) / INPUT_SIZE
            size = points[1] * side
            x, y = (points[0] + self.anchors[i]) * side - pad
            right_eye, left_eye = points[2], points[3]
            turn = np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0])
            centre = float(x) + left, float(y) + top
            detections.append(Detection(centre, float(size.max()), float(turn), float(scores[i])))
        return detections


def letterboxed(picture: UInt8[np.ndarray, "h w 3"], side: int) -> Float[np.ndarray, "s s 3"]:
    """The picture in the middle of a black square, at the network's size and range."""
    import cv2

    height, width = picture.shape[:2]
    scale = INPUT_SIZE / side
    inner = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    square = np.zeros((INPUT_SIZE, INPUT_SIZE, 3), np.float32)
    left, top = (INPUT_SIZE - inner[0]) // 2, (INPUT_SIZE - inner[1]) // 2
    square[top : top + inner[1], left : left + inner[0]] = small
    return square / 127.5 - 1


def tile_sides(height: int, width: int) -> Iterator[int]:
    """Sides of the square tiles of each level of the pyramid, halving."""
    side = min(height, width)
    if max(height, width) < 1.3 * side:
        side //= 2
    while side >= SMALLEST_TILE:
        yield side
        side //= 2


def tiles(height: int, width: int, side: int) -> Iterator[Box]:
    """Tiles that cover the frame, neighbours overlapping by at least 40 %."""
    for top in starts(height, side):
        for left in starts(width, side):
            yield float(left), float(top), float(left + side), float(top + side)


def starts(length: int, side: int) -> list[int]:
    """Where tiles start along an axis, the last one flush with the end."""
    count = 1 + int(np.ceil((length - side) / (0.6 * side)))
    return [round(start) for start in np.linspace(0, length - side, count)]


def inside(detection: Detection, tile: Box, frame: UInt8[np.ndarray, "h w 3"]) -> bool:
    """Whether the face does not stick out of the tile, edges of the frame excepted."""
    height, width = frame.shape[:2]
    slack = 0.1 * detection.size
    left, top, right, bottom = detection.box
    return (
        (tile[0] == 0 or left > tile[0] - slack)
        and (tile[1] == 0 or top > tile[1] - slack)
        and (tile[2] == width or right < tile[2] + slack)
        and (tile[3] == height or bottom < tile[3] + slack)
    )


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    area = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return wide * high / (area - wide * high)


def suppress(detections: list[Detection]) -> list[Detection]:
    """Weighted non-maximum suppression: each face is the mean, by score, of its overlapping finds.

    Averaging instead of picking steadies the box from frame to frame (arXiv 1907.05047, 3.4).
    """
    left = sorted(detections, key=lambda d: -d.score)
    faces = []
    while left:
        best = left[0]
        same = [d for d in left if overlap(d.box, best.box) > SUPPRESSION_OVERLAP]
        left = [d for d in left if overlap(d.box, best.box) <= SUPPRESSION_OVERLAP]
        faces.append(weighted_mean(same or [best], best.score))
        left = [d for d in left if d is not best]
    return faces


def weighted_mean(detections: list[Detection], score: float) -> Detection:
    """One detection in the middle of several, by their scores."""
    weights = np.array([d.score for d in detections]) / sum(d.score for d in detections)
    x, y = (weights[:, None] * np.array([d.centre for d in detections])).sum(axis=0)
    size = float((weights * [d.size for d in detections]).sum())
    angles = np.array([d.angle for d in detections])
    angle = np.arctan2((weights * np.sin(angles)).sum(), (weights * np.cos(angles)).sum())
    return Detection((float(x), float(y)), size, float(angle), score)
