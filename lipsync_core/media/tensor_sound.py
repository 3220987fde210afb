"""Sound that is in memory already, of any type and on any device, without a copy of it."""

from collections.abc import Iterator

from jaxtyping import Float, Num
from torch import Tensor

from ..types import SOUND_BLOCK, Sound


class TensorSound(Sound):
    """Sound over a tensor of channels in [-1, 1]; the tensor is shared, not copied."""

    def __init__(self, channels: Num[Tensor, "c n"], sample_rate: int):
        self._channels = channels
        self.sample_rate = sample_rate

    @property
    def sample_count(self) -> int:
        return self._channels.shape[1]

    @property
    def channel_count(self) -> int:
        return len(self._channels)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Float[Tensor, "c _"]]:
        for block in self._channels[:, start:stop].split(SOUND_BLOCK, dim=1):
            yield block.detach().cpu().float()

    def read_channels(self) -> Float[Tensor, "c n"]:
        """The tensor itself, where it is float32 on the CPU."""
        return self._channels.detach().cpu().float()
