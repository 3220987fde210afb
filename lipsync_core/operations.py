"""Where networks take their layers from: torch.nn, or what a host offers in its place.

ComfyUI's own networks are built of layers that are handed in, its convention of an `operations`
argument (https://github.com/comfyanonymous/ComfyUI/blob/master/comfy/ops.py). Its layers are
torch's, with weights of the same names, that leave their first values to the weight file, can rest
on another device than the one they work on when memory is short, and notice a cancel. Networks
that ask for their layers here get all of that, and know of no host.
"""

from typing import Protocol, runtime_checkable

from torch import nn


@runtime_checkable
class Operations(Protocol):
    """The layers with weights that networks are made of; `torch.nn` is one such collection."""

    @property
    def Linear(self) -> type[nn.Linear]: ...

    @property
    def Conv1d(self) -> type[nn.Conv1d]: ...

    @property
    def Conv2d(self) -> type[nn.Conv2d]: ...

    @property
    def GroupNorm(self) -> type[nn.GroupNorm]: ...

    @property
    def LayerNorm(self) -> type[nn.LayerNorm]: ...
