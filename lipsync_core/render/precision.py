"""In which precision networks run: 16 bits where the hardware is made for them."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import autocast as torch_autocast


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 for convolutions and products where `device` computes in it, float16 where an
    accelerator does not, else as they are.

    Weights stay float32 in every host, which then need not know what bears 16 bits.
    """
    if device.type == "cpu":
        return torch_autocast("cpu", torch.bfloat16) if _bfloat16_in_silicon() else nullcontext()
    supported = getattr(torch.get_device_module(device), "is_bf16_supported", None)
    if supported is None:
        return nullcontext()
    return torch_autocast(device.type, torch.bfloat16 if supported() else torch.float16)


def _bfloat16_in_silicon() -> bool:
    # Without the instructions bfloat16 is emulated, and slower than float32. torch only
    # asks for them in private functions, which may be absent.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, bool)() for question in questions)
