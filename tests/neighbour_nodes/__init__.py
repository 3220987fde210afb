"""Nodes with the signatures of other packs' nodes, which tests cannot install.

Names, inputs and outputs are those of ComfyUI-ReActor (Restore Face), facerestore_cf,
ComfyUI-Frame-Interpolation (RIFE VFI) and ComfyUI-VideoHelperSuite (Load Video, whose sound is read
when somebody looks at it); what they do is as simple as can be told apart in the result.
"""

import os
from collections.abc import Mapping
from typing import Any

import av
import folder_paths
import numpy as np
import torch

DETECTORS = ["retinaface_resnet50", "retinaface_mobile0.25", "YOLOv5l", "YOLOv5n"]


def unit() -> tuple[str, dict[str, Any]]:
    return "FLOAT", {"default": 0.5, "min": 0.0, "max": 1, "step": 0.05}


def striped(image: torch.Tensor) -> torch.Tensor:
    """What a restorer has touched is told by black stripes: colours alone are matched away."""
    rows = torch.arange(image.shape[1]) * 16 // image.shape[1] % 2
    return image * rows[None, :, None, None]


class ReActorRestoreFace:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "image": ("IMAGE",),
                "facedetection": (DETECTORS,),
                "model": (["none", "codeformer-v0.1.0.pth", "GFPGANv1.4.pth"],),
                "visibility": unit(),
                "codeformer_weight": unit(),
            },
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "execute"

    def execute(self, image, model, visibility, codeformer_weight, facedetection):
        return (striped(image),)


class FaceRestoreModelLoader:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"model_name": (["codeformer.pth"],)}}

    RETURN_TYPES = ("FACERESTORE_MODEL",)
    FUNCTION = "load_model"

    def load_model(self, model_name):
        return (model_name,)


class FaceRestoreCFWithModel:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "facerestore_model": ("FACERESTORE_MODEL",),
                "image": ("IMAGE",),
                "facedetection": (DETECTORS,),
                "codeformer_fidelity": unit(),
            }
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "restore_face"

    def restore_face(self, facerestore_model, image, facedetection, codeformer_fidelity):
        return (striped(image),)


class RifeVfi:
    @classmethod
    def INPUT_TYPES(cls):
        return {
            "required": {
                "ckpt_name": (["rife47.pth", "rife49.pth"], {"default": "rife47.pth"}),
                "frames": ("IMAGE",),
                "clear_cache_after_n_frames": ("INT", {"default": 10, "min": 1, "max": 1000}),
                "multiplier": ("INT", {"default": 2, "min": 1}),
                "fast_mode": ("BOOLEAN", {"default": True}),
                "ensemble": ("BOOLEAN", {"default": True}),
                "scale_factor": ([0.25, 0.5, 1.0, 2.0, 4.0], {"default": 1.0}),
            },
            "optional": {"optional_interpolation_states": ("INTERPOLATION_STATES",)},
        }

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "vfi"

    def vfi(self, frames, multiplier, **others):
        """Ends with the last frame: (n - 1) * multiplier + 1 frames."""
        where = torch.arange((len(frames) - 1) * multiplier + 1) / multiplier
        before = where.long().clamp(max=len(frames) - 2)
        share = (where - before)[:, None, None, None]
        return (frames[before] * (1 - share) + frames[before + 1] * share,)


class LazyAudioMap(Mapping):
    """AUDIO that is no dict, and that is decoded when it is first looked at."""

    def __init__(self, file: str):
        self.file = file
        self._dict: dict[str, Any] | None = None

    def _sound(self) -> dict[str, Any]:
        if self._dict is None:
            with av.open(self.file) as container:
                frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
                rate = container.streams.audio[0].rate
            waveform = torch.from_numpy(np.concatenate(frames, axis=1)).float()[None]
            self._dict = {"waveform": waveform, "sample_rate": rate}
        return self._dict

    def __getitem__(self, key):
        return self._sound()[key]

    def __iter__(self):
        return iter(self._sound())

    def __len__(self):
        return len(self._sound())


class VHSLoadVideo:
    @classmethod
    def INPUT_TYPES(cls):
        size = ("INT", {"default": 0, "min": 0, "max": 8192})
        return {
            "required": {
                "video": (os.listdir(folder_paths.get_input_directory()),),
                "force_rate": ("FLOAT", {"default": 0, "min": 0, "max": 60, "step": 1}),
                "custom_width": size,
                "custom_height": size,
                "frame_load_cap": ("INT", {"default": 0, "min": 0}),
                "skip_first_frames": ("INT", {"default": 0, "min": 0}),
                "select_every_nth": ("INT", {"default": 1, "min": 1}),
            },
            "optional": {"meta_batch": ("VHS_BatchManager",), "vae": ("VAE",)},
        }

    RETURN_TYPES = ("IMAGE", "INT", "AUDIO", "VHS_VIDEOINFO")
    RETURN_NAMES = ("IMAGE", "frame_count", "audio", "video_info")
    FUNCTION = "load_video"

    def load_video(self, video, **others):
        file = folder_paths.get_annotated_filepath(video)
        with av.open(file) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            fps = float(container.streams.video[0].average_rate)
        images = torch.from_numpy(np.stack(frames)).float() / 255
        return images, len(images), LazyAudioMap(file), {"source_fps": fps}


NODE_CLASS_MAPPINGS = {
    "ReActorRestoreFace": ReActorRestoreFace,
    "FaceRestoreModelLoader": FaceRestoreModelLoader,
    "FaceRestoreCFWithModel": FaceRestoreCFWithModel,
    "RIFE VFI": RifeVfi,
    "VHS_LoadVideo": VHSLoadVideo,
}
