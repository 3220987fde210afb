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


class SoundEncoder:
    """One mono AAC stream of a container, fed as far as the pictures have come."""

    def __init__(self, container: "av.container.OutputContainer", audio: Audio):
        """Adds the stream; ValueError when the sound holds samples that are not finite."""
        self._container, self._audio = container, encodable(audio)
        rate = self._audio.sample_rate
        self._stream = container.add_stream("aac", rate=rate, layout="mono")
        # The most AAC takes per block is 6144 bits for a channel: 6 bits a sample.
        self._stream.bit_rate = min(160_000, 6 * rate)
        self._stream.codec_context.time_base = Fraction(1, rate)
        self._written = 0

    def write(self, until: Fraction | None = None) -> None:
        """Encodes blocks that begin before `until` seconds; all that is left for None."""
        import av

        rate, samples = self._audio.sample_rate, self._audio.waveform
        while self._written < len(samples):
            if until is not None and self._written >= until * rate:
                return
            block = samples[self._written : self._written + _BLOCK]
            frame = av.AudioFrame.from_ndarray(block[None].numpy(), "fltp", "mono")
            frame.sample_rate = rate
            frame.pts, frame.time_base = self._written, Fraction(1, rate)
            self._container.mux(self._stream.encode(frame))
            self._written += len(block)

    def finish(self) -> None:
        """Encodes what is left, and what the encoder still holds."""
        self.write()
        self._container.mux(self._stream.encode(None))


def encodable(audio: Audio) -> Audio:
    """Finite float32 samples on the CPU, at a rate that AAC knows."""
    rate = next((rate for rate in _RATES if rate >= audio.sample_rate), _RATES[-1])
    audio = resample(audio, rate)
    waveform = audio.waveform.detach().cpu().to(torch.float32).contiguous()
    if not bool(waveform.isfinite().all()):
        raise ValueError("the sound holds samples that are not finite")
    return Audio(waveform, rate)
