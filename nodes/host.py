"""What the nodes need of ComfyUI: folders, devices and memory, progress and cancelling, tensors.

The only file that uses ComfyUI's services and torch; when ComfyUI changes, this file changes.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import folder_paths
import torch
from torch import Tensor, nn

from ..lipsync_core.checkpoint import read_metadata
from ..lipsync_core.errors import LipStyleError, MediaError, ModelError, SpeechError
from ..lipsync_core.face.landmarking import Face, FaceLandmarker
from ..lipsync_core.operations import Operations
from ..lipsync_core.types import Audio
from ..lipsync_core.weights import FACE_LANDMARKER, SHIPPED, find

FOLDER = "lipstyle"
"""The name of our folder in `models`, and in extra_model_paths.yaml."""
ON_OUTPUT = " [output]"
"""ComfyUI's mark for a file of the output folder."""
PREVIEW_SIZE = 512
_REPORTS_PER_SECOND = 10
_LONGEST_NAME = 200
"""Letters of a name that a message repeats."""


# Folders


def register_folders() -> None:
    """Makes ComfyUI look for our files in `models/lipstyle`, then among those shipped."""
    own = os.path.join(folder_paths.models_dir, FOLDER)
    folder_paths.add_model_folder_path(FOLDER, own, is_default=True)
    folder_paths.add_model_folder_path(FOLDER, str(SHIPPED))


def model_folders() -> list[Path]:
    """Where weights are looked for."""
    return [Path(folder) for folder in folder_paths.get_folder_paths(FOLDER)]


def model_names(kind: str) -> list[str]:
    """The weight files that hold a model of `kind`, as their headers say."""
    names = folder_paths.get_filename_list(FOLDER)
    paths = {name: folder_paths.get_full_path(FOLDER, name) for name in names}
    return [name for name, path in paths.items() if path and kind_of(Path(path)) == kind]


def output_names(kind: str) -> list[str]:
    """The files of `kind` in our part of the output folder, marked as such."""
    output = Path(folder_paths.get_output_directory())
    found = sorted((output / FOLDER).rglob("*.safetensors"))
    return [
        path.relative_to(output).as_posix() + ON_OUTPUT for path in found if kind_of(path) == kind
    ]


def kind_of(path: Path) -> str | None:
    """What a weight file says it holds; None for what is no file of ours."""
    if path.suffix != ".safetensors" or not path.is_file():
        return None
    status = path.stat()
    return _kind_of(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=1024)
def _kind_of(path: Path, changed: int, size: int) -> str | None:
    try:
        return read_metadata(path).get("lipstyle.kind")
    except ModelError:
        return None


def model_file(name: str) -> Path:
    """A weight file by its name in the folders for weights or, so marked, in the output folder.

    Raises ModelError when there is none: a name cannot lead out of these folders.
    """
    name = str(name)
    folders = model_folders()
    if name.endswith(ON_OUTPUT):
        folders = [Path(folder_paths.get_output_directory())]
    for folder in folders:
        path = _file_inside(folder, name.removesuffix(ON_OUTPUT))
        if path is not None:
            return path
    raise ModelError(
        f"there is no file '{_readable(name)}' in models/{FOLDER}: choose one of the list, or put "
        "it there and press R to read the folders again"
    )


def is_model(name: str | None, kind: str) -> bool | str:
    """True, or why `name` cannot be loaded as a model of `kind`; None is not known yet."""
    try:
        found = kind if name is None else kind_of(model_file(name))
    except ModelError as error:
        return str(error)
    if found == kind:
        return True
    holds = f"a {found}" if found else "no LipStyle data"
    return f"'{_readable(name)}' holds {holds}, a {kind} is needed: choose another file"


def input_names(kind: str) -> list[str]:
    """The files of the input folder of a content type: "video" or "audio"."""
    folder = folder_paths.get_input_directory()
    names = [name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))]
    return sorted(folder_paths.filter_files_content_types(names, [kind]))


def input_file(name: str) -> Path:
    """A file of ComfyUI's input folder (or, so marked, of its output or temp folder).

    Raises MediaError when there is none: a name cannot lead out of these folders.
    """
    bare, folder = folder_paths.annotated_filepath(str(name))
    path = _file_inside(Path(folder or folder_paths.get_input_directory()), bare.strip())
    if path is None:
        raise MediaError(
            f"there is no file '{_readable(name)}' in ComfyUI's input folder: upload it first"
        )
    return path


def is_input(name: str | None) -> bool | str:
    """True, or why `name` cannot be read; None is not known yet."""
    try:
        return name is None or bool(input_file(name))
    except MediaError as error:
        return str(error)


def _file_inside(folder: Path, name: str) -> Path | None:
    """The file `name` in `folder`, None if there is none or the name leads out of the folder.

    Links inside the folder are the owner's.
    """
    root = Path(os.path.abspath(folder))
    path = Path(os.path.abspath(root / name))
    # A name may be longer than any file's, or hold what no file system writes.
    try:
        return path if path.is_relative_to(root) and os.path.isfile(path) else None
    except (OSError, ValueError):
        return None


