"""The sound of any file that FFmpeg reads, as mono samples; and resampling."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float32

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

    samples: Float32[np.ndarray, " n"]
    start: int
    """The place of the first one, in samples from the container's time zero; may be negative."""
    sample_rate: int


def read_audio(path: Source) -> Audio:
    """The first sound track of an audio or video file, channels averaged, at the file's own rate.

    Begins with the track's first sample; gaps in its time stamps become silence. MediaError for
    a file that cannot be read, has no sound, or has none that can be decoded.
    """
    blocks = list(sound_blocks(path))
    if not blocks:
        raise MediaError(f"{source_name(path)} holds no sound. Use a file with a sound track.")
    first = blocks[0].start
    end = max(block.start + len(block.samples) for block in blocks)
    return Audio(_laid_out(blocks, first, end - first), blocks[0].sample_rate)


def audio_between(source: Source, start: Fraction, duration: Fraction) -> Audio | None:
    """The first sound track of a file from `start`, seconds on the container's clock.

    Exactly `duration` seconds, with silence where the track has nothing; None without a track.
    """
    kept: list[SoundBlock] = []
    sample_rate = 0
    for block in sound_blocks(source):
        sample_rate = block.sample_rate
        if block.start >= (start + duration) * sample_rate:
            break
        if block.start + len(block.samples) > start * sample_rate:
            kept.append(block)
    if not sample_rate:
        return None
    first, count = round(start * sample_rate), round(duration * sample_rate)
    return Audio(_laid_out(kept, first, count), sample_rate)


def resample(audio: Audio, sample_rate: int) -> Audio:
    """The same sound at another rate, its duration kept to the nearest sample."""
    if audio.sample_rate == sample_rate or audio.waveform.numel() == 0:
        return Audio(audio.waveform, sample_rate)
    import librosa

    samples = audio.waveform.detach().cpu().float().numpy()
    resampled = librosa.resample(samples, orig_sr=audio.sample_rate, target_sr=sample_rate)
    length = round(Fraction(len(samples) * sample_rate, audio.sample_rate))
    resampled = librosa.util.fix_length(resampled, size=length)
    return Audio(torch.from_numpy(resampled), sample_rate)


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
                block = SoundBlock(_mono(frame), _place(frame, end), sample_rate)
                end = block.start + len(block.samples)
                yield block


def _place(frame: "av.AudioFrame", end: int | None) -> int:
    """Where a frame begins: where the last one ended, unless its stamp is far from there."""
    if frame.pts is None or frame.time_base is None:
        return end or 0
    stamp = round(frame.pts * frame.time_base * frame.sample_rate)
    near = end is not None and abs(stamp - end) <= _LARGEST_JITTER * frame.sample_rate
    return end if end is not None and near else stamp


def _mono(frame: "av.AudioFrame") -> Float32[np.ndarray, " n"]:
    """Samples in [-1, 1], channels averaged."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if samples.dtype == np.uint8:
        samples = (samples.astype(np.float32) - 128) / 128
    elif samples.dtype.kind == "i":
        samples = samples / np.float32(2 ** (8 * samples.itemsize - 1))
    return samples.mean(axis=0, dtype=np.float32)


def _laid_out(blocks: list[SoundBlock], first: int, count: int) -> torch.Tensor:
    """`count` samples from place `first` on; silence where no block is."""
    samples = np.zeros(count, np.float32)
    for block in blocks:
        start, stop = block.start - first, block.start - first + len(block.samples)
        inside = block.samples[max(0, -start) : max(0, len(block.samples) - max(0, stop - count))]
        samples[max(0, start) : max(0, start) + len(inside)] = inside
    return torch.from_numpy(samples)
