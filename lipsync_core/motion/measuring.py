"""From a tracked face to lip motion and back: head pose out, the person's neutral out, 25 Hz."""

from fractions import Fraction

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..canonical_pose import Similarity, canonicalise, fit_similarity
from ..landmarks import MOVING, STABLE, canonical, tracked
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
    landmarks = _without_pose(track)(track.landmarks.double())
    moving = tracked(MOVING)
    displacement = landmarks[:, moving] - track.neutral.to(landmarks)[moving]
    return _resample(displacement.float(), track.visible, track.fps, track.cuts)


def posed_landmarks(
    track: FaceTrack, displacement: Float[Tensor, "t points 3"]
) -> Float[Tensor, "t k 3"]:
    """The track's landmarks, frame pixels, with lips and jaw where `displacement` of its frames
    has them: the MOVING landmarks minus neutral in the canonical face, eye distances."""
    pose, moving = _without_pose(track), tracked(MOVING)
    wanted = track.neutral.to(displacement)[moving] + displacement
    turned = torch.einsum(
        "tji,tkj->tki", pose.rotation, wanted.double() - pose.translation[:, None]
    )
    landmarks = track.landmarks.clone()
    landmarks[:, moving] = (turned / pose.scale[:, None, None]).to(landmarks)
    return landmarks


def _without_pose(track: FaceTrack) -> Similarity:
    """Into the canonical face, aligned twice: to the canonical face, then to the clip's own mean.

    The canonical face's brows and nose are not this person's, and the misfit would change with
    the pose; the person's own shape, as the first pass finds it, has none.
    """
    landmarks, stable = track.landmarks.double(), tracked(STABLE)
    if not track.visible.any():
        return fit_similarity(landmarks[:, stable], canonical(STABLE))
    canonical_landmarks = canonicalise(landmarks).landmarks
    own_shape = canonical_landmarks[track.visible][:, stable].median(dim=0).values
    return fit_similarity(landmarks[:, stable], own_shape)


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