def _readable(name: Any) -> str:
    """A name out of a workflow as it can be shown: short, and in letters that can be written.

    ComfyUI's log is strict: half of a surrogate pair in a message ends the thread that works off
    the queue.
    """
    text = str(name)
    text = text if len(text) <= _LONGEST_NAME else f"{text[:_LONGEST_NAME]}..."
    return text.encode("utf-8", "backslashreplace").decode()


def temp_file(suffix: str) -> Path:
    """A new name in ComfyUI's temp folder, which it empties when it starts."""
    folder = Path(folder_paths.get_temp_directory())
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{FOLDER}_{uuid4().hex}{suffix}"


def unfinished_folder() -> Path:
    """Where pieces of unfinished videos are kept: not in the temp folder, which is emptied when
    ComfyUI starts again after a crash."""
    return Path(folder_paths.get_user_directory()) / FOLDER / "unfinished"


def output_file(prefix: str, suffix: str) -> Path:
    """The next free numbered name in the output folder.

    Raises MediaError for a prefix that leads out of it or cannot be a file's name.
    """
    output = os.path.abspath(folder_paths.get_output_directory())
    wanted = Path(os.path.abspath(os.path.join(output, os.path.dirname(prefix))))
    try:
        if not wanted.is_relative_to(output) or len(prefix.encode()) > _LONGEST_NAME:
            raise ValueError("it leads out of the folder, or is too long")
        folder, name, counter, _, _ = folder_paths.get_save_image_path(prefix, output)
    except (OSError, ValueError) as error:
        raise MediaError(
            f"'{_readable(prefix)}' cannot be a file of the output folder ({error}): choose a "
            f"name within it, of at most {_LONGEST_NAME} letters"
        ) from error
    return Path(folder) / f"{name}_{counter:05}_{suffix}"


def fingerprint(find: Callable[[str], Path], name: str) -> str:
    """Changes when the file that `find` finds by `name` does; "" where there is none.

    ComfyUI asks for it also where the name has been refused.
    """
    try:
        path = find(name)
        status = path.stat()
    except (LipStyleError, OSError):
        return ""
    return f"{path}:{status.st_mtime_ns}:{status.st_size}"


# Devices and memory


class LipStyleNetwork(nn.Module):
    """A network as ComfyUI's patcher wants it: it sets attributes of its own, such as `device`."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network
        self.model_loaded_weight_memory = 0

    def bring_the_rest(self, device: torch.device) -> None:
        """Moves to `device` what ComfyUI leaves behind where it loads a part and cannot fetch when
        it is used: parameters and buffers that are not in a layer of `operations`."""
        for module in self.modules():
            if not hasattr(module, "comfy_cast_weights"):
                for name, parameter in list(module.named_parameters(recurse=False)):
                    setattr(module, name, nn.Parameter(parameter.to(device), requires_grad=False))
                for name, buffer in list(module.named_buffers(recurse=False)):
                    setattr(module, name, buffer.to(device))
        tensors = self.state_dict().values()
        # ComfyUI's count of what it can free. By type: some devices have a number only in tensors.
        there = [tensor for tensor in tensors if tensor.device.type == device.type]
        self.model_loaded_weight_memory = sum(tensor.nbytes for tensor in there)


def operations() -> Operations:
    """ComfyUI's layers, which may rest off the device when memory is short.

    Not its `manual_cast`: weights are float32, and what runs in 16 bits autocast decides.
    """
    from comfy.ops import disable_weight_init

    return disable_weight_init


class HostedModel:
    """A network that ComfyUI moves between its devices, whole or in part, as memory allows."""

    def __init__(self, network: nn.Module):
        import comfy.model_management as management
        from comfy.model_patcher import ModelPatcher

        self.network = network
        self.patcher = ModelPatcher(
            LipStyleNetwork(network),
            load_device=management.get_torch_device(),
            offload_device=management.unet_offload_device(),
        )


@dataclass(frozen=True)
class HostedPredictor:
    """A motion predictor with the encoder that it hears speech through."""

    speech_encoder: HostedModel
    predictor: HostedModel

    @property
    def models(self) -> tuple[HostedModel, HostedModel]:
        """In the order in which they are used."""
        return self.speech_encoder, self.predictor


@contextmanager
def on_device(*models: HostedModel, memory: int = 0) -> Iterator[list[Any]]:
    """The networks on ComfyUI's device, with `memory` bytes kept free for their work.

    While they are lent, each call of one of their layers gives the user the chance to cancel.
    """
    import comfy.model_management as management

    patchers = [model.patcher for model in models]
    management.load_models_gpu(patchers, memory_required=memory)
    for patcher in patchers:
        patcher.model.bring_the_rest(patcher.load_device)
    hooks = [
        module.register_forward_pre_hook(lambda *_: check_cancelled())
        for model in models
        for module in model.network.modules()
    ]
    try:
        yield [model.network for model in models]
    finally:
        for hook in hooks:
            hook.remove()


class WatchfulLandmarker(FaceLandmarker):
    """Gives the user the chance to cancel before each look at a picture."""

    def find(self, *given: Any, **named: Any) -> list[Face]:
        check_cancelled()
        return super().find(*given, **named)

    def find_small(self, *given: Any, **named: Any) -> list[Face]:
        check_cancelled()
        return super().find_small(*given, **named)

    def landmarks(self, *given: Any, **named: Any) -> Face:
        check_cancelled()
        return super().landmarks(*given, **named)


def face_landmarker() -> FaceLandmarker:
    """MediaPipe's networks; small, and always on the CPU."""
    return WatchfulLandmarker.load(find(FACE_LANDMARKER, model_folders()))


