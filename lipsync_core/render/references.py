"""Which frames of a clip show the renderer what the person looks like, and for which target frame.

A reference should look the target's way, and its mouth should come near to the wanted one: what the
person has shown need not be invented. It should be far from the target in time, or the renderer
would only have to copy. A few dozen frames, as different as the clip has them, are the pool out of
which every target frame takes its nearest. The nearest of all are bent until their lips lie where
they are wanted: drawing begins from there.
"""

from dataclasses import dataclass, replace

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Int, Int16
from torch import Tensor
from torch.nn import functional

from ..errors import NoFaceError
from ..landmarks import STABLE, tracked
from ..types import FaceTrack
from .placement import Placement, Pool, Wanted, in_light_of, place
from .precision import autocast
from .renderer import LipRenderer, network_crops

POOL = 192
"""Frames of a clip, at most, that are references for its target frames: more come nearer to each
wanted mouth, where the clip has them, and each costs half a megabyte."""
PER_FRAME = 16
"""References that each target frame looks at."""
MOST_PER_FRAME = 16
DISTANCE = 30
"""Frames between a target and its references in the same clip, where the clip is long enough."""
POSE_WINDOW = 25
"""Frames over which a target's pose is averaged: it is the head that turns, not the tracker."""
POSE_SCALE = 4.0
"""Eye distances of lip motion that a unit of pose difference counts as; turning the head by ten
degrees moves the stable points by about .05 of the crop's side, all together. Lips are brought into
place, a face that looks another way is not: 4 gives better mouths than 1 or 2 (docs/log.md)."""

OPENING_SCALE = 4.0
"""Eye distances of lip motion that one of the lips' opening counts as, besides what it is of them:
what shut lips hide cannot be bent into being, and open ones hide their inner rims."""
_AT_ONCE = 16
"""Crops that go through the networks at a time."""
_FRAMES_AT_ONCE = 1024
"""Targets that are compared with the pool at a time."""


@dataclass(frozen=True)
class ReferenceChoice:
    """A pool of frames of the reference clip, and what each target frame uses of it."""

    frames: tuple[int, ...]
    choice: Int[Tensor, "t n"]
    """Positions in `frames`, the nearest first."""
    usable: Bool[Tensor, "t n"]
    """False where the pool is too small and a choice is only padding."""
    lips: Float[Tensor, "p m"]
    """How the lips stand in `frames`."""
    distance: Float[Tensor, "t n"]
    """From the wanted mouth and pose to the chosen ones, see `mouth_distance`."""


@dataclass(frozen=True)
class References:
    """The pool as the renderer's attention reads it; made once per clip."""

    features: Float[Tensor, "p f"]
    choice: Int16[Tensor, "t n"]
    """Short numbers: a long video has many frames."""
    usable: Bool[Tensor, "t n"]
    lips: Float[Tensor, "p m"]
    distance: Float[Tensor, "t n"]
    placement: Placement | None = None
    """Needed by renderers whose `config.places_references` is set."""

    def of(self, frames: slice) -> "References":
        """The references of some target frames."""
        return replace(
            self,
            choice=self.choice[frames],
            usable=self.usable[frames],
            distance=self.distance[frames],
            placement=self.placement and self.placement.of(frames),
        )


