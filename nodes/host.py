"""What the nodes need of ComfyUI: devices and memory, progress and cancelling, tensors.

The only file beside folders.py that uses ComfyUI's services, and the only one that uses torch; when
ComfyUI changes, these two change.
"""

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ..lipsync_core.errors import MediaError, SpeechError
from ..lipsync_core.face.landmarking import Face, FaceLandmarker
from ..lipsync_core.media.tensor_sound import TensorSound
from ..lipsync_core.operations import Operations
from ..lipsync_core.types import Clip, Sound
from ..lipsync_core.weights import FACE_LANDMARKER, find
from .folders import model_folders

PREVIEW_SIZE = 512
_REPORTS_PER_SECOND = 10


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


def audio(sound: Mapping[str, Any] | None) -> Sound | None:
    """AUDIO, waveform [b channels n], as sound; the first of a batch. Nothing is copied.

    Raises SpeechError for what is no AUDIO, though a node whose output goes anywhere let it in.
    """
    if sound is None:
        return None
    if isinstance(sound, ClipSound):
        return sound.heard()
    try:
        waveform: Tensor = sound["waveform"]
    except (KeyError, TypeError) as error:
        raise SpeechError(_no_audio(sound)) from error
    if waveform.ndim != 3 or 0 in waveform.shape[:2]:
        raise SpeechError(
            f"the audio has the shape {tuple(waveform.shape)}, (batch, channels, samples) with at "
            "least one channel is needed: check the node that made it"
        )
    return TensorSound(waveform[0], int(sound["sample_rate"]))


def _no_audio(given: Any) -> str:
    if isinstance(given, Mapping) and "encoded_audio" in given:
        return (
            "this is the output of an audio encoder (AUDIO_ENCODER_OUTPUT): the predictor was "
            "trained on other layers of another encoder, which it brings along; connect the AUDIO "
            "itself"
        )
    return f"this is no AUDIO but a {type(given).__name__}: connect an AUDIO output"


def speech(sound: Mapping[str, Any] | None) -> Sound:
    """AUDIO that must be there: SpeechError says so when it is not."""
    heard = audio(sound)
    if heard is None:
        raise SpeechError("there is no audio: the video it came from is silent; give other speech")
    return heard


def sound(heard: Sound) -> dict[str, Any]:
    """Sound as AUDIO, with the channels that it has."""
    return {"waveform": heard.read_channels()[None], "sample_rate": heard.sample_rate}


class ClipSound(Mapping[str, Any]):
    """An AUDIO that is read from its clip when somebody listens."""

    def __init__(self, clip: Clip):
        self._clip = clip
        self._sound: dict[str, Any] | None = None

    def heard(self) -> Sound:
        """The sound, read on demand; MediaError when the clip has none."""
        heard = self._clip.sound()
        if heard is None:
            raise MediaError("the clip has no sound: choose one in which the person speaks")
        return heard

    def __getitem__(self, name: str) -> Any:
        if self._sound is None:
            self._sound = sound(self.heard())
        return self._sound[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("waveform", "sample_rate"))

    def __len__(self) -> int:
        return 2


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
