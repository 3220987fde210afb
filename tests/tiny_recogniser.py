"""A tiny random phoneme recogniser, as a file in hama's layout."""

import struct
from pathlib import Path

import numpy as np

WIDTH, INNER, MELS, SYMBOLS, BLOCKS, KERNEL, FFT = 8, 16, 6, 5, 2, 7, 400


def arrays(seed: int = 0) -> dict[str, np.ndarray]:
    """The arrays that a recogniser has, named as the export of the real one names them."""
    draw = np.random.default_rng(seed)
    bins = FFT // 2 + 1
    time = np.arange(FFT)
    turn = 2 * np.pi * np.outer(np.arange(bins), time) / FFT
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / FFT)

    def random(*shape: int) -> np.ndarray:
        return (draw.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float16)

    prefix, found = "acoustic_model.model.", {}
    found["mel_fb"] = np.abs(draw.normal(size=(bins, MELS))).astype(np.float32)
    found["stft_real_kernel"] = (np.cos(turn) * window)[:, None].astype(np.float32)
    found["stft_imag_kernel"] = (-np.sin(turn) * window)[:, None].astype(np.float32)
    for i in range(BLOCKS):
        block = f"{prefix}blocks.{i}."
        for norm in ("ffn1.norm", "attn_norm", "conv.norm", "ffn2.norm", "norm"):
            found[f"{block}{norm}.weight"] = np.ones(WIDTH, np.float16)
            found[f"{block}{norm}.bias"] = random(WIDTH)
        for part in ("ffn1", "ffn2"):
            found[f"{block}{part}.fc1.bias"] = random(INNER)
            found[f"{block}{part}.fc2.bias"] = random(WIDTH)
        found[f"{block}attn.in_proj_bias"] = random(3 * WIDTH)
        found[f"{block}attn.out_proj.bias"] = random(WIDTH)
        found[f"{block}conv.pointwise1.weight"] = random(2 * WIDTH, WIDTH, 1)
        found[f"{block}conv.pointwise1.bias"] = random(2 * WIDTH)
        found[f"{block}conv.pointwise2.weight"] = random(WIDTH, WIDTH, 1)
        found[f"{block}conv.pointwise2.bias"] = random(WIDTH)
    found[f"{prefix}proj.weight"] = 3 * random(SYMBOLS, WIDTH, 1)
    found[f"{prefix}proj.bias"] = random(SYMBOLS)
    number = 90  # so that the order of the numbers is not that of the names
    for shape in ((WIDTH, MELS, 3), *[(WIDTH, 1, KERNEL)] * BLOCKS):
        found[f"onnx::Conv_{number}"], found[f"onnx::Conv_{number + 1}"] = (
            random(*shape),
            random(WIDTH),
        )
        number += 3
    for _ in range(BLOCKS):
        for shape in (
            (WIDTH, INNER), (INNER, WIDTH), (WIDTH, 3 * WIDTH), (WIDTH, WIDTH), (WIDTH, INNER),
            (INNER, WIDTH),
        ):  # fmt: skip
            found[f"onnx::MatMul_{number}"] = random(*shape)
            number += 1
    return found


def write_hama(path: Path, content: dict[str, np.ndarray]) -> Path:
    """hama's layout: a table of names, types, shapes and places, then the arrays at multiples of
    16 bytes."""
    table, blob = b"", b""
    for name, array in content.items():
        blob += bytes(-len(blob) % 16)
        kind = {"float32": 0, "float16": 1}[array.dtype.name]
        table += struct.pack("<H", len(name)) + name.encode()
        table += struct.pack(f"<BB{array.ndim}I", kind, array.ndim, *array.shape)
        table += struct.pack("<QQ", len(blob), array.nbytes)
        blob += array.tobytes()
    head = b"HAMAPK" + struct.pack("<BBI", 1, 2, len(content)) + table
    path.write_bytes(head + bytes(-len(head) % 16) + blob)
    return path
