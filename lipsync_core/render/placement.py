"""References brought into place: bent, mixed, and in the light of the frame they stand in for.

A mouth that the person has shown, bent until its lips are where they are wanted, is already most of
the wanted picture. Details and tones are mixed apart, as in the multiresolution splines of Burt and
Adelson (ACM Transactions on Graphics 2(4), 1983): details stay sharp only if they come from few
references, tones steady only if they come from many.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial

import torch
from einops import rearrange
from jaxtyping import Bool, Float, Float16, Int
from torch import Tensor
from torch.nn import functional

from ..crop_geometry import crop_mask, crop_points
from .blur import blurred
from .mouth_bending import bend_mouth

DETAILED = 3
"""Of the nearest references in place, how many give a frame its details: more of them blur teeth
and skin, one alone makes them jump where another one becomes the nearest. Three are nearer to the
real picture than two, and a little softer (docs/log.md)."""
DETAIL_NEARNESS = 300.0
"""Per squared eye distance: how soon the second counts less than the first."""
TONE_NEARNESS = 60.0
"""The same for tones, which all references give together: light and skin then change as slowly as
in the real video, and what the landmarks of one of them are off by counts little."""
TONE_SIZE = 64
"""Pixels along the crop's side in which tones are mixed; they are what is coarser still."""
_AT_ONCE = 8
"""Frames: what is bent for them is some 40 MB."""
LIT = (-0.72, 0.0, 0.72, 1.3)
"""Left, top, right, bottom of the face from the eyes to the chin, canonical face, eye distances: as
far as it is not made anew, it tells how the light has changed."""
MOST_LIGHT = 3.0
"""Light is never changed by a larger factor: what would need more is no light."""


@dataclass(frozen=True)
class Pool:
    """Pictures that are brought into place, in [0, 1], and the same small."""

    pictures: Float16[Tensor, "p c s s"]
    """Half the memory; still as fine as pictures of ten bits."""
    small: Float[Tensor, "p c t t"]

    @classmethod
    def of(cls, pictures: Float[Tensor, "p c s s"]) -> "Pool":
        """Of pictures of any precision."""
        return cls(pictures.half(), _small(pictures.float()))


Wanted = Float[Tensor, "t k 2"] | Callable[[slice], Float[Tensor, "_ k 2"]]
"""Points in every target frame, or what tells them of some: a long video has many frames."""


@dataclass(frozen=True)
class Placement:
    """What brings references into place. Points are TRACKED landmarks, fractions of the crop."""

    pool: Pool
    found: Float[Tensor, "p k 2"]
    """Where the points are in it."""
    wanted: Wanted
    """Where each target frame is to have them."""

    def of(self, frames: slice) -> "Placement":
        """That of some target frames."""
        return replace(self, wanted=self.points(frames))

    def points(self, frames: slice) -> Float[Tensor, "_ k 2"]:
        """Where some target frames are to have them."""
        return self.wanted(frames) if callable(self.wanted) else self.wanted[frames]


def place(
    pool: Pool,
    choice: Int[Tensor, "t n"],
    distance: Float[Tensor, "t n"],
    found: Float[Tensor, "p k 2"],
    wanted: Float[Tensor, "t k 2"],
) -> Float[Tensor, "t c s s"]:
    """The chosen pictures of `pool`, whose points lie at `found`, with these brought to where they
    are `wanted`: the details of the nearest in the tones of all.

    Points are fractions of the side; references at an infinite distance count nothing.
    """
    parts = zip(*(x.split(_AT_ONCE) for x in (choice, distance, wanted)), strict=True)
    return torch.cat([_placed(pool, found, *part) for part in parts])


def _placed(
    pool: Pool,
    found: Float[Tensor, "p k 2"],
    choice: Int[Tensor, "t n"],
    distance: Float[Tensor, "t n"],
    wanted: Float[Tensor, "t k 2"],
) -> Float[Tensor, "t c s s"]:
    near = distance.topk(min(DETAILED, distance.shape[1]), largest=False)
    bent = partial(_bent, found=found, wanted=wanted)
    few = choice.gather(1, near.indices)
    details = bent(pool.pictures, few, shares=_shares(near.values, DETAIL_NEARNESS))
    tones = bent(pool.small, choice, shares=_shares(distance, TONE_NEARNESS))
    return _in_tones(details, tones)


def _bent(
    pool: Float[Tensor, "p c s s"],
    choice: Int[Tensor, "t n"],
    shares: Float[Tensor, "t n"],
    found: Float[Tensor, "p k 2"],
    wanted: Float[Tensor, "t k 2"],
) -> Float[Tensor, "t c s s"]:
    """The chosen pictures, whose points lie at `found`, bent and mixed by `shares`."""
    count = choice.shape[1]
    pictures, points = (rearrange(x[choice], "t n ... -> (t n) ...") for x in (pool, found))
    bent = bend_mouth(pictures.float(), points, wanted.repeat_interleave(count, 0))
    bent = rearrange(bent, "(t n) c h w -> t n c h w", n=count)
    return torch.einsum("tn,tnchw->tchw", shares.to(bent), bent)


def _shares(distance: Float[Tensor, "t n"], nearness: float) -> Float[Tensor, "t n"]:
    return (-nearness * distance.square()).softmax(1)


def _small(pictures: Float[Tensor, "b c s s"]) -> Float[Tensor, "b c t t"]:
    """At TONE_SIZE, or as they are where they are smaller."""
    size = min(TONE_SIZE, pictures.shape[-1])
    return functional.interpolate(pictures, size=(size, size), mode="area")


def _in_tones(
    details: Float[Tensor, "b c s s"], tones: Float[Tensor, "b c t t"]
) -> Float[Tensor, "b c s s"]:
    """`details`, in [0, 1], in the tones of small pictures of the same."""
    change = blurred(tones - _small(details), 1.0)
    change = functional.interpolate(
        change, size=details.shape[-1], mode="bicubic", align_corners=False
    )
    return (details + change).clamp(0, 1)


def in_light_of(
    crops: Float[Tensor, "b 3 s s"], pictures: Float[Tensor, "b 3 s s"]
) -> Float[Tensor, "b 3 s s"]:
    """`pictures` with the exposure and white balance of `crops`, both in [0, 1]: each colour times
    the ratio of its means over the face outside the mask."""
    face = _kept_face(crops.shape[-1]).to(crops.device)
    wanted, found = (x[..., face].mean(-1).clamp_min(1 / 255) for x in (crops, pictures))
    factor = (wanted / found).clamp(1 / MOST_LIGHT, MOST_LIGHT)
    return (pictures * factor[:, :, None, None]).clamp(0, 1)


@cache
def _kept_face(crop_size: int) -> Bool[Tensor, "s s"]:
    left, top, right, bottom = LIT
    corners = crop_points(torch.tensor([[left, top], [right, bottom]]), crop_size)
    (left, top), (right, bottom) = corners.round().int().tolist()
    face = torch.zeros(crop_size, crop_size, dtype=torch.bool)
    face[max(top, 0) : bottom, max(left, 0) : right] = True
    return face & (crop_mask(crop_size) == 0)