# Progress and cancelling


def check_cancelled() -> None:
    """Raises ComfyUI's own exception when the user has pressed cancel."""
    import comfy.model_management as management

    management.throw_exception_if_processing_interrupted()


def cancelled() -> type[BaseException]:
    """What a cancel raises."""
    from comfy.model_management import InterruptProcessingException

    return InterruptProcessingException


class Progress:
    """The core's `on_progress`: moves the node's bar, shows pictures, and notices a cancel."""

    def __init__(self, passes: int = 1):
        from comfy.utils import ProgressBar

        self._bar = ProgressBar(1)
        self._passes = passes
        self._passed = 0
        self._reported = 0.0
        self._picture: Tensor | None = None

    def __call__(self, done: int, total: int) -> None:
        check_cancelled()
        now = time.monotonic()
        if done < total and now - self._reported < 1 / _REPORTS_PER_SECOND:
            return
        self._reported = now
        done += min(self._passed, self._passes - 1) * total
        self._bar.update_absolute(done, self._passes * total, self._preview())

    def next_pass(self) -> None:
        """The bar goes on from here for the next of the passes."""
        self._passed += 1

    def watch(self, chunks: Iterable[Tensor], total: int, done: int = 0) -> Iterator[Tensor]:
        """Hands stacks of pictures on one by one, counts them from `done` up to `total`, and shows
        some."""
        for chunk in chunks:
            self._picture = chunk[-1]
            for picture in chunk.split(1):
                done += 1
                self(done, total)
                yield picture

    def _preview(self) -> tuple[str, Any, int] | None:
        if self._picture is None:
            return None
        from PIL import Image

        pixels = (self._picture * 255).round().clamp(0, 255).to(torch.uint8).numpy(force=True)
        self._picture = None
        return "JPEG", Image.fromarray(pixels), PREVIEW_SIZE


# Tensors


def audio(sound: Mapping[str, Any] | None) -> Audio | None:
    """AUDIO, waveform [b channels n], as sound; the first of a batch.

    Raises SpeechError for what is no AUDIO, though a node whose output goes anywhere let it in.
    """
    if sound is None:
        return None
    try:
        waveform: Tensor = sound["waveform"]
    except (KeyError, TypeError) as error:
        raise SpeechError(_no_audio(sound)) from error
    if waveform.ndim != 3 or 0 in waveform.shape[:2]:
        raise SpeechError(
            f"the audio has the shape {tuple(waveform.shape)}, (batch, channels, samples) with at "
            "least one channel is needed: check the node that made it"
        )
    channels, rate = waveform[0].float().cpu(), int(sound["sample_rate"])
    if len(channels) == 1:
        return Audio(channels[0], rate)
    return Audio(channels.mean(dim=0), rate, channels)


def _no_audio(given: Any) -> str:
    if isinstance(given, Mapping) and "encoded_audio" in given:
        return (
            "this is the output of an audio encoder (AUDIO_ENCODER_OUTPUT): the predictor was "
            "trained on other layers of another encoder, which it brings along; connect the AUDIO "
            "itself"
        )
    return f"this is no AUDIO but a {type(given).__name__}: connect an AUDIO output"


def speech(sound: Mapping[str, Any] | None) -> Audio:
    """AUDIO that must be there: SpeechError says so when it is not."""
    heard = audio(sound)
    if heard is None:
        raise SpeechError("there is no audio: the video it came from is silent; give other speech")
    return heard


def sound(audio: Audio) -> dict[str, Any]:
    """Sound as AUDIO, with the channels that it has."""
    channels = audio.waveform[None] if audio.channels is None else audio.channels
    return {"waveform": channels[None], "sample_rate": audio.sample_rate}


def pictures(images: Tensor) -> Tensor:
    """IMAGE [b h w c] as RGB on the CPU; alpha is left out."""
    return images[..., :3].float().cpu()


def masks(mask: Tensor) -> Tensor:
    """MASK [h w], [b h w] or [b 1 h w] as masks [b h w] on the CPU, in [0, 1]."""
    return mask.reshape(-1, *mask.shape[-2:]).float().cpu().clamp(0, 1)


def digest(tensor: Tensor | None) -> str:
    """What tells two tensors apart; "" for none."""
    if tensor is None:
        return ""
    values = tensor.detach().float().cpu().contiguous().numpy()
    return hashlib.sha256(f"{values.shape}".encode() + values.tobytes()).hexdigest()


def images(pictures: Tensor) -> Tensor:
    """Pictures [t h w 3] as IMAGE, where ComfyUI keeps its results."""
    import comfy.model_management as management

    return pictures.to(management.intermediate_device())
