"""How much of the new face is shown over time: it fades where it comes and goes inside a shot."""

from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..types import FaceTrack

FADE = 0.2
"""Seconds in which the re-made face gives way to the frame's own, or takes over from it."""


def presence(track: FaceTrack, span: slice) -> Float[Tensor, " t"]:
    """The share of the re-made face in the frames of `span`, in [0, 1].

    0 where the face is not visible: turned too far, covered, partly outside. From there it rises
    to 1 within FADE, so that nothing pops while a head turns. At a cut, and at the clip's ends,
    there is nothing to fade from.
    """
    length = FADE * float(track.fps)
    # What is farther away than a fade does not matter.
    begin = max(0, span.start - int(length) - 1)
    end = min(len(track.visible), span.stop + int(length) + 1)
    share = torch.zeros(end - begin)
    edges = [begin, *(cut for cut in track.cuts if begin < cut < end), end]
    for start, stop in pairwise(edges):
        share[start - begin : stop - begin] = _faded(track.visible[start:stop], length)
    return share[span.start - begin : span.stop - begin]


def _faded(visible: Bool[Tensor, " t"], frames: float) -> Float[Tensor, " t"]:
    """By the distance to the nearest frame without the face."""
    unseen = (~visible).nonzero()[:, 0].numpy(force=True)
    if not len(unseen):
        return torch.ones(len(visible))
    place = np.arange(len(visible))
    after = np.searchsorted(unseen, place)
    before = unseen[np.maximum(after - 1, 0)]
    distance = np.minimum(
        np.abs(place - before), np.abs(unseen[np.minimum(after, len(unseen) - 1)] - place)
    )
    x = torch.from_numpy(distance / (frames + 1)).clamp(max=1).float()
    return x * x * (3 - 2 * x)
