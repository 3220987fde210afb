"""The sound of any file that FFmpeg reads, as one channel and as it is; and resampling."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from ..errors import MediaError
from ..types import Audio
from .opening import Source, reading, source_name

if TYPE_CHECKING:
    import av

_LARGEST_JITTER = Fraction(1, 20)
"""Seconds. Stamps that are nearer to where the last block ended are only rounded."""


@dataclass(frozen=True)
class SoundBlock:
    """Some samples of a file, and where they belong."""

    samples: Float32[np.ndarray, "c n"]
    start: int
    """The place of the first one, in samples from the container's time zero; may be negative."""
    sample_rate: int

    @property
    def end(self) -> int:
        """The place after the last sample."""
        return self.start + self.samples.shape[1]


def read_audio(path: Source) -> Audio:
    """The first sound track of an audio or video file, at the file's own rate; one channel where
    their number changes.

    Begins with the track's first sample; gaps in its time stamps become silence. MediaError for
    a file that cannot be read, has no sound, or has none that can be decoded.
    """
    blocks = list(sound_blocks(path))
    if not blocks:
        raise MediaError(f"{source_name(path)} holds no sound. Use a file with a sound track.")
    first, rate = blocks[0].start, blocks[0].sample_rate
    numbers = {len(block.samples) for block in blocks}
    channels = numbers.pop() if len(numbers) == 1 else 1
    samples = np.zeros((channels, max(block.end for block in blocks) - first), np.float32)
    for block in blocks:
        _lay(block, samples, first)
    return _audio(torch.from_numpy(samples), rate)


def audio_between(source: Source, start: Fraction, duration: Fraction) -> Audio | None:
    """The first sound track of a file from `start`, seconds on the container's clock.

    Exactly `duration` seconds, with silence where the track has nothing; None without a track.
    """
    first = count = rate = 0
    samples = None
    for block in sound_blocks(source):
        rate = block.sample_rate
        if samples is None:
            first, count = round(start * rate), round(duration * rate)
            samples = np.zeros((len(block.samples), count), np.float32)
        if block.start >= first + count:
            break
        if len(block.samples) != len(samples):
            samples = samples.mean(axis=0, keepdims=True)
        _lay(block, samples, first)
    return None if samples is None else _audio(torch.from_numpy(samples), rate)


def resample(audio: Audio, sample_rate: int) -> Audio:
    """The same sound at another rate, its duration kept to the nearest sample."""
    if audio.sample_rate == sample_rate or audio.waveform.numel() == 0:
        return replace(audio, sample_rate=sample_rate)
    if audio.channels is not None:
        return _audio(_resampled(audio.channels, audio.sample_rate, sample_rate), sample_rate)
    return Audio(_resampled(audio.waveform, audio.sample_rate, sample_rate), sample_rate)


def _resampled(samples: Float[Tensor, "*c n"], given: int, wanted: int) -> Float[Tensor, "*c m"]:
    import librosa

    known = samples.detach().cpu().float().numpy()
    resampled = librosa.resample(known, orig_sr=given, target_sr=wanted)
    length = round(Fraction(known.shape[-1] * wanted, given))
    return torch.from_numpy(librosa.util.fix_length(resampled, size=length))


def sound_blocks(source: Source) -> Iterator[SoundBlock]:
    """Decodes the first sound track block by block; nothing for a file without one."""
    from av.error import InvalidDataError

    with reading(source) as container:
        if not container.streams.audio:
            return
        stream = container.streams.audio[0]
        sample_rate, end = 0, None
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except InvalidDataError:
                continue  # a damaged packet: silence in its place
            for frame in frames:
                if sample_rate not in (0, frame.sample_rate):
                    raise MediaError(
                        f"The sound of {source_name(source)} changes its rate from {sample_rate} "
                        f"to {frame.sample_rate} Hz half way. Re-encode it at one rate."
                    )
                sample_rate = frame.sample_rate
                block = SoundBlock(_samples(frame), _place(frame, end), sample_rate)
                end = block.end
                yield block


def _place(frame: "av.AudioFrame", end: int | None) -> int:
    """Where a frame begins: where the last one ended, unless its stamp is far from there."""
    if frame.pts is None or frame.time_base is None:
        return end or 0
    stamp = round(frame.pts * frame.time_base * frame.sample_rate)
    near = end is not None and abs(stamp - end) <= _LARGEST_JITTER * frame.sample_rate
    return end if end is not None and near else stamp


def _samples(frame: "av.AudioFrame") -> Float32[np.ndarray, "c n"]:
    """Samples in [-1, 1]."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples / np.float32(2 ** (8 * samples.itemsize - 1))
    return samples.astype(np.float32, copy=False)


def _audio(channels: Float[Tensor, "c n"], sample_rate: int) -> Audio:
    if len(channels) == 1:
        return Audio(channels[0], sample_rate)
    return Audio(channels.mean(dim=0), sample_rate, channels)


def _lay(block: SoundBlock, samples: Float32[np.ndarray, "c n"], first: int) -> None:
    """Puts what of `block` lies in `samples`, which begin at place `first`, into its place."""
    start, length, count = block.start - first, block.samples.shape[1], samples.shape[1]
    inside = block.samples[:, max(0, -start) : max(0, min(length, count - start))]
    if len(inside) != len(samples):
        inside = inside.mean(axis=0, keepdims=True)
    samples[:, max(0, start) : max(0, start) + inside.shape[1]] = inside
