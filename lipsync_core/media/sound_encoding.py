"""Sound into an mp4, block by block as AAC."""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from ..types import Sound
from .resampling import mixed, resampled

if TYPE_CHECKING:
    import av.container

# ISO/IEC 14496-3, table 1.18: the rates AAC knows.
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_BLOCK = 1024
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


class SoundEncoder:
    """One AAC stream of a container, fed as far as the pictures have come: mono, stereo or 5.1 as
    the sound is, else mono. The sound is read while it is written."""

    def __init__(self, container: "av.container.OutputContainer", sound: Sound):
        """Adds the stream."""
        self._container, sound = container, encodable(sound)
        rate = self._rate = sound.sample_rate
        self._layout = _LAYOUTS[sound.channel_count]
        self._stream = container.add_stream("aac", rate=rate, layout=self._layout)
        # The most AAC takes per block is 6144 bits for a channel: 6 bits a sample.
        most = {"mono": 160_000, "stereo": 256_000, "5.1": 512_000}[self._layout]
        self._stream.bit_rate = min(most, 6 * rate * sound.channel_count)
        self._stream.codec_context.time_base = Fraction(1, rate)
        self._blocks = _of_length(sound.blocks(), _BLOCK)
        self._written, self._count = 0, sound.sample_count

    def write(self, until: Fraction | None = None) -> None:
        """Encodes blocks that begin before `until` seconds; all that is left for None."""
        import av

        while self._written < self._count:
            if until is not None and self._written >= until * self._rate:
                return
            samples = next(self._blocks).contiguous().numpy()
            frame = av.AudioFrame.from_ndarray(samples, "fltp", self._layout)
            frame.sample_rate = self._rate
            frame.pts, frame.time_base = self._written, Fraction(1, self._rate)
            self._container.mux(self._stream.encode(frame))
            self._written += samples.shape[1]

    def finish(self) -> None:
        """Encodes what is left, and what the encoder still holds."""
        self.write()
        self._container.mux(self._stream.encode(None))


def check_encodable(sound: Sound) -> None:
    """Reads all of a sound; ValueError when it holds samples that are not finite."""
    if not all(bool(block.isfinite().all()) for block in sound.blocks()):
        raise ValueError("the sound holds samples that are not finite")


def encodable(sound: Sound) -> Sound:
    """A view of `sound` with a number of channels and at a rate that AAC knows."""
    rate = next((rate for rate in _RATES if rate >= sound.sample_rate), _RATES[-1])
    return resampled(sound if sound.channel_count in _LAYOUTS else mixed(sound), rate)


def _of_length(
    blocks: Iterable[Float[Tensor, "c _"]], length: int
) -> Iterator[Float[Tensor, "c n"]]:
    """The same samples in blocks of `length`, the last one shorter."""
    held: list[Tensor] = []
    count = 0
    for block in blocks:
        held.append(block)
        count += block.shape[1]
        if count >= length:
            *whole, rest = torch.cat(held, dim=1).split(length, dim=1)
            if rest.shape[1] == length:
                whole, rest = [*whole, rest], rest[:, :0]
            yield from whole
            held, count = [rest], rest.shape[1]
    if count:
        yield torch.cat(held, dim=1)
