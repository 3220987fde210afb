"""Lets builds of torchvision and torchaudio made for CUDA be imported next to a torch without it.

torchvision's compiled library does not load then, and its Python code falls over the operators
that the library would have declared; torchaudio raises when its own does not load. Nothing of the
pack uses either, but ComfyUI imports both and transformers imports what it finds installed.

The work is put off to the first import of each of the two, so that Python starts as fast as ever,
and is left undone where torch has CUDA or HIP.
"""

import sys
import types
from collections.abc import Callable
from typing import ClassVar


def _torch_lacks_gpu() -> bool:
    import torch

    return torch.version.cuda is None and torch.version.hip is None


_library: object = None  # operators vanish with the library object that declared them


def _declare_torchvision_operators() -> None:
    import torch

    global _library
    if hasattr(torch.ops.torchvision, "nms"):
        return
    library = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _library = library


def _replace_torchaudio_extension() -> None:
    def fail_without_extension(function: Callable) -> Callable:
        def fail(*args: object, **kwargs: object) -> None:
            raise RuntimeError(f"{function.__name__} needs torchaudio's compiled library")

        return fail

    extension = types.ModuleType("torchaudio._extension")
    vars(extension).update(
        _IS_TORCHAUDIO_EXT_AVAILABLE=False,
        _IS_ALIGN_AVAILABLE=False,
        _check_cuda_version=lambda: None,
        fail_if_no_align=fail_without_extension,
    )
    sys.modules.setdefault(extension.__name__, extension)


class _BeforeFirstImport:
    """A finder that finds nothing: it is only told of the first import of a name."""

    pending: ClassVar = {
        "torchvision": _declare_torchvision_operators,
        "torchaudio": _replace_torchaudio_extension,
    }

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        prepare = self.pending.pop(name, None)
        if prepare is not None and _torch_lacks_gpu():
            prepare()


def install() -> None:
    sys.meta_path.insert(0, _BeforeFirstImport())
