"""From a tracked face to lip motion and back: head pose out, the person's neutral out, 25 Hz."""

from collections.abc import Iterator
from fractions import Fraction

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..canonical_pose import Similarity, fit_similarity
from ..landmarks import MOVING, STABLE, canonical, tracked
from ..types import MOTION_RATE, FaceTrack, LipMotion
from .basis import LipMotionBasis

_PART = 1024


def measure_lip_motion(track: FaceTrack, basis: LipMotionBasis) -> LipMotion:
    """How the tracked lips and jaw move: steps where the face is not seen are not valid."""
    projected = torch.cat([basis.project(part.float()) for part in _displacements(track)])
    return LipMotion(*_resample(projected, track.visible, track.fps, track.cuts), basis.id)


def canonical_motion(
    track: FaceTrack,
) -> tuple[Float[Tensor, "steps points 3"], Bool[Tensor, " steps"]]:
    """The MOVING landmarks minus the person's neutral in the canonical face, eye distances, at
    25 Hz, and where they were seen."""
    displacement = torch.cat([part.float() for part in _displacements(track)])
    return _resample(displacement, track.visible, track.fps, track.cuts)


class PosedLips:
    """The landmarks of a track with other lips and jaw, for a few frames at a time: what is known
    of every frame of a long video is held as short as can be."""

    def __init__(self, track: FaceTrack):
        self._track, self._shape = track, _own_shape(track)

    def landmarks(
        self, displacement: Float[Tensor, "t points 3"], frames: slice
    ) -> Float[Tensor, "t k 3"]:
        """Those of `frames`, frame pixels, with lips and jaw where `displacement` has them: the
        MOVING landmarks minus neutral in the canonical face, eye distances."""
        landmarks, moving = self._track.landmarks[frames].clone(), tracked(MOVING)
        pose = fit_similarity(landmarks[:, tracked(STABLE)], self._shape)
        wanted = self._track.neutral.to(displacement)[moving] + displacement
        turned = torch.einsum(
            "tji,tkj->tki", pose.rotation, wanted.double() - pose.translation[:, None]
        )
        landmarks[:, moving] = (turned / pose.scale[:, None, None]).to(landmarks)
        return landmarks


def _displacements(track: FaceTrack) -> Iterator[Float[Tensor, "_ points 3"]]:
    """The MOVING landmarks minus neutral in the canonical face, part by part; float64."""
    pose, moving = _without_pose(track), tracked(MOVING)
    for part in _parts(track):
        without = Similarity(pose.scale[part], pose.rotation[part], pose.translation[part])
        yield without(track.landmarks[part, moving].double()) - track.neutral.double()[moving]


def _parts(track: FaceTrack) -> Iterator[slice]:
    """A few frames at a time: what is worked out of them takes many times their room."""
    for start in range(0, len(track.landmarks), _PART):
        yield slice(start, start + _PART)


def _without_pose(track: FaceTrack) -> Similarity:
    """Into the canonical face, aligned twice: to the canonical face, then to the clip's own mean.

    The canonical face's brows and nose are not this person's, and the misfit would change with
    the pose; the person's own shape, as the first pass finds it, has none.
    """
    return fit_similarity(track.landmarks[:, tracked(STABLE)], _own_shape(track))


def _own_shape(track: FaceTrack) -> Float[Tensor, "k 3"]:
    """The STABLE landmarks of the person in the canonical face; its own where none were seen."""
    if not track.visible.any():
        return canonical(STABLE)
    seen = track.landmarks[track.visible][:, tracked(STABLE)]
    return fit_similarity(seen, canonical(STABLE))(seen.double()).median(dim=0).values


def _resample(
    values: Float[Tensor, "t ..."],
    visible: Bool[Tensor, " t"],
    fps: Fraction,
    cuts: tuple[int, ...],
) -> tuple[Float[Tensor, "steps ..."], Bool[Tensor, " steps"]]:
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
    mixed = torch.lerp(values[before], values[after], weight.view(-1, *[1] * (values.ndim - 1)))
    valid = (visible[before] | (weight == 1)) & (visible[after] | (weight == 0))
    return mixed, valid
