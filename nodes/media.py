"""Load Reference Clip and Fit Clip To Speech: clips in and to length, without decoding them."""

from typing import get_args

from comfy_api.latest import io

from ..lipsync_core.media.fitting import FitPolicy, fit_clip
from . import folders, host
from .schema import Schema
from .video import ClipVideo, clip_of, open_video, sound_of


def policy_input() -> io.Combo.Input:
    """What happens when the speech lasts longer than the video."""
    return io.Combo.Input(
        "policy",
        options=list(get_args(FitPolicy)),
        default="ping-pong",
        tooltip="When the speech is longer than the video. cut: the result ends with the video. "
        "freeze: the last frame stays. ping-pong: the video runs backwards and forwards in turns. "
        "loop: it begins again. A longer video is always cut to the speech.",
    )


class LoadReferenceClip(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleLoadReferenceClip",
            display_name="Load Reference Clip",
            description="Opens a clip of how the person talks, whole or in part. Pictures are read "
            "only when a node looks at them, so long files cost no memory.",
            search_aliases=["load video", "style clip", "reference video", "trim video"],
            inputs=[
                io.Combo.Input(
                    "file",
                    options=folders.input_names("video"),
                    upload=io.UploadType.video,
                    tooltip="A video in ComfyUI's input folder.",
                ),
                io.Float.Input(
                    "start",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.04,
                    tooltip="Seconds into the file at which the clip begins.",
                ),
                io.Float.Input(
                    "duration",
                    default=0.0,
                    min=0.0,
                    max=86400.0,
                    step=0.04,
                    tooltip="Seconds that the clip lasts; 0 takes all to the end of the file.",
                ),
            ],
            outputs=[
                io.Video.Output(
                    display_name="video", tooltip="The clip, upright, at its own frame rate."
                ),
                io.Audio.Output(
                    display_name="audio", tooltip="The clip's sound; nothing for a silent clip."
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, file: str | None) -> bool | str:
        return folders.is_input(file)

    @classmethod
    def fingerprint_inputs(cls, file: str, start: float, duration: float) -> str:
        return folders.fingerprint(folders.input_file, file)

    @classmethod
    def execute(cls, file: str, start: float, duration: float) -> io.NodeOutput:
        path = folders.input_file(file)
        video = open_video(path, start, duration)
        return io.NodeOutput(video, sound_of(path, video))


class FitClipToSpeech(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleFitClipToSpeech",
            display_name="Fit Clip To Speech",
            description="Cuts a video to the length of new speech, or extends it. Nothing is "
            "decoded or copied: frames are read when they are needed.",
            search_aliases=["loop video", "ping pong", "extend video", "match audio length"],
            inputs=[
                io.Video.Input("video", tooltip="The video whose lips are to move."),
                io.Audio.Input("audio", tooltip="The new speech, whose length counts."),
                policy_input(),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="As long as the speech, silent."),
            ],
        )

    @classmethod
    def execute(cls, video, audio, policy: FitPolicy) -> io.NodeOutput:
        fitted = fit_clip(clip_of(video), host.speech(audio).duration, policy)
        return io.NodeOutput(ClipVideo(fitted))
