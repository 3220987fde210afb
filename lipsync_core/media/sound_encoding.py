"""Sound into an mp4, block by block as AAC."""

from fractions import Fraction
from typing import TYPE_CHECKING

import torch

from ..types import Audio
from .audio_file import resample

if TYPE_CHECKING:
    import av.container

# ISO/IEC 14496-3, table 1.18: the rates AAC knows.
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_BLOCK = 1024
_LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


class SoundEncoder:
    """One AAC stream of a container, fed as far as the pictures have come: mono, stereo or 5.1 as
    the sound is, else mono."""

    def __init__(self, container: "av.container.OutputContainer", audio: Audio):
        """Adds the stream; ValueError when the sound holds samples that are not finite."""
        self._container, audio = container, encodable(audio)
        rate = self._rate = audio.sample_rate
        channels = audio.waveform[None] if audio.channels is None else audio.channels
        known = len(channels) in _LAYOUTS
        self._channels = channels if known else audio.waveform[None]
        self._layout = _LAYOUTS[len(self._channels)]
        self._stream = container.add_stream("aac", rate=rate, layout=self._layout)
        # The most AAC takes per block is 6144 bits for a channel: 6 bits a sample.
        most = {"mono": 160_000, "stereo": 256_000, "5.1": 512_000}[self._layout]
        self._stream.bit_rate = min(most, 6 * rate * len(self._channels))
        self._stream.codec_context.time_base = Fraction(1, rate)
        self._written = 0

    def write(self, until: Fraction | None = None) -> None:
        """Encodes blocks that begin before `until` seconds; all that is left for None."""
        import av

        rate = self._rate
        while self._written < self._channels.shape[1]:
            if until is not None and self._written >= until * rate:
                return
            block = self._channels[:, self._written : self._written + _BLOCK]
            samples = block.contiguous().numpy()
            frame = av.AudioFrame.from_ndarray(samples, "fltp", self._layout)
            frame.sample_rate = rate
            frame.pts, frame.time_base = self._written, Fraction(1, rate)
            self._container.mux(self._stream.encode(frame))
            self._written += block.shape[1]

    def finish(self) -> None:
        """Encodes what is left, and what the encoder still holds."""
        self.write()
        self._container.mux(self._stream.encode(None))


def encodable(audio: Audio) -> Audio:
    """Finite float32 samples on the CPU, at a rate that AAC knows."""
    rate = next((rate for rate in _RATES if rate >= audio.sample_rate), _RATES[-1])
    audio = resample(audio, rate)
    waveform = audio.waveform.detach().cpu().to(torch.float32)
    if not bool(waveform.isfinite().all()):
        raise ValueError("the sound holds samples that are not finite")
    channels = audio.channels
    return Audio(waveform, rate, None if channels is None else channels.detach().cpu().float())
