"""What no renderer at all would do: paste the mouth of the frame whose lip motion is nearest.

Also the ceiling: the codec alone, which decodes what it encoded of the real crop. Both replace the
same pixels as the renderer does.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from ..face.alignment import crop_faces
from ..render.precision import autocast
from ..render.renderer import LipRenderer, network_crops
from ..render.rendering import BATCH, decode_lip_latents, feathered_mask
from .renderer_clips import LookedAt, RendererClip
from .seen_clips import SeenClip

DISTANCE = 30
"""Frames between a frame and what may be copied from its own clip: nearer ones show its mouth."""


@dataclass(frozen=True)
class Shelf:
    """Frames that may be copied."""

    source: SeenClip
    frames: Int[Tensor, " n"]
    allowed: Bool[Tensor, "t n"]
    """Which of them each rendered frame may take."""


def shelf_of_references(work: RendererClip, looked: LookedAt) -> Shelf:
    """Exactly what the renderer looks at, frame by frame."""
    references = looked.references.of(work.span)
    allowed = torch.zeros(len(references.choice), len(looked.pool), dtype=torch.bool)
    # A padding choice points at a frame that another choice allows; adding keeps it allowed.
    allowed = allowed.int().scatter_add(1, references.choice.long(), references.usable.int()) > 0
    return Shelf(looked.source, torch.tensor(looked.pool), allowed)


def shelf_of_clip(work: RendererClip, source: SeenClip) -> Shelf:
    """Every frame of another clip that shows the face."""
    frames = source.track.visible.nonzero()[:, 0]
    return Shelf(source, frames, torch.ones(len(work.crops), len(frames), dtype=torch.bool))


def shelf_of_itself(work: RendererClip) -> Shelf | None:
    """The clip's own frames, DISTANCE and more away; None where some frame has no such."""
    frames = work.seen.track.visible.nonzero()[:, 0]
    targets = torch.arange(work.span.start, work.span.stop)
    allowed = (targets[:, None] - frames).abs() >= DISTANCE
    return Shelf(work.seen, frames, allowed) if allowed.any(dim=1).all() else None


def nearest_frames(shelf: Shelf, wanted: Float[Tensor, "t m"]) -> Int[Tensor, " t"]:
    """For each wanted motion the allowed frame of the shelf whose own is nearest, in the source."""
    distances = torch.cdist(wanted, shelf.source.frame_motion()[shelf.frames])
    return shelf.frames[distances.masked_fill(~shelf.allowed, torch.inf).argmin(dim=1)]


def copy_mouths(
    renderer: LipRenderer, work: RendererClip, shelf: Shelf
) -> Float[Tensor, "t s s 3"]:
    """The real crops with the mouths of the nearest frames, pasted by the renderer's own seam."""
    chosen = nearest_frames(shelf, work.seen.frame_motion()[work.span])
    track, pictures = shelf.source.track, shelf.source.pictures
    distinct, place = chosen.unique(return_inverse=True)
    copies = [
        crop_faces(pictures.frames(i, i + 1), track.frame_to_crop[i, None], track.crop_size)
        for i in distinct.tolist()
    ]
    seam = feathered_mask(renderer).to(work.crops)[0, 0, ..., None]
    return seam * torch.cat(copies)[place] + (1 - seam) * work.crops


@torch.no_grad()
def through_codec(
    renderer: LipRenderer, crops: Float[Tensor, "t s s 3"]
) -> Float[Tensor, "t s s 3"]:
    """The crops encoded and decoded: the best that any denoiser could do."""
    latents = []
    for batch in crops.split(BATCH):
        with autocast(renderer.device):
            latents.append(renderer.encode(network_crops(batch).to(renderer.device)).float())
    return decode_lip_latents(renderer, torch.cat(latents).to(crops.device), crops)
