"""A made-up face kit: a curved sheet whose lower half opens, with our landmarks where they lie on
the canonical face. Small enough to be drawn in no time, with the keys and units of the real one."""

from pathlib import Path

import numpy as np
import torch

from lipsync_core.landmarks import TRACKED, canonical
from lipsync_core.synthesis.face_kit import FaceKit, load_face_kit
from lipsync_core.synthesis.landmark_map import LandmarkMap

EYE_DISTANCE, EYE_HEIGHT = 9.2, -3.6
COLUMNS, ROWS = 45, 61
NAMES = (
    "jawOpen", "mouthClose", "mouthPucker", "mouthStretch_L", "mouthStretch_R", "eyeBlink_L",
)  # fmt: skip
MOUTH = EYE_HEIGHT + EYE_DISTANCE * float(canonical((13, 14))[:, 1].mean())


def arrays() -> dict[str, np.ndarray]:
    """The contents of a kit's file: y up and z towards the camera, as in ICT-FaceKit."""
    x, y = np.meshgrid(np.linspace(-9, 9, COLUMNS), np.linspace(-11, 13, ROWS))
    z = 6 * np.cos(x / 9 * 1.2) * np.cos(y / 13)
    points = np.stack([x, -y, z], axis=-1).reshape(-1, 3)
    number = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS)
    # Counter-clockwise as the camera sees them.
    quads = np.stack([number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]], axis=-1)
    below = 1 / (1 + np.exp(-(y - MOUTH) / 0.05))
    near = np.exp(-(((y - MOUTH) / 2) ** 2) - (x / 4) ** 2)
    shapes = np.zeros((len(NAMES), ROWS, COLUMNS, 3))
    shapes[0, ..., 1] = -4 * below
    shapes[1, ..., 1] = 4 * below * near
    shapes[2, ..., 0] = -0.4 * x * near
    shapes[3, ..., 0] = 0.8 * near * (x > 0)
    shapes[4, ..., 0] = -0.8 * near * (x < 0)
    modes = np.zeros((2, ROWS, COLUMNS, 3))
    modes[0, ..., 0], modes[1, ..., 1] = 0.03 * x, -0.02 * y
    quads = quads.reshape(-1, 4).astype(np.int32)
    return {
        "V0": points.astype(np.float32),
        "F": quads,
        "mat": np.array(["M_Face"] * len(quads)),
        "ex": np.array(NAMES),
        "X": shapes.reshape(len(NAMES), -1, 3).astype(np.float16),
        "I": modes.reshape(2, -1, 3).astype(np.float16),
    }


def tiny_kit(folder: Path) -> FaceKit:
    """The kit, read from a file in `folder`."""
    path = folder / "kit.npz"
    np.savez(path, **arrays())
    return load_face_kit(path)


def tiny_map(kit: FaceKit) -> LandmarkMap:
    """Every landmark at the vertex that lies nearest to it in the picture."""
    places = canonical(TRACKED)[:, :2] * EYE_DISTANCE + torch.tensor((0.0, EYE_HEIGHT))
    nearest = torch.cdist(places, kit.neutral[:, :2]).argmin(dim=1)
    weights = torch.tensor((1.0, 0.0, 0.0)).repeat(len(TRACKED), 1)
    return LandmarkMap(nearest[:, None].repeat(1, 3), weights, len(kit.neutral))
