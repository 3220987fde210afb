"""Sound at another rate, or in one channel, while it is read: lazy views of any sound."""

from collections.abc import Iterator
from fractions import Fraction

import torch
from jaxtyping import Float
from torch import Tensor

from ..types import Sound


def mixed(sound: Sound) -> Sound:
    """A lazy view of `sound` in one channel, the mean of all."""
    return sound if sound.channel_count == 1 else MixedSound(sound)


class MixedSound(Sound):
    """The mean of another sound's channels."""

    def __init__(self, sound: Sound):
        self._sound = sound
        self.sample_rate = sound.sample_rate

    @property
    def sample_count(self) -> int:
        return self._sound.sample_count

    @property
    def channel_count(self) -> int:
        return 1

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Float[Tensor, "1 _"]]:
        for block in self._sound.blocks(start, stop):
            yield block.mean(dim=0, keepdim=True)


def resampled(sound: Sound, sample_rate: int) -> Sound:
    """A lazy view of `sound` at another rate, its duration kept to the nearest sample."""
    return sound if sound.sample_rate == sample_rate else ResampledSound(sound, sample_rate)


class ResampledSound(Sound):
    """What libsoxr's stream makes of the blocks of another sound: the same filter ("HQ") that
    librosa puts the whole through, so the samples are alike to 1e-6."""

    def __init__(self, sound: Sound, sample_rate: int):
        self._sound = sound
        self.sample_rate = sample_rate

    @property
    def sample_count(self) -> int:
        return round(Fraction(self._sound.sample_count * self.sample_rate, self._sound.sample_rate))

    @property
    def channel_count(self) -> int:
        return self._sound.channel_count

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Float[Tensor, "c _"]]:
        """A later start reads what is before it too: the filter has to see it."""
        end = self.sample_count if stop is None else min(stop, self.sample_count)
        place = 0
        for block in self._filtered():
            inside = block[:, max(0, start - place) : max(0, end - place)]
            place += block.shape[1]
            if inside.shape[1]:
                yield inside
            if place >= end:
                return
        # The filter's end may fall short by a sample.
        if place < end:
            yield torch.zeros(self.channel_count, end - max(place, start))

    def _filtered(self) -> Iterator[Float[Tensor, "c _"]]:
        import soxr

        rates = self._sound.sample_rate, self.sample_rate
        stream = soxr.ResampleStream(*rates, self.channel_count, dtype="float32", quality="HQ")
        for block in self._sound.blocks():
            yield torch.from_numpy(stream.resample_chunk(block.T.contiguous().numpy())).T
        nothing = torch.zeros(0, self.channel_count).numpy()
        yield torch.from_numpy(stream.resample_chunk(nothing, last=True)).T
