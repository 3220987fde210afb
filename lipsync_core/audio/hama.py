"""Reads the weight file of hama (https://github.com/hamanlp/hama, Apache-2.0), a table of named
arrays, without hama itself and its native library."""

import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError

_MAGIC = b"HAMAPK"
_VERSION = 1
_TYPES = (np.float32, np.float16, np.int64, np.int32, np.uint8)
_ALIGNMENT = 16


def is_hama(path: Path) -> bool:
    """Whether a file begins as hama's do."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_hama(path: Path) -> dict[str, Tensor]:
    """The arrays of a hama file by their names there, floats as float32.

    Raises ModelError when it is damaged or of another version.
    """
    content = path.read_bytes()
    try:
        if content[: len(_MAGIC)] != _MAGIC:
            raise ValueError("it begins otherwise")
        version, _, count = struct.unpack_from("<BBI", content, len(_MAGIC))
        if version != _VERSION:
            raise ValueError(f"version {version}")
        return _read_table(content, count)
    except (struct.error, ValueError, IndexError) as error:
        raise ModelError(
            f"{path} is no readable hama model ({error}): install hama again"
        ) from error


def _read_table(content: bytes, count: int) -> dict[str, Tensor]:
    position = len(_MAGIC) + struct.calcsize("<BBI")
    entries = []
    for _ in range(count):
        (length,) = struct.unpack_from("<H", content, position)
        name = content[position + 2 : position + 2 + length].decode()
        position += 2 + length
        kind, rank = struct.unpack_from("<BB", content, position)
        shape = struct.unpack_from(f"<{rank}I", content, position + 2)
        position += 2 + 4 * rank
        offset, size = struct.unpack_from("<QQ", content, position)
        position += 16
        entries.append((name, np.dtype(_TYPES[kind]), shape, offset, size))
    base = -(-position // _ALIGNMENT) * _ALIGNMENT
    return {
        name: _array(content[base + offset : base + offset + size], dtype, shape)
        for name, dtype, shape, offset, size in entries
    }


def _array(piece: bytes, dtype: np.dtype, shape: tuple[int, ...]) -> Tensor:
    array = np.frombuffer(piece, dtype).reshape(shape).copy()
    return torch.from_numpy(array.astype(np.float32) if dtype.kind == "f" else array)
