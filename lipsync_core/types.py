"""The data that flows between the stages.

Axes, everywhere in this package: b batch, t time (video frames, or 25 Hz steps where said), h w c
image, n audio samples, d speech features, k landmarks, m motion coefficients, r reference crops.

Pictures are RGB floats in [0, 1]; only networks see [-1, 1]. Lengths marked "eye distances" are
measured in the distance of the outer eye corners (landmarks 33 and 263) of the canonical face.
Pixels are frame coordinates, x right, y down, with pixel centres at +.5. Seconds are counted from
the first frame or sample.

Every type is frozen: one object may be handed to many consumers, so nobody edits a tensor in place.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

MOTION_RATE = 25
"""Speech features and lip motion live at this many steps per second; step i is at i / 25 s."""

OnProgress = Callable[[int, int], None]
"""Called with (done, total) after each chunk of work. Raising in it cancels the work."""


SOUND_BLOCK = 2**16
"""Samples of a channel that are handed on at once, at most, by what has them all."""


class Sound(ABC):
    """Sound with all of its channels, read on demand and never held whole."""

    sample_rate: int

    @property
    @abstractmethod
    def sample_count(self) -> int:
        """Of each channel."""

    @property
    @abstractmethod
    def channel_count(self) -> int:
        """How many channels every block has."""

    @abstractmethod
    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Float[Tensor, "c _"]]:
        """The samples start <= i < stop (to the end if None) from first to last, in [-1, 1], as
        float32 on the CPU, in blocks of any length. Every call reads anew."""

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.sample_count / self.sample_rate

    def samples(self, start: int, stop: int) -> "Sound":
        """A lazy view of the samples start <= i < stop, as far as there are."""
        return _SoundPart(self, start, max(start, min(stop, self.sample_count)))

    def read(self) -> "Audio":
        """All of it, in memory."""
        channels = self.read_channels()
        if len(channels) == 1:
            return Audio(channels[0], self.sample_rate)
        return Audio(channels.mean(dim=0), self.sample_rate, channels)

    def read_channels(self) -> Float[Tensor, "c n"]:
        """The samples of all channels, in memory."""
        channels, place = torch.empty(self.channel_count, self.sample_count), 0
        for block in self.blocks():
            channels[:, place : place + block.shape[1]] = block
            place += block.shape[1]
        return channels


@dataclass(frozen=True)
class Audio(Sound):
    """Sound in memory as it is listened to, in one channel: samples in [-1, 1]."""

    waveform: Float[Tensor, " n"]
    sample_rate: int
    channels: Float[Tensor, "c n"] | None = None
    """Those that `waveform` is the mean of, where there are several: what is written to files."""

    @property
    def sample_count(self) -> int:
        return self.waveform.shape[0]

    @property
    def channel_count(self) -> int:
        return 1 if self.channels is None else len(self.channels)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Float[Tensor, "c _"]]:
        for block in self.read_channels()[:, start:stop].split(SOUND_BLOCK, dim=1):
            yield block.detach().cpu().float()

    def samples(self, start: int, stop: int) -> "Audio":
        """Samples start <= i < stop, of all channels."""
        channels = None if self.channels is None else self.channels[:, start:stop]
        return replace(self, waveform=self.waveform[start:stop], channels=channels)

    def read(self) -> "Audio":
        """Itself: it is in memory already."""
        return self

    def read_channels(self) -> Float[Tensor, "c n"]:
        """Itself again, without a copy."""
        return self.waveform[None] if self.channels is None else self.channels


class _SoundPart(Sound):
    """The samples first <= i < end of another sound."""

    def __init__(self, sound: Sound, first: int, end: int):
        self._sound, self._first, self._end = sound, first, end
        self.sample_rate = sound.sample_rate

    @property
    def sample_count(self) -> int:
        return self._end - self._first

    @property
    def channel_count(self) -> int:
        return self._sound.channel_count

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Float[Tensor, "c _"]]:
        end = self._end if stop is None else min(self._first + stop, self._end)
        return self._sound.blocks(self._first + start, end)


@dataclass(frozen=True)
class PictureCoding:
    """How pictures are stored in a file, by the code points of ISO/IEC 23091-2 (2: not said)."""

    matrix: int = 1
    """From RGB to luma and chroma: 1 BT.709, 5 and 6 BT.601, 9 BT.2020."""
    primaries: int = 1
    """Which red, green and blue."""
    transfer: int = 1
    """From light to levels: 1 BT.709, 16 PQ, 18 HLG."""
    full_range: bool = False
    """Black and white at the ends of the scale, else at 16 and 235 of 255."""
    deep: bool = False
    """More than 8 bits for each component."""


class Clip(ABC):
    """Pictures over time with sound, read on demand and never held whole.

    Frame i is shown at i / fps seconds: a source of variable rate is resampled by its time stamps
    before it gets here, and rotation flags are already applied. A clip may be a lazy view of
    another one: trimmed, extended or reordered.
    """

    fps: Fraction
    frame_count: int
    height: int
    width: int
    coding: PictureCoding = PictureCoding()
    """Of the file underneath; frames are RGB in its primaries and by its transfer."""

    @abstractmethod
    def frames(self, start: int, stop: int) -> Float[Tensor, "t h w 3"]:
        """The frames start <= i < stop, RGB in [0, 1]. Sequential reads are cheap."""

    @abstractmethod
    def audio(self) -> Audio | None:
        """The clip's own sound, trimmed as the pictures are; None for a silent clip."""

    def sound(self) -> Sound | None:
        """The same, read on demand where the clip can."""
        return self.audio()

    @property
    def duration(self) -> float:
        """Seconds."""
        return float(self.frame_count / self.fps)

    def times(self) -> Float[Tensor, " t"]:
        """The time of every frame in seconds."""
        return torch.arange(self.frame_count, dtype=torch.float64) / float(self.fps)


