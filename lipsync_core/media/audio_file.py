"""The sound of any file that FFmpeg reads, block by block or whole; and resampling."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from ..errors import MediaError
from ..types import SOUND_BLOCK, Audio, Sound
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


@dataclass(frozen=True)
class SoundTrack:
    """What can only be known of a track once it has been decoded."""

    sample_rate: int
    channel_count: int
    """1 where the number changes."""
    start: int
    end: int
    """The places of the first sample and after the last one."""


class FileSound(Sound):
    """A sound track, decoded anew each time it is read. Gaps in its time stamps are silence; where
    blocks overlap, the earlier stands."""

    def __init__(self, source: Source, track: SoundTrack, first: int, count: int):
        """`count` samples from place `first` on, silence where the track has none."""
        self._source, self._track = source, track
        self._first, self._count = first, count
        self.sample_rate = track.sample_rate

    @property
    def sample_count(self) -> int:
        return self._count

    @property
    def channel_count(self) -> int:
        return self._track.channel_count

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Float[Tensor, "c _"]]:
        place = self._first + start
        end = self._first + min(self._count, self._count if stop is None else stop)
        for block in sound_blocks(self._source):
            if place >= end or block.start >= end:
                break
            yield from self._silence(block.start - place)
            place = max(place, block.start)
            samples = block.samples[:, place - block.start : end - block.start]
            if samples.shape[1]:
                if len(samples) != self.channel_count:
                    samples = samples.mean(axis=0, keepdims=True)
                yield torch.from_numpy(samples)
                place += samples.shape[1]
        yield from self._silence(end - place)

    def _silence(self, count: int) -> Iterator[Float[Tensor, "c _"]]:
        for start in range(0, count, SOUND_BLOCK):
            yield torch.zeros(self.channel_count, min(SOUND_BLOCK, count - start))


def open_sound(path: Source) -> FileSound:
    """The first sound track of an audio or video file, at the file's own rate; one channel where
    their number changes.

    Begins with the track's first sample. Is decoded once to find out how long it is. MediaError for
    a file that cannot be read, has no sound, or has none that can be decoded.
    """
    track = _look_through(path)
    if track is None:
        raise MediaError(f"{source_name(path)} holds no sound. Use a file with a sound track.")
    return FileSound(path, track, track.start, track.end - track.start)


def read_audio(path: Source) -> Audio:
    """`open_sound`, all of it in memory."""
    return open_sound(path).read()


def sound_between(source: Source, start: Fraction, duration: Fraction) -> FileSound | None:
    """The first sound track of a file from `start`, seconds on the container's clock.

    Exactly `duration` seconds, with silence where the track has nothing; None without a track.
    """
    track = _look_through(source, start + duration)
    if track is None:
        return None
    rate = track.sample_rate
    return FileSound(source, track, round(start * rate), round(duration * rate))


def resample(audio: Audio, sample_rate: int) -> Audio:
    """The same sound at another rate, its duration kept to the nearest sample."""
    if audio.sample_rate == sample_rate or audio.waveform.numel() == 0:
        return replace(audio, sample_rate=sample_rate)
    if audio.channels is not None:
        channels = _resampled(audio.channels, audio.sample_rate, sample_rate)
        return Audio(channels.mean(dim=0), sample_rate, channels)
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


def _look_through(source: Source, until: Fraction | None = None) -> SoundTrack | None:
    """A track as far as `until` seconds; None where nothing can be decoded."""
    first, end, numbers = None, 0, set()
    for block in sound_blocks(source):
        if first is None:
            first, end = block, block.end
        elif until is not None and block.start >= round(until * block.sample_rate):
            break
        end = max(end, block.end)
        numbers.add(len(block.samples))
    if first is None:
        return None
    channel_count = numbers.pop() if len(numbers) == 1 else 1
    return SoundTrack(first.sample_rate, channel_count, first.start, end)
