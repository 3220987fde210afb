"""The nodes of LipStyle, in the order of the method."""

from comfy_api.latest import ComfyExtension, io

from . import host
from .face import TrackFace
from .media import FitClipToSpeech, LoadReferenceClip
from .models import LoadLipRenderer, LoadMotionPredictor
from .motion import EncodeSpeech, PredictLipMotion


class LipStyleExtension(ComfyExtension):
    """What ComfyUI asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        # Here, because older versions of ComfyUI do not call on_load.
        host.register_folders()
        return [
            LoadMotionPredictor,
            LoadLipRenderer,
            LoadReferenceClip,
            EncodeSpeech,
            PredictLipMotion,
            FitClipToSpeech,
            TrackFace,
        ]
