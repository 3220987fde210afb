"""The motion that a synthetic head really makes, in the frame in which motion is measured."""

from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

from ..canonical_pose import canonicalise
from ..face.neutral import neutral_shape
from ..landmarks import MOVING, tracked
from ..motion.measuring import canonical_motion
from ..types import MOTION_RATE, FaceTrack
from .face_kit import FaceKit
from .landmark_map import LandmarkMap


def true_motion(
    landmarks: Float[Tensor, "t k 3"], neutral: Float[Tensor, "k 3"]
) -> Float[Tensor, "t points 3"]:
    """The MOVING landmarks minus `neutral` in the canonical face, eye distances, at 25 Hz.

    `landmarks` are the TRACKED ones of `LandmarkMap.of_expressions`, 25 a second; they go through
    the same alignment as measured ones (`motion.measuring.canonical_motion`).
    """
    count = len(landmarks)
    track = FaceTrack(
        landmarks=landmarks,
        frame_to_crop=torch.zeros(count, 2, 3),
        visible=torch.ones(count, dtype=torch.bool),
        cuts=(),
        neutral=neutral.float(),
        crop_size=1,
        fps=Fraction(MOTION_RATE),
    )
    return canonical_motion(track)[0]


def resting_shape(
    kit: FaceKit, landmark_map: LandmarkMap, identity: Float[Tensor, " n"]
) -> Float[Tensor, "k 3"]:
    """The TRACKED landmarks of a person with no expression, in the canonical face."""
    return canonicalise(landmark_map.of_expressions(kit, identity, kit.expressions())).landmarks[0]


def measured_neutral(landmarks: Float[Tensor, "t k 3"]) -> Float[Tensor, "k 3"]:
    """The neutral shape as face tracking finds it in these landmarks: how a person rests while
    talking, a lasting smile included, is part of it."""
    return neutral_shape(landmarks, torch.ones(len(landmarks), dtype=torch.bool))


def true_points(motion: Float[Tensor, "t points 3"], neutral: Float[Tensor, "k 3"]) -> Tensor:
    """Motion and neutral put together again: absolute points in the canonical face."""
    return motion + neutral[tracked(MOVING)].to(motion)
