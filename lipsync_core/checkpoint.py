"""One self-describing .safetensors holds a model's weights, its config and where it came from."""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .errors import ModelError
from .operations import Operations

FORMAT = "1"
VERSION = "0.1.0"
"""Of LipStyle, for files to say what wrote them."""


class Model(nn.Module):
    """A network that can be rebuilt from its config alone.

    `config_class` is a frozen dataclass of plain values. Buffers are persistent: loading builds
    the network without memory, and what the file does not hold would stay without memory. Layers
    with weights come from `operations`.
    """

    config_class: ClassVar[Any]

    def __init__(self, config: Any, operations: Operations = nn):
        super().__init__()
        self.config = config


M = TypeVar("M", bound=Model)


@dataclass(frozen=True)
class Header:
    """What a file says of itself."""

    kind: str
    config: dict[str, Any]
    provenance: dict[str, Any]


def save_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Writes to a temporary file beside `path` and renames: a file is either whole or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # Not save_file: it makes files that only their owner may read.
        part.write_bytes(
            save({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, metadata)
        )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def save_model(
    path: Path,
    model: Model,
    provenance: dict[str, Any],
    *,
    state: dict[str, Tensor] | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Writes `model` (or `state`, such as its EMA weights) with floats stored as `dtype`."""
    metadata = {
        "format": "pt",
        "lipstyle.format": FORMAT,
        "lipstyle.kind": type(model).__name__,
        "config": json.dumps(asdict(model.config)),
        "lipstyle.provenance": json.dumps(provenance),
    }
    state = model.state_dict() if state is None else state
    stored = {k: v.to(dtype) if v.dtype == torch.float32 else v for k, v in state.items()}
    save_tensors(path, stored, metadata)


def read_metadata(path: Path) -> dict[str, str]:
    """The safetensors header of `path`; ModelError when it is missing or no safetensors file."""
    if not path.is_file():
        raise ModelError(f"no weight file at {path}: check the name, or run install.py")
    try:
        with safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelError(
            f"{path} is not a readable .safetensors file ({error}): it may be damaged or half "
            "downloaded; get it again"
        ) from error


def read_header(path: Path) -> Header:
    """What `path` says of itself, without reading its weights."""
    metadata = read_metadata(path)
    if (found := metadata.get("lipstyle.format")) != FORMAT:
        raise ModelError(
            f"{path} has LipStyle format {found}, this version reads {FORMAT}: "
            "use a weight file made for this version"
        )
    return Header(
        kind=metadata["lipstyle.kind"],
        config=json.loads(metadata["config"]),
        provenance=json.loads(metadata["lipstyle.provenance"]),
    )


def load_model(path: Path, model_class: type[M], operations: Operations = nn) -> M:
    """The model in `path` as float32, in eval mode, with its layers from `operations`.

    ModelError names what does not fit.
    """
    header = read_header(path)
    if header.kind != model_class.__name__:
        raise ModelError(
            f"{path} holds a {header.kind}, a {model_class.__name__} is needed: pick another file"
        )
    known = {field.name for field in fields(model_class.config_class)}
    if unknown := header.config.keys() - known:
        raise ModelError(f"{path} sets {sorted(unknown)}, unknown to this version: update LipStyle")
    # JSON has no tuples.
    config = {k: tuple(v) if isinstance(v, list) else v for k, v in header.config.items()}
    with torch.device("meta"):
        model = model_class(model_class.config_class(**config), operations)
    try:
        with safe_open(path, framework="pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        state = {k: v.float() if v.is_floating_point() else v for k, v in state.items()}
        model.load_state_dict(state, strict=True, assign=True)
    except (SafetensorError, RuntimeError) as error:
        raise ModelError(f"{path} does not hold a whole {header.kind}: {error}") from error
    return model.eval().requires_grad_(False)
