"""Which frames of a clip show the renderer what the person looks like, and for which target frame.

A reference should look the target's way and show another mouth; it should be far from the target
in time, or the renderer would only have to copy. At least one shows the mouth closed and one open.
"""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from ..errors import NoFaceError
from ..landmarks import STABLE, opening, tracked
from ..types import FaceTrack
from .precision import autocast
from .renderer import LipRenderer, network_crops

SEGMENTS = 4
"""Stretches of time, of each of which the pool holds a closed and an open mouth."""
POSES = 4
"""Further frames of the pool that look as different ways as possible."""
PER_FRAME = 3
"""References that each target frame looks at."""
DISTANCE = 30
"""Frames between a target and its references in the same clip, where the clip is long enough."""
POSE_WINDOW = 25
"""Frames over which a target's pose is averaged, so that its references seldom change."""


@dataclass(frozen=True)
class ReferenceChoice:
    """A pool of frames of the reference clip, and what each target frame uses of it."""

    frames: tuple[int, ...]
    choice: Int[Tensor, "t n"]
    """Positions in `frames`."""
    usable: Bool[Tensor, "t n"]
    """False where the pool is too small and a choice is only padding."""


@dataclass(frozen=True)
class References:
    """The pool as the renderer's attention reads it; made once per clip."""

    features: Float[Tensor, "p f"]
    choice: Int[Tensor, "t n"]
    usable: Bool[Tensor, "t n"]

    def of(self, frames: slice) -> "References":
        """The references of some target frames."""
        return replace(self, choice=self.choice[frames], usable=self.usable[frames])


def choose_references(track: FaceTrack, reference: FaceTrack | None = None) -> ReferenceChoice:
    """References for every frame of `track` among the frames of `reference`, else its own.

    Within one clip a frame never is its own reference, unless the clip shows the face only once,
    and its references are at least 30 frames away where there are such, else the farthest. Raises
    NoFaceError when no frame of the reference clip shows the face.
    """
    source = track if reference is None else reference
    seen = source.visible.nonzero()[:, 0]
    if not len(seen):
        raise NoFaceError(
            "no frame of the reference clip shows the face: give a clip in which it is seen"
        )
    poses, openings = crop_poses(source), crop_openings(source)
    pool = _pool(seen, poses, openings)
    by_opening = sorted(range(len(pool)), key=lambda i: float(openings[pool[i]]))
    # Plain numbers: a long clip asks thousands of times.
    distances = _pose_distance(_smoothed(crop_poses(track)), poses[pool]).tolist()
    choice, usable = [], []
    for frame, distance in enumerate(distances):
        allowed = by_opening if reference is not None else _distant(by_opening, pool, frame)
        chosen = _nearest_of_each_mouth(allowed, distance)
        usable.append([True] * len(chosen) + [False] * (PER_FRAME - len(chosen)))
        choice.append(chosen + chosen[:1] * (PER_FRAME - len(chosen)))
    return ReferenceChoice(tuple(pool), torch.tensor(choice), torch.tensor(usable))


@torch.no_grad()
def encode_references(
    renderer: LipRenderer, crops: Float[Tensor, "p s s 3"], choice: ReferenceChoice
) -> References:
    """`crops`, in [0, 1], of the frames that `choice` names, made ready for `render_lips`."""
    if len(crops) != len(choice.frames):
        raise ValueError(f"{len(crops)} reference crops for a choice of {len(choice.frames)}")
    with autocast(renderer.device):
        latents = renderer.encode(network_crops(crops).to(renderer.device))
        features = renderer.unet.encode_references(latents)
    return References(features, choice.choice, choice.usable)


def crop_poses(track: FaceTrack) -> Float[Tensor, "t p"]:
    """How a head is turned: where its stable points lie in the crop, as fractions of its side.

    The crop takes out place, scale and roll; what is left is turning and nodding.
    """
    points = track.landmarks[:, tracked(STABLE), :2].float()
    matrices = track.frame_to_crop.float()
    points = points @ matrices[:, :, :2].mT + matrices[:, None, :, 2]
    return points.flatten(1) / track.crop_size


def crop_openings(track: FaceTrack) -> Float[Tensor, " t"]:
    """The opening of the lips as a fraction of the crop's side."""
    scale = track.frame_to_crop[:, 0, :2].float().norm(dim=-1)
    return opening(track.landmarks.float()) * scale / track.crop_size


def _pool(
    seen: Int[Tensor, " v"], poses: Float[Tensor, "t p"], openings: Float[Tensor, " t"]
) -> list[int]:
    """Frames worth looking at: closed and open mouths all along the clip, then other poses."""
    pool: list[int] = []
    for segment in seen.tensor_split(min(SEGMENTS, len(seen))):
        for frame in (segment[openings[segment].argmin()], segment[openings[segment].argmax()]):
            if int(frame) not in pool:
                pool.append(int(frame))
    # The ends are the farthest from everything else in a short clip.
    for frame in (int(seen[0]), int(seen[-1])):
        if frame not in pool:
            pool.append(frame)
    for _ in range(POSES):
        farthest = seen[_pose_distance(poses[seen], poses[pool]).amin(1).argmax()]
        if int(farthest) in pool:
            break
        pool.append(int(farthest))
    return pool


def _distant(positions: list[int], pool: list[int], frame: int) -> list[int]:
    """Those of the pool's `positions`, in their order, that a target of the same clip may use."""
    allowed = [i for i in positions if abs(pool[i] - frame) >= DISTANCE]
    if len(allowed) >= PER_FRAME:
        return allowed
    farthest = sorted(positions, key=lambda i: -abs(pool[i] - frame))[:PER_FRAME]
    others = [i for i in positions if i in farthest and pool[i] != frame]
    return others or farthest


def _nearest_of_each_mouth(allowed: list[int], distance: list[float]) -> list[int]:
    """The nearest in pose of the most closed mouths and of the most open ones, then of any.

    `allowed` rises in opening.
    """
    third = max(1, len(allowed) // 3)
    nearest: list[int] = []
    for group in (allowed[:third], allowed[-third:], *[allowed] * PER_FRAME):
        left = [i for i in group if i not in nearest]
        if left and len(nearest) < PER_FRAME:
            nearest.append(min(left, key=distance.__getitem__))
    return nearest


def _pose_distance(
    poses: Float[Tensor, "t p"], others: Float[Tensor, "q p"]
) -> Float[Tensor, "t q"]:
    return torch.cdist(poses.double(), others.double()).float()


def _smoothed(poses: Float[Tensor, "t p"]) -> Float[Tensor, "t p"]:
    return functional.avg_pool1d(
        poses.T[None], POSE_WINDOW, 1, POSE_WINDOW // 2, count_include_pad=False
    )[0].T
