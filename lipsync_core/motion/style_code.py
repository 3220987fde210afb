"""The small form in which style files hold speech features and lip motion.

Wide speech features say the same thing many times over, so each may be rounded coarsely: the
predictor averages the rounding away. Steps are powers of two, and rounded numbers keep their step,
so that a style saved again is the same. What is left is squeezed by Huffman codes (zlib).
"""

import math
import zlib

import torch
from jaxtyping import Float, Int8, UInt8
from torch import Tensor, nn

WIDE = 256
"""Speech features of fewer channels are held in 16 bits."""
_SPEECH_STEP = 1.4
"""Of a channel's standard deviation. Twice as much would show in the motion; half as much makes
files half as large again."""
_LONG = 225
"""Steps. Shorter styles are rounded more finely, as less of it averages out."""
_SPEECH_LEVELS, _MOTION_LEVELS = 7, 127
"""To each side of the middle."""
_SMALLEST = 2.0**-8
"""Of what is told from nothing."""

Tensors = dict[str, Tensor]


def pack_speech(features: Float[Tensor, "t d"]) -> Tensors:
    """Features of any encoder; about 4 bytes in 25 of the 16 bits."""
    if features.shape[1] < WIDE:
        return {"speech": features.half()}
    spread = features.std(0, correction=0).clamp_min(_SMALLEST)
    share = max(0.5, min(1.0, math.sqrt(len(features) / _LONG)))
    step = torch.exp2((share * _SPEECH_STEP * spread).log2().round())
    finer = step / 2
    rounded_before = _multiples(features, finer) & ~_multiples(features, step)
    step = torch.where(rounded_before, finer, step)
    middle = (features.mean(0) / step).round()
    levels = (features / step).round() - middle
    return {
        "speech": _squeeze(_pairs(levels.clamp(-_SPEECH_LEVELS, _SPEECH_LEVELS).to(torch.int8))),
        "speech_middle": _squeeze(
            middle.clamp(-(2**15), 2**15 - 1).to(torch.int16).view(torch.uint8)
        ),
        "speech_exponent": step.log2().to(torch.int8),
    }


def unpack_speech(tensors: Tensors, steps: int) -> Float[Tensor, "t d"]:
    """What `pack_speech` made of `steps` steps; ValueError or KeyError when it is damaged."""
    if tensors["speech"].is_floating_point():
        return tensors["speech"].float()
    step, half = tensors["speech_exponent"].float().exp2(), math.ceil(steps / 2)
    middle = _expand(tensors["speech_middle"], 2 * len(step)).view(torch.int16)
    levels = _unpairs(_expand(tensors["speech"], len(step) * half).reshape(len(step), half))
    return (levels[:steps].float() + middle) * step


def pack_motion(coefficients: Float[Tensor, "t m"]) -> Tensors:
    """Coefficients in a byte each, and as the change from step to step."""
    largest = coefficients.abs().amax(0).clamp_min(_SMALLEST)
    step = torch.exp2((largest / _MOTION_LEVELS).log2().ceil())
    levels = (coefficients / step).round().to(torch.int8)
    change = levels.diff(dim=0, prepend=torch.zeros_like(levels[:1]))
    return {
        "motion": _squeeze(change.T.contiguous().view(torch.uint8)),
        "motion_exponent": step.log2().to(torch.int8),
    }


def unpack_motion(tensors: Tensors, steps: int) -> Float[Tensor, "t m"]:
    """What `pack_motion` made of `steps` steps; ValueError or KeyError when it is damaged."""
    if tensors["motion"].is_floating_point():
        return tensors["motion"].float()
    step = tensors["motion_exponent"].float().exp2()
    change = _expand(tensors["motion"], len(step) * steps).view(torch.int8)
    levels = change.reshape(len(step), steps).T.cumsum(0, dtype=torch.int8)
    return levels.float() * step


def _multiples(values: Float[Tensor, "t d"], step: Float[Tensor, " d"]) -> Tensor:
    """Which columns hold nothing but multiples of their step."""
    scaled = values / step
    return (scaled == scaled.round()).all(0)


def _pairs(levels: Int8[Tensor, "t d"]) -> UInt8[Tensor, "d half"]:
    """Two neighbouring steps of a channel in a byte, four bits each."""
    nibbles = nn.functional.pad(levels.T + 8, (0, len(levels) % 2)).to(torch.uint8)
    return nibbles[:, ::2] * 16 + nibbles[:, 1::2]


def _unpairs(pairs: UInt8[Tensor, "d half"]) -> Int8[Tensor, "t d"]:
    nibbles = torch.stack([pairs // 16, pairs % 16], dim=-1).flatten(1)
    return nibbles.T.to(torch.int8) - 8


def _squeeze(values: UInt8[Tensor, "..."]) -> UInt8[Tensor, " n"]:
    # No search for repetitions: there are none but by chance.
    coder = zlib.compressobj(9, strategy=zlib.Z_HUFFMAN_ONLY)
    squeezed = coder.compress(values.contiguous().numpy().tobytes()) + coder.flush()
    return torch.frombuffer(bytearray(squeezed), dtype=torch.uint8)


def _expand(squeezed: UInt8[Tensor, " n"], length: int) -> UInt8[Tensor, " length"]:
    """Never more than `length` bytes, whatever a file claims."""
    coder = zlib.decompressobj()
    try:
        values = coder.decompress(squeezed.numpy().tobytes(), max(length, 1))
    except zlib.error as error:
        raise ValueError(f"its numbers cannot be read: {error}") from error
    if len(values) != length or not coder.eof:
        raise ValueError(f"it holds other than {length} numbers")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8)
