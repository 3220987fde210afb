"""In which precision networks run: 16 bits where the hardware is made for them."""

from contextlib import AbstractContextManager, nullcontext

import torch


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """bfloat16 for convolutions and products where `device` computes in it, else as they are."""
    if device.type == "cuda":
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
        return torch.autocast("cuda", dtype)
    if device.type == "cpu" and _bfloat16_in_silicon():
        return torch.autocast("cpu", torch.bfloat16)
    return nullcontext()


def _bfloat16_in_silicon() -> bool:
    # Without the instructions bfloat16 is emulated, and slower than float32. torch only
    # asks for them in private functions, which may be absent.
    questions = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, question, bool)() for question in questions)
