"""Style files: how somebody talks in a small .safetensors, which says where it was seen.

Format 2, t steps of c runs with one clip and one weight each:

    speech, motion  see style_code: 4 and .5 kB per second
    seen            bool    [t]   whether the lips were seen
    run_steps       int32   [c]
    run_clip        int32   [c]
    run_weight      float32 [c]

Format 1 held 16-bit features and coefficients (40 kB per second), `valid`, and `clip` and `weight`
step by step; it is still read.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..checkpoint import VERSION, read_metadata, save_tensors
from ..errors import ModelError
from ..types import LipMotion, SpeechFeatures, StyleReference
from .style_code import Tensors, pack_motion, pack_speech, unpack_motion, unpack_speech

_KIND = "StyleReference"
_FORMAT, _FIRST_FORMAT = "2", "1"


def save_style(path: Path, style: StyleReference) -> None:
    """Writes a .safetensors of less than 5 kB per second.

    Speech features are rounded, so the motion in a loaded style differs from that in the saved one
    by about 0.1 % of the distance between the eyes. Motion of unseen steps is left out.
    """
    seen = style.motion.valid
    runs, run_steps = torch.stack([style.clip.double(), style.weight.double()]).unique_consecutive(
        dim=1, return_counts=True
    )
    tensors = {
        **pack_speech(style.speech.features.float()),
        **pack_motion(style.motion.coefficients.float() * seen[:, None]),
        "seen": seen,
        "run_steps": run_steps.to(torch.int32),
        "run_clip": runs[0].to(torch.int32),
        "run_weight": runs[1].float(),
    }
    metadata = {
        "format": "pt",
        "lipstyle.format": _FORMAT,
        "lipstyle.kind": _KIND,
        "lipstyle.version": VERSION,
        "encoder": style.speech.encoder,
        "basis": style.motion.basis,
        "source": style.source,
    }
    save_tensors(path, tensors, metadata)


def load_style(path: Path) -> StyleReference:
    """The style in `path`; ModelError when it is missing, damaged, or no style file."""
    metadata = read_metadata(path)
    kind, version = metadata.get("lipstyle.kind"), metadata.get("lipstyle.format")
    if kind != _KIND or version not in (_FORMAT, _FIRST_FORMAT):
        raise ModelError(
            f"{path} holds {kind or 'no LipStyle data'} (format {version}), a {_KIND} of format "
            f"{_FORMAT} is needed: pick a file made by Save Lip Style"
        )
    try:
        style = _read(load_file(path), metadata)
        _check(style)
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError, RuntimeError) as error:
        raise ModelError(f"{path} is not a whole style file ({error}): save it again") from error
    return style


def _read(tensors: Tensors, metadata: dict[str, str]) -> StyleReference:
    if metadata["lipstyle.format"] == _FIRST_FORMAT:
        seen, clip, weight = tensors["valid"], tensors["clip"], tensors["weight"]
    else:
        seen, steps = tensors["seen"], tensors["run_steps"].long()
        clip = tensors["run_clip"].repeat_interleave(steps)
        weight = tensors["run_weight"].repeat_interleave(steps)
    features, coefficients = (
        unpack(tensors, len(seen)) for unpack in (unpack_speech, unpack_motion)
    )
    return StyleReference(
        speech=SpeechFeatures(features, metadata["encoder"]),
        motion=LipMotion(coefficients, seen, metadata["basis"]),
        clip=clip.long(),
        weight=weight.float(),
        source=metadata["source"],
    )


def _check(style: StyleReference) -> None:
    """ValueError for numbers that no style has."""
    numbers = (style.speech.features, style.motion.coefficients, style.weight)
    if not all(torch.isfinite(x).all() for x in numbers):
        raise ValueError("it holds NaN or infinite numbers")
    if style.motion.valid.dtype != torch.bool or len(style.motion.valid) != len(style.weight):
        raise ValueError("it does not say which steps were seen")
    if not style.motion.valid.any() or not (style.weight > 0).all():
        raise ValueError("none of it counts")
    if (style.clip.diff() < 0).any() or (style.clip < 0).any():
        raise ValueError("its clips are not in order")
