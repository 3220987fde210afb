"""Load Motion Predictor and Load Lip Renderer: the two stages of the method, from files."""

from comfy_api.latest import io

from ..lipsync_core.audio.encoder import load_speech_encoder
from ..lipsync_core.checkpoint import load_model
from ..lipsync_core.motion.predictor import MotionPredictor
from ..lipsync_core.render.renderer import LipRenderer
from ..lipsync_core.weights import SPEECH_ENCODER, find
from . import folders, host, types
from .schema import Schema


class LoadMotionPredictor(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleLoadMotionPredictor",
            display_name="Load Motion Predictor",
            description="Loads the network that predicts how a person's lips move to speech, "
            "with the encoder that it hears speech through.",
            search_aliases=["lip sync model", "lipstyle predictor", "speech to lips", "stage 1"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folders.model_names(MotionPredictor.__name__),
                    tooltip="A motion predictor in models/lipstyle or shipped with LipStyle.",
                ),
            ],
            outputs=[
                types.MotionPredictor.Output(
                    display_name="predictor",
                    tooltip="For Encode Speech, Style Reference, Predict Lip Motion and Lip Sync.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        return folders.is_model(file, MotionPredictor.__name__)

    @classmethod
    def fingerprint_inputs(cls, file: str) -> str:
        return folders.fingerprint(folders.model_file, file)

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        predictor = load_model(folders.model_file(file), MotionPredictor, host.operations())
        encoder = load_speech_encoder(find(SPEECH_ENCODER, folders.model_folders()))
        return io.NodeOutput(
            host.HostedPredictor(host.HostedModel(encoder), host.HostedModel(predictor))
        )


class LoadLipRenderer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleLoadLipRenderer",
            display_name="Load Lip Renderer",
            description="Loads the diffusion network that draws the mouth for a lip motion. Its "
            "file fixes the size of the crops it draws.",
            search_aliases=["lip sync model", "lipstyle renderer", "mouth diffusion", "stage 2"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folders.model_names(LipRenderer.__name__),
                    tooltip="A lip renderer in models/lipstyle or shipped with LipStyle.",
                ),
            ],
            outputs=[
                types.LipRenderer.Output(
                    display_name="renderer",
                    tooltip="For Sample Lip Renderer, Decode Lip Latents and Lip Sync.",
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        return folders.is_model(file, LipRenderer.__name__)

    @classmethod
    def fingerprint_inputs(cls, file: str) -> str:
        return folders.fingerprint(folders.model_file, file)

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        renderer = load_model(folders.model_file(file), LipRenderer, host.operations())
        return io.NodeOutput(host.HostedModel(renderer))
