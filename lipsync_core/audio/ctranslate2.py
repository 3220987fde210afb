"""Reads the weight file of CTranslate2 (https://github.com/OpenNMT/CTranslate2, MIT), a layout of
length-prefixed names and arrays, without CTranslate2 itself."""

import re
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError

_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)
_BINARY_VERSIONS = range(4, 7)

_RENAMED = (
    (r"/layer_(\d+)/", r".layers.\1."),
    (r"/position_encodings/encodings$", ".embed_positions.weight"),
    (r"self_attention/layer_norm", "self_attn_layer_norm"),
    (r"self_attention/linear_1", "self_attn.out_proj"),
    (r"ffn/layer_norm", "final_layer_norm"),
    (r"ffn/linear_0", "fc1"),
    (r"ffn/linear_1", "fc2"),
    (r"gamma$", "weight"),
    (r"beta$", "bias"),
    (r"/", "."),
)


class _Reader:
    def __init__(self, content: bytes):
        self.content, self.position = content, 0

    def number(self, code: str) -> int:
        (value,) = struct.unpack_from("<" + code, self.content, self.position)
        self.position += struct.calcsize("<" + code)
        return value

    def bytes(self, count: int) -> bytes:
        piece = self.content[self.position : self.position + count]
        if len(piece) != count:
            raise ValueError("the file ends early")
        self.position += count
        return piece

    def text(self) -> str:
        return self.bytes(self.number("H"))[:-1].decode()  # ends in a zero byte

    def array(self) -> Tensor:
        shape = [self.number("I") for _ in range(self.number("B"))]
        dtype = _TYPES[self.number("B")]
        return torch.from_numpy(
            np.frombuffer(self.bytes(self.number("I")), dtype).reshape(shape).copy()
        )


def read_ctranslate2(path: Path) -> dict[str, Tensor]:
    """The variables of a CTranslate2 `model.bin` by their names there.

    Raises ModelError when it is no such file, is damaged, or is quantised.
    """
    reader = _Reader(path.read_bytes())
    try:
        if (version := reader.number("I")) not in _BINARY_VERSIONS:
            raise ValueError(f"binary version {version}")
        spec = reader.text()
        if spec != "WhisperSpec":
            raise ValueError(f"it holds a {spec}")
        reader.number("I")  # revision of the spec
        variables = {}
        for _ in range(reader.number("I")):
            name = reader.text()
            variables[name] = reader.array()
    except (struct.error, ValueError, IndexError) as error:
        raise ModelError(
            f"{path} is no readable CTranslate2 Whisper model ({error}): get it again"
        ) from error
    if any(v.dtype == torch.int8 for n, v in variables.items() if n.startswith("encoder/")):
        raise ModelError(f"{path} is quantised to 8 bits: take its float16 or float32 version")
    return variables


def to_transformers_names(variables: dict[str, Tensor]) -> dict[str, Tensor]:
    """The encoder's variables under the names of transformers' `WhisperEncoder`.

    CTranslate2 stores the query, key and value projections as one; Whisper's keys have no bias.
    """
    renamed = {}
    for name, tensor in variables.items():
        if not name.startswith("encoder/") or tensor.ndim == 0:  # scalars are settings
            continue
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        if "self_attention.linear_0" not in name:
            renamed[name] = tensor
            continue
        for part, piece in zip("qkv", tensor.chunk(3), strict=True):
            part_name = name.replace("self_attention.linear_0", f"self_attn.{part}_proj")
            if not part_name.endswith("k_proj.bias"):
                renamed[part_name] = piece.clone()
    return renamed
