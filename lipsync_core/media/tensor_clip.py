"""Pictures that are in memory already, as a clip."""

from fractions import Fraction

from jaxtyping import Float
from torch import Tensor

from ..types import Audio, Clip, Sound


class TensorClip(Clip):
    """A clip over a tensor of pictures, RGB in [0, 1]; the tensor is shared, not copied."""

    def __init__(self, frames: Float[Tensor, "t h w 3"], fps: Fraction, sound: Sound | None = None):
        if len(frames) == 0:
            raise ValueError("a clip needs at least one frame")
        if fps <= 0:
            raise ValueError(f"fps is {fps}; it must be positive")
        self._frames = frames
        self._sound = sound
        self.fps = Fraction(fps)
        self.frame_count, self.height, self.width = frames.shape[:3]

    def frames(self, start: int, stop: int) -> Float[Tensor, "t h w 3"]:
        """A view of the tensor."""
        if not 0 <= start <= stop <= self.frame_count:
            raise ValueError(f"frames {start} to {stop} of a clip of {self.frame_count}")
        return self._frames[start:stop]

    def audio(self) -> Audio | None:
        """The sound that was handed in, in memory."""
        return None if self._sound is None else self._sound.read()

    def sound(self) -> Sound | None:
        """The sound that was handed in, as it is."""
        return self._sound