def choose_references(
    track: FaceTrack,
    wanted: Float[Tensor, "t m"],
    lips: Float[Tensor, "r m"],
    reference: FaceTrack | None = None,
    covered: Bool[Tensor, " r"] | None = None,
    per_frame: int = PER_FRAME,
    opening: Float[Tensor, " m"] | None = None,
) -> ReferenceChoice:
    """`per_frame` references, or as many as there are, for every frame of `track` among the frames
    of `reference`, else its own.

    `wanted` is the lip motion that each frame of `track` shall show, `lips` that which each frame
    of the reference clip shows; `opening` says how far a unit of each coefficient moves the inner
    lips apart, if that is known. Within one clip a frame never is its own reference, unless the
    clip shows the face only once, and its references are at least 30 frames away where there are
    enough such, else the farthest. `covered` frames show something before the mouth: they are taken
    only if there are no others. Raises NoFaceError when no frame of the reference clip shows the
    face, ValueError where `per_frame` is not 1 to MOST_PER_FRAME.
    """
    if not 1 <= per_frame <= MOST_PER_FRAME:
        raise ValueError(f"{per_frame} references for a frame: 1 to {MOST_PER_FRAME} can be used")
    source = track if reference is None else reference
    seen = source.visible.nonzero()[:, 0]
    if covered is not None and (source.visible & ~covered).any():
        seen = (source.visible & ~covered).nonzero()[:, 0]
    if not len(seen):
        raise NoFaceError(
            "no frame of the reference clip shows the face: give a clip in which it is seen"
        )
    poses = crop_poses(source)
    felt_wanted, felt = (_with_opening(motion, opening) for motion in (wanted, lips))
    pool = seen[_spread(torch.cat([felt[seen], POSE_SCALE * poses[seen]], 1))]
    poses_wanted, count = _smoothed(crop_poses(track)), min(per_frame, len(pool))
    chosen = []
    for part in torch.arange(len(wanted)).split(_FRAMES_AT_ONCE):
        distance = mouth_distance(felt_wanted[part], felt[pool], poses_wanted[part], poses[pool])
        allowed = torch.ones_like(distance, dtype=torch.bool)
        if reference is None:
            allowed = _far_in_time(pool, part, count)
        order = distance.masked_fill(~allowed, torch.inf).topk(count, largest=False).indices
        chosen.append((order, allowed.gather(1, order), distance.gather(1, order)))
    choice, usable, near = map(torch.cat, zip(*chosen, strict=True))
    return ReferenceChoice(
        frames=tuple(pool.tolist()),
        choice=choice,
        usable=usable,
        lips=lips[pool],
        distance=near,
    )


@torch.no_grad()
def encode_references(
    renderer: LipRenderer,
    crops: Float[Tensor, "p s s 3"],
    choice: ReferenceChoice,
    found: Float[Tensor, "p k 2"] | None = None,
    wanted: Wanted | None = None,
) -> References:
    """`crops`, in [0, 1], of the frames that `choice` names, made ready for `render_lips`.

    `found` and `wanted` are the points of `Placement`, for renderers that need it.
    """
    if len(crops) != len(choice.frames):
        raise ValueError(f"{len(crops)} reference crops for a choice of {len(choice.frames)}")
    features = []
    for some in crops.split(_AT_ONCE):
        with autocast(renderer.device):
            latents = renderer.encode(network_crops(some).to(renderer.device))
            features.append(renderer.unet.encode_references(latents))
    placement = None
    if found is not None and wanted is not None:
        placement = Placement(Pool.of(rearrange(crops, "p h w c -> p c h w")), found, wanted)
    chosen = choice.choice.short(), choice.usable, choice.lips, choice.distance
    return References(torch.cat(features), *chosen, placement)


def placed(references: References, crops: Float[Tensor, "t s s 3"]) -> Float[Tensor, "t s s 3"]:
    """What drawing begins from: for every target frame, whose own crop is in `crops`, its
    references with their lips brought to where they are wanted, in the frame's light.

    Raises ValueError where it is not known where lips lie.
    """
    placement = references.placement
    if placement is None:
        raise ValueError("this renderer needs to know where lips are in references and wanted")
    pool, found = placement.pool, placement.found
    far = references.distance.masked_fill(~references.usable, torch.inf)
    wanted, targets = placement.points(slice(None)), rearrange(crops, "t h w c -> t c h w")
    pictures = place(pool, references.choice.long(), far, found, wanted)
    return rearrange(in_light_of(targets, pictures), "t c h w -> t h w c")


