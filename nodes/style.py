"""Style Reference, Blend, Load and Save: how one person talks, measured once, mixed and kept."""

from comfy_api.latest import io, ui

from ..lipsync_core.motion.style import blend_styles
from ..lipsync_core.motion.style_file import load_style, save_style
from ..lipsync_core.pipeline import read_style
from . import folders, host, types
from .schema import Schema
from .video import clip_of, source_of

KIND = "StyleReference"
"""What the header of a style file says it holds."""


def style_output() -> io.Output:
    return types.LipStyle.Output(
        display_name="style",
        tooltip="How the person talks, for Predict Lip Motion, Lip Sync and Save Lip Style.",
    )


class StyleReference(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleStyleReference",
            display_name="Style Reference",
            description="Measures how a person talks from a clip: what is said, paired with how "
            "the lips move. Ten seconds say much; several clips can be chained.",
            search_aliases=["speaking style", "lip style", "reference clip", "mouth style"],
            inputs=[
                types.MotionPredictor.Input(
                    "predictor", tooltip="The predictor that is to speak in this style."
                ),
                io.Video.Input("video", tooltip="A clip in which the person is seen talking."),
                types.FaceTrack.Input(
                    "face_track",
                    optional=True,
                    tooltip="The face to measure in this video; without it the largest is tracked.",
                ),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The speech heard in the clip; without it the video's own sound.",
                ),
                types.LipStyle.Input(
                    "extend",
                    optional=True,
                    tooltip="A style of the same person to which this clip is added.",
                ),
            ],
            outputs=[style_output()],
        )

    @classmethod
    def execute(
        cls, predictor: host.HostedPredictor, video, face_track=None, audio=None, extend=None
    ) -> io.NodeOutput:
        with host.on_device(*predictor.models) as networks:
            style = read_style(
                host.face_landmarker(),
                *networks,
                clip_of(video),
                audio=host.audio(audio),
                track=face_track,
                extend=extend,
                source=source_of(video),
                on_progress=host.Progress(),
            )
        return io.NodeOutput(style)


class BlendStyles(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleBlendStyles",
            display_name="Blend Lip Styles",
            description="A way of talking between two: each counts by its share, however long its "
            "clips are.",
            search_aliases=["mix styles", "average style", "speaking style", "lip style"],
            inputs=[
                types.LipStyle.Input("first", tooltip="How one person talks."),
                types.LipStyle.Input(
                    "second", tooltip="How another one talks, measured for the same predictor."
                ),
                io.Float.Input(
                    "share",
                    default=0.5,
                    min=0.0,
                    max=1.0,
                    step=0.05,
                    tooltip="Of the second style: 0 is the first style itself, 1 the second.",
                ),
            ],
            outputs=[style_output()],
        )

    @classmethod
    def execute(cls, first, second, share: float) -> io.NodeOutput:
        return io.NodeOutput(blend_styles((first, second), (1 - share, share)))


class LoadStyle(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleLoadStyle",
            display_name="Load Lip Style",
            description="Loads how a person talks from a small file made by Save Lip Style.",
            search_aliases=["speaking style", "lip style file", "load style"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folders.model_names(KIND) + folders.output_names(KIND),
                    tooltip="A style in models/lipstyle or output/lipstyle, or one that comes with "
                    "LipStyle.",
                ),
            ],
            outputs=[style_output()],
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        return folders.is_model(file, KIND)

    @classmethod
    def fingerprint_inputs(cls, file: str) -> str:
        return folders.fingerprint(folders.model_file, file)

    @classmethod
    def execute(cls, file: str) -> io.NodeOutput:
        return io.NodeOutput(load_style(folders.model_file(file)))


class SaveStyle(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleSaveStyle",
            display_name="Save Lip Style",
            description="Keeps how a person talks in a small file, for Load Lip Style.",
            search_aliases=["speaking style", "lip style file", "save style"],
            is_output_node=True,
            inputs=[
                types.LipStyle.Input("style", tooltip="From Style Reference."),
                io.String.Input(
                    "filename_prefix",
                    default="lipstyle/style",
                    tooltip="Folder and beginning of the file's name in the output folder.",
                ),
            ],
            outputs=[],
        )

    @classmethod
    def execute(cls, style, filename_prefix: str) -> io.NodeOutput:
        path = folders.output_file(filename_prefix, ".safetensors")
        save_style(path, style)
        return io.NodeOutput(ui=ui.PreviewText(path.name))
