"""Clips one after another, as one clip: several short takes are a longer reference of a person."""

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import MediaError
from ..types import Audio, Clip
from .resampling import resampled


def chain_clips(clips: Sequence[Clip]) -> Clip:
    """A lazy view of `clips`, the first of them first; a single one as it is.

    MediaError where they are of several sizes or rates, ValueError without any.
    """
    if not clips:
        raise ValueError("no clips were given; a chain needs at least one")
    kinds = dict.fromkeys((clip.width, clip.height, clip.fps) for clip in clips)
    if len(kinds) > 1:
        found = [f"{width}x{height} at {float(fps):g} fps" for width, height, fps in kinds]
        raise MediaError(
            f"the clips that shall follow one another are {', '.join(found)}: give clips of one "
            "size and frame rate, or one of them"
        )
    return clips[0] if len(clips) == 1 else ChainedClip(clips)


class ChainedClip(Clip):
    """Clips of one size and rate, one after another."""

    def __init__(self, clips: Sequence[Clip]):
        first = clips[0]
        self._clips = list(clips)
        self._ends = list(accumulate(clip.frame_count for clip in clips))
        self.fps, self.height, self.width = first.fps, first.height, first.width
        self.coding = first.coding
        self.frame_count = self._ends[-1]

    def frames(self, start: int, stop: int) -> Float[Tensor, "t h w 3"]:
        if not 0 <= start <= stop <= self.frame_count:
            raise ValueError(f"frames {start} to {stop} of a clip of {self.frame_count}")
        parts = []
        for clip, end in zip(self._clips, self._ends, strict=True):
            begin = end - clip.frame_count
            first, last = max(start - begin, 0), min(stop - begin, clip.frame_count)
            if first < last:
                parts.append(clip.frames(first, last))
        if not parts:
            return torch.empty(0, self.height, self.width, 3)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def audio(self) -> Audio | None:
        """The clips' sounds, each as long as its pictures, at the first one's rate; silence for a
        clip without; None where all are silent."""
        sounds = [clip.sound() for clip in self._clips]
        rate = next((sound.sample_rate for sound in sounds if sound is not None), None)
        if rate is None:
            return None
        ends = [0, *(round(end / self.fps * rate) for end in self._ends)]
        waveform = torch.zeros(ends[-1])
        for sound, (begin, end) in zip(sounds, pairwise(ends), strict=True):
            if sound is not None:
                heard = resampled(sound, rate).read().waveform[: end - begin]
                waveform[begin : begin + len(heard)] = heard
        return Audio(waveform, rate)