def mouth_distance(
    wanted: Float[Tensor, "t m"],
    lips: Float[Tensor, "p m"],
    wanted_poses: Float[Tensor, "t q"],
    poses: Float[Tensor, "p q"],
) -> Float[Tensor, "t p"]:
    """How far mouths are from the wanted ones: lip motion in eye distances over all points
    together, and what the head is turned otherwise."""
    turned = POSE_SCALE * torch.cdist(wanted_poses.double(), poses.double())
    moved = torch.cdist(wanted.double(), lips.double())
    return torch.hypot(moved, turned).float()


def crop_poses(track: FaceTrack) -> Float[Tensor, "t p"]:
    """How a head is turned: where its stable points lie in the crop, as fractions of its side.

    The crop takes out place, scale and roll; what is left is turning and nodding.
    """
    return poses_in_crops(track.landmarks, track.frame_to_crop, track.crop_size)


def poses_in_crops(
    landmarks: Float[Tensor, "t k 3"], frame_to_crop: Float[Tensor, "t 2 3"], crop_size: int
) -> Float[Tensor, "t p"]:
    """`crop_poses` of TRACKED landmarks in frame pixels."""
    return points_in_crops(landmarks[:, tracked(STABLE)], frame_to_crop, crop_size).flatten(1)


def points_in_crops(
    points: Float[Tensor, "t k xyz"], frame_to_crop: Float[Tensor, "t 2 3"], crop_size: int
) -> Float[Tensor, "t k 2"]:
    """Where points, in frame pixels, lie in the crops, as fractions of their side."""
    matrices = frame_to_crop.float()
    turned = points[..., :2].float() @ matrices[:, :, :2].mT
    return (turned + matrices[:, None, :, 2]) / crop_size


def _spread(features: Float[Tensor, "v f"]) -> Int[Tensor, " p"]:
    """Numbers of up to POOL rows that stand for all: the row nearest to the middle of each of as
    many groups, grown about rows far from one another, so that a single odd row is no reference.

    In order of time.
    """
    features = features.double()
    far = [int((features - features.mean(0)).norm(dim=1).argmax())]
    distance = (features - features[far[0]]).norm(dim=1)
    groups = torch.zeros(len(features), dtype=torch.long)
    while len(far) < min(POOL, len(features)) and distance.max() > 0:
        far.append(int(distance.argmax()))
        to_new = (features - features[far[-1]]).norm(dim=1)
        groups[to_new < distance] = len(far) - 1
        distance = torch.minimum(distance, to_new)
    chosen = set()
    for group in range(len(far)):
        members = (groups == group).nonzero()[:, 0]
        middle = features[members].mean(0)
        chosen.add(int(members[(features[members] - middle).norm(dim=1).argmin()]))
    return torch.tensor(sorted(chosen))


def _with_opening(
    motion: Float[Tensor, "t m"], opening: Float[Tensor, " m"] | None
) -> Float[Tensor, "t _"]:
    """The motion, and beside it the lips' opening as far as it counts."""
    if opening is None:
        return motion
    return torch.cat([motion, OPENING_SCALE * (motion @ opening.to(motion))[:, None]], 1)


def _far_in_time(
    pool: Int[Tensor, " p"], targets: Int[Tensor, " t"], count: int
) -> Bool[Tensor, "t p"]:
    """Which of the pool a target of the same clip may use; at least one each."""
    apart = (targets[:, None] - pool).abs()
    allowed = apart >= DISTANCE
    few = allowed.sum(1) < count
    farthest = torch.zeros_like(allowed).scatter(1, apart.topk(count).indices, True)
    # Never the target itself, unless there is nothing else.
    farthest &= (apart > 0) | (len(pool) == 1)
    return torch.where(few[:, None], farthest, allowed)


def _smoothed(poses: Float[Tensor, "t p"]) -> Float[Tensor, "t p"]:
    return functional.avg_pool1d(
        poses.T[None], POSE_WINDOW, 1, POSE_WINDOW // 2, count_include_pad=False
    )[0].T
