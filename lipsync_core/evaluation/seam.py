"""Whether the edge of the mask shows: how much a picture changes across it.

The ring about the edge is sampled along its normals, one pixel apart. A picture that was pasted in
with another colour or light steps there, all along the edge, where the real picture does not.

    outside  |  feather of the compositor  |  inside
             ^ edge of the mask
"""

from dataclasses import dataclass

import torch
from einops import rearrange, reduce
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from ..compositing.mask import FEATHER
from ..crop_geometry import MASK_POLYGON, crop_points

RIM = 2
"""Pixels on either side of the feathered edge that belong to the ring."""
ALONG = 0.05
"""Stretches of the edge over which samples are averaged, in crop sides: skin's own texture has no
common direction along the edge and averages out, a seam does not."""


@dataclass(frozen=True)
class Seam:
    """One frame's ring beside the same ring of the real frame."""

    our_energy: float
    real_energy: float
    """Mean squared change between neighbouring samples across the ring. Contours that cross it,
    such as a jaw before a wall, hold most of it and can hide a seam elsewhere."""
    step: float
    """By how many grey levels of 255 (root mean square of the colours) our picture is off inside
    the ring otherwise than outside: the median over stretches of the edge, each averaged along
    itself. Sees what is drowned in the energy; of no meaning where the clips differ at the ring
    for another reason, as when the head moves."""


def measure_seam(
    ours: Float[Tensor, "h w 3"], real: Float[Tensor, "h w 3"], outline: Float[Tensor, "k 2"]
) -> Seam | None:
    """Change across the mask's edge in two frames; None when no stretch of the edge is in sight.

    `outline` holds the mask's corners in frame pixels, clockwise (`mask_outlines`). Only stretches
    that lie wholly inside the frame count.
    """
    crop_side = _crop_side(outline)
    ring = max(1, round(FEATHER * crop_side)) + 2 * RIM
    energies: list[Float[Tensor, "2 stretch"]] = []
    steps: list[Float[Tensor, " stretch"]] = []
    for start, end in zip(outline, outline.roll(-1, 0), strict=True):
        points = _points_across(start, end, max(3.0, ALONG * crop_side), ring)
        points = points[_inside_frame(points, *real.shape[:2])]
        if len(points):
            profiles = torch.stack([_sample(frame, points) for frame in (ours, real)])
            change = profiles.diff(dim=3).double().square()
            pattern = "both stretch along across c -> both stretch"
            energies.append(reduce(change, pattern, "mean"))
            off = reduce(
                profiles[0] - profiles[1], "stretch along across c -> stretch across c", "mean"
            )
            steps.append((off[:, -1] - off[:, 0]).square().mean(-1).sqrt())
    if not energies:
        return None
    our_energy, real_energy = torch.cat(energies, 1).mean(1).tolist()
    return Seam(our_energy, real_energy, 255 * float(torch.cat(steps).median()))


def _crop_side(outline: Float[Tensor, "k 2"]) -> float:
    """The side of the crop in frame pixels, from how large the mask is."""
    in_unit_crop = crop_points(torch.tensor(MASK_POLYGON), 1).double()
    spread = (outline.double() - outline.double().mean(0)).norm()
    return float(spread / (in_unit_crop - in_unit_crop.mean(0)).norm())


def _points_across(
    start: Float[Tensor, " 2"], end: Float[Tensor, " 2"], stretch_length: float, ring: int
) -> Float[Tensor, "stretch along across 2"]:
    """Points about one straight piece of the edge, one pixel apart across and about one along:
    from RIM outside over `ring` pixels to the inside."""
    edge = end - start
    length = float(edge.norm())
    # Near corners the normals of two pieces would cross.
    usable = max(length - ring, 1.0)
    stretches = max(1, round(usable / stretch_length))
    along = max(1, round(usable / stretches))
    tangent = edge / length
    inward = torch.stack([-tangent[1], tangent[0]])
    places = (torch.arange(stretches * along).double() + 0.5) / (stretches * along) - 0.5
    depths = torch.arange(ring + 1).double() - RIM
    points = (
        (start + end) / 2
        + places[:, None, None] * usable * tangent
        + depths[None, :, None] * inward
    )
    return rearrange(points, "(stretch along) across xy -> stretch along across xy", along=along)


def _inside_frame(
    points: Float[Tensor, "stretch along across 2"], height: int, width: int
) -> Bool[Tensor, " stretch"]:
    size = points.new_tensor((width, height))
    return ((points >= 0.5) & (points <= size - 0.5)).flatten(1).all(1)


def _sample(
    frame: Float[Tensor, "h w 3"], points: Float[Tensor, "stretch along across 2"]
) -> Float[Tensor, "stretch along across 3"]:
    """The frame at `points` (pixel centres at +.5), linear between pixels."""
    size = points.new_tensor((frame.shape[1], frame.shape[0]))
    grid = rearrange(
        points / size * 2 - 1, "stretch along across xy -> 1 (stretch along) across xy"
    )
    sampled = functional.grid_sample(
        rearrange(frame.float(), "h w c -> 1 c h w"),
        grid.to(frame.device).float(),
        align_corners=False,
    )
    return rearrange(
        sampled, "1 c (stretch along) across -> stretch along across c", along=points.shape[1]
    )
