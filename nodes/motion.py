"""Encode Speech, Predict and Plot Lip Motion: from sound to lips in a person's style."""

from comfy_api.latest import io, ui

from ..lipsync_core.audio.features import encode_speech
from ..lipsync_core.motion.drawing import draw_lip_motion
from ..lipsync_core.motion.prediction import predict_lip_motion
from . import host, types
from .schema import Schema


def strength_input() -> io.Float.Input:
    """How much of the style is taken on."""
    return io.Float.Input(
        "strength",
        default=1.0,
        min=0.0,
        max=3.0,
        step=0.05,
        tooltip="0 leaves the style out, 1 takes it as seen, more exaggerates it.",
    )


class EncodeSpeech(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleEncodeSpeech",
            display_name="Encode Speech",
            description="Hears what is said, 25 times a second, with the encoder that the "
            "predictor was trained on.",
            search_aliases=["whisper", "audio features", "speech features", "audio encoder"],
            inputs=[
                types.MotionPredictor.Input(
                    "predictor", tooltip="The predictor that is to hear this speech."
                ),
                io.Audio.Input("audio", tooltip="The new speech, any length and sample rate."),
            ],
            outputs=[
                types.SpeechFeatures.Output(
                    display_name="speech", tooltip="What is said, for Predict Lip Motion."
                )
            ],
        )

    @classmethod
    def execute(cls, predictor: host.HostedPredictor, audio) -> io.NodeOutput:
        with host.on_device(predictor.speech_encoder) as (encoder,):
            speech = encode_speech(encoder, host.speech(audio), host.Progress())
        return io.NodeOutput(speech)


class PredictLipMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStylePredictLipMotion",
            display_name="Predict Lip Motion",
            description="Predicts how the lips move to the speech, in the manner of the style: "
            "sounds are spoken as this person was seen to speak like sounds.",
            search_aliases=["speech to lips", "lip sync motion", "speaking style", "visemes"],
            inputs=[
                types.MotionPredictor.Input("predictor", tooltip="From Load Motion Predictor."),
                types.SpeechFeatures.Input("speech", tooltip="The new speech, from Encode Speech."),
                strength_input(),
                types.LipStyle.Input(
                    "style",
                    optional=True,
                    tooltip="How the person talks; without it the motion is an average person's.",
                ),
            ],
            outputs=[
                types.LipMotion.Output(
                    display_name="motion",
                    tooltip="How lips and jaw move, for Sample Lip Renderer and Plot Lip Motion.",
                )
            ],
        )

    @classmethod
    def execute(
        cls, predictor: host.HostedPredictor, speech, strength: float, style=None
    ) -> io.NodeOutput:
        with host.on_device(predictor.predictor) as (network,):
            motion = predict_lip_motion(network, speech, style, strength, host.Progress())
        return io.NodeOutput(motion)


class PlotLipMotion(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStylePlotLipMotion",
            display_name="Plot Lip Motion",
            description="Draws how far the lips open and spread over time, and what the mouth "
            "looks like at the telling moments; two motions can be set beside each other.",
            search_aliases=["visualize lips", "mouth curves", "viseme plot", "show lip motion"],
            is_output_node=True,
            inputs=[
                types.MotionPredictor.Input(
                    "predictor", tooltip="The predictor that the motion comes from."
                ),
                types.LipMotion.Input("motion", tooltip="From Predict Lip Motion; drawn in red."),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.04,
                    tooltip="Seconds into the motion at which the picture begins.",
                ),
                io.Float.Input(
                    "duration",
                    default=8.0,
                    min=0.0,
                    max=86400.0,
                    step=0.04,
                    tooltip="Seconds that are drawn; 0 draws all to the end.",
                ),
                types.LipMotion.Input(
                    "other",
                    optional=True,
                    tooltip="A second motion, drawn in blue: another style, strength or speech.",
                ),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The speech of the motion, whose loudness is drawn behind the curves.",
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="plot", tooltip="The picture, 960 x 720, also shown on the node."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        predictor: host.HostedPredictor,
        motion,
        start: float,
        duration: float,
        other=None,
        audio=None,
    ) -> io.NodeOutput:
        motions = {"motion": motion} if other is None else {"motion": motion, "other": other}
        basis = predictor.predictor.network.basis
        heard = host.audio(audio)
        drawn = draw_lip_motion(basis, motions, heard and heard.read(), start, duration)
        plot = host.images(drawn[None])
        return io.NodeOutput(plot, ui=ui.PreviewImage(plot, cls=cls))