@dataclass(frozen=True)
class FaceTrack:
    """Where one face is in every frame of a clip, and the way into its aligned crop and back.

    Frames in which the face is not seen carry bridged landmarks and `visible` False.
    """

    landmarks: Float[Tensor, "t k 3"]
    """The subset `lipsync_core.landmarks.TRACKED`, frame pixels; z in the same scale."""
    frame_to_crop: Float[Tensor, "t 2 3"]
    """Affine (similarity) matrices from frame pixels to pixels of a crop_size x crop_size crop."""
    visible: Bool[Tensor, " t"]
    cuts: tuple[int, ...]
    """Frames that open a new shot; nothing is smoothed or bridged across them."""
    neutral: Float[Tensor, "k 3"]
    """The person's shape with the mouth at rest, in the canonical face, eye distances."""
    crop_size: int
    fps: Fraction

    def resized(self, crop_size: int) -> "FaceTrack":
        """The same track with crops of another size; exact, because pixel centres sit at +.5."""
        scale = crop_size / self.crop_size
        return replace(self, frame_to_crop=self.frame_to_crop * scale, crop_size=crop_size)


@dataclass(frozen=True)
class SpeechFeatures:
    """What is said, as poor as possible in who says it; 25 Hz."""

    features: Float[Tensor, "t d"]
    encoder: str
    """Which encoder and layers made it; features of two encoders never meet."""


@dataclass(frozen=True)
class LipMotion:
    """How lips and jaw move, free of head pose and of the face's own shape; 25 Hz."""

    coefficients: Float[Tensor, "t m"]
    """In eye distances: basis vectors are orthonormal over all lip and jaw coordinates."""
    valid: Bool[Tensor, " t"]
    basis: str
    """Which basis the coefficients belong to; coefficients of two bases never meet. "A+B" is the
    basis A with more components after its own."""

    def in_basis(self, basis: str, size: int) -> "LipMotion":
        """The same motion for whoever understands the `size` components of `basis` alone.

        Raises ValueError when the motion's basis neither is it nor extends it.
        """
        if self.basis == basis:
            return self
        if not self.basis.startswith(f"{basis}+"):
            raise ValueError(f"the lip motion is of basis {self.basis}, {basis} is needed")
        return LipMotion(self.coefficients[:, :size], self.valid, basis)


@dataclass(frozen=True)
class StyleReference:
    """How one person talks: what was said, paired step by step with how the lips moved; 25 Hz.

    A set of one or several clips laid end to end.
    """

    speech: SpeechFeatures
    motion: LipMotion
    clip: Int[Tensor, " t"]
    """The number of the clip that a step belongs to, rising from 0."""
    weight: Float[Tensor, " t"]
    """How much a step counts, > 0; 1 unless styles were blended."""
    source: str = ""
    """Where it came from, for people."""

    def __post_init__(self) -> None:
        speech, motion = len(self.speech.features), len(self.motion.coefficients)
        if not speech == motion == len(self.clip) == len(self.weight):
            raise ValueError(
                f"speech has {speech} steps, motion {motion}, clip {len(self.clip)}, "
                f"weight {len(self.weight)}: a style reference pairs them one to one"
            )
