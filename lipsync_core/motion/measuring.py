"""From a tracked face to lip motion: head pose out, the person's neutral out, 25 Hz."""

from fractions import Fraction

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..canonical_pose import canonicalise, fit_similarity
from ..landmarks import MOVING, STABLE, tracked
from ..types import MOTION_RATE, FaceTrack, LipMotion
from .basis import LipMotionBasis


def measure_lip_motion(track: FaceTrack, basis: LipMotionBasis) -> LipMotion:
    """How the tracked lips and jaw move: steps where the face is not seen are not valid."""
    displacement, valid = canonical_motion(track)
    return LipMotion(basis.project(displacement), valid, basis.id)


def canonical_motion(
    track: FaceTrack,
) -> tuple[Float[Tensor, "steps points 3"], Bool[Tensor, " steps"]]:
    """The MOVING landmarks minus the person's neutral in the canonical face, eye distances, at
    25 Hz, and where they were seen."""
    landmarks = _without_pose(track.landmarks.double(), track.visible)
    moving = tracked(MOVING)
    displacement = landmarks[:, moving] - track.neutral.to(landmarks)[moving]
    return _resample(displacement.float(), track.visible, track.fps, track.cuts)


def _without_pose(
    landmarks: Float[Tensor, "t k 3"], visible: Bool[Tensor, " t"]
) -> Float[Tensor, "t k 3"]:
    """Canonical landmarks, aligned twice: to the canonical face, then to the clip's own mean.

    The canonical face's brows and nose are not this person's, and the misfit would change with
    the pose; the person's own shape, as the first pass finds it, has none.
    """
    if not visible.any():
        return canonicalise(landmarks).landmarks
    stable = tracked(STABLE)
    own_shape = canonicalise(landmarks).landmarks[visible][:, stable].median(dim=0).values
    return fit_similarity(landmarks[:, stable], own_shape)(landmarks)


def _resample(
    values: Float[Tensor, "t points 3"],
    visible: Bool[Tensor, " t"],
    fps: Fraction,
    cuts: tuple[int, ...],
) -> tuple[Float[Tensor, "steps points 3"], Bool[Tensor, " steps"]]:
    """Linear interpolation at i / 25 s; the last frame is held to the clip's end.

    Exact fractions, because a float would put i / 25 s just beside the frame shown then.
    """
    steps = -(-len(values) * MOTION_RATE * fps.denominator // fps.numerator)
    positions = [min(fps * step / MOTION_RATE, Fraction(len(values) - 1)) for step in range(steps)]
    before = torch.tensor([int(position) for position in positions])
    weight = torch.tensor([float(position % 1) for position in positions])
    after = (before + 1).clamp_max(len(values) - 1)
    # Nothing is mixed across a cut: the nearer frame stands.
    across = torch.isin(after, torch.tensor(cuts, dtype=after.dtype)) & (weight > 0)
    weight = torch.where(across, weight.round(), weight)
    mixed = torch.lerp(values[before], values[after], weight[:, None, None])
    valid = (visible[before] | (weight == 1)) & (visible[after] | (weight == 0))
    return mixed, valid
