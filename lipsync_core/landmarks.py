"""Which of MediaPipe's 478 face landmarks we use, and the canonical face that they are measured in.

The numbering is that of MediaPipe's face mesh
(https://github.com/google-ai-edge/mediapipe, face_landmarker). "Left" and "right" are the
picture's: 33 is the outer eye corner on the picture's left in an upright face.
"""

from functools import cache
from pathlib import Path

from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

LIPS_OUTER = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375,
    291, 409, 270, 269, 267, 0, 37, 39, 40, 185,
)  # fmt: skip
"""The outer contour of the lips, from the left corner along the lower lip, back along the upper."""
LIPS_INNER = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324,
    308, 415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
"""The inner contour of the lips, in the order of LIPS_OUTER."""
JAW = (152, 148, 176, 149, 150, 136, 172, 377, 400, 378, 379, 365, 397, 199, 200, 18, 175)
"""Jaw line up to the jaw angle, and the chin."""
BROWS = (70, 63, 105, 66, 107, 336, 296, 334, 293, 300)
EYE_CORNERS = (33, 133, 362, 263)
NOSE = (168, 6, 197, 195, 5, 4)

LIPS = LIPS_OUTER + LIPS_INNER
MOVING = LIPS + JAW
"""What lip motion is made of: 57 points."""
STABLE = BROWS + EYE_CORNERS + NOSE
"""What alignment is made of: 20 points that speech does not move."""
TRACKED = MOVING + STABLE
"""The order of the landmark axis k of a FaceTrack: 77 points."""

INNER_UPPER, INNER_LOWER, INNER_LEFT, INNER_RIGHT = 13, 14, 78, 308
"""Midpoints of the inner lips, whose distance is the opening, and the inner mouth corners."""


def tracked(landmarks: tuple[int, ...]) -> list[int]:
    """Where `landmarks` stand on the axis k of a FaceTrack."""
    return [TRACKED.index(landmark) for landmark in landmarks]


@cache
def canonical_face() -> Float[Tensor, "478 3"]:
    """The mean face of all 478 landmarks with left-right symmetry, in eye distances.

    Origin midway between the outer eye corners; x right, y down, z away from the camera. Made by
    aligning landmarks of 11 people (GRID corpus, CC BY 4.0; White House addresses, public domain).
    """
    return load_file(Path(__file__).with_name("canonical_face.safetensors"))["landmarks"]


def canonical(landmarks: tuple[int, ...]) -> Float[Tensor, "k 3"]:
    """The canonical face at `landmarks`, in eye distances."""
    return canonical_face()[list(landmarks)]


def opening(tracked_landmarks: Float[Tensor, "*t k 3"]) -> Float[Tensor, "*t"]:
    """Distance of the inner lips' midpoints of TRACKED landmarks, in their own unit."""
    upper, lower = tracked((INNER_UPPER, INNER_LOWER))
    return (tracked_landmarks[..., upper, :] - tracked_landmarks[..., lower, :]).norm(dim=-1)


def width(tracked_landmarks: Float[Tensor, "*t k 3"]) -> Float[Tensor, "*t"]:
    """Distance of the inner mouth corners of TRACKED landmarks, in their own unit."""
    left, right = tracked((INNER_LEFT, INNER_RIGHT))
    return (tracked_landmarks[..., left, :] - tracked_landmarks[..., right, :]).norm(dim=-1)
