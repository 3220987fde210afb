"""The nodes of LipStyle, in the order of the method."""

from comfy_api.latest import ComfyExtension, io

from . import folders
from .compositing import CompositeFace
from .face import TrackFace
from .lip_sync import LipSync
from .media import FitClipToSpeech, LoadReferenceClip
from .models import LoadLipRenderer, LoadMotionPredictor
from .motion import EncodeSpeech, PlotLipMotion, PredictLipMotion
from .render import DecodeLipLatents, SampleLipRenderer
from .scoring import ScoreLipSync
from .style import BlendStyles, LoadStyle, SaveStyle, StyleReference


class LipStyleExtension(ComfyExtension):
    """What ComfyUI asks for the nodes."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        # Here, because older versions of ComfyUI do not call on_load.
        folders.register_folders()
        return [
            LipSync,
            LoadMotionPredictor,
            LoadLipRenderer,
            LoadReferenceClip,
            StyleReference,
            BlendStyles,
            LoadStyle,
            SaveStyle,
            EncodeSpeech,
            PredictLipMotion,
            PlotLipMotion,
            FitClipToSpeech,
            TrackFace,
            SampleLipRenderer,
            DecodeLipLatents,
            CompositeFace,
            ScoreLipSync,
        ]
