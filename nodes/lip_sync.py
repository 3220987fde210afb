"""Lip Sync: the whole method in one node, streaming."""

from comfy_api.latest import io

from ..lipsync_core.media.fitting import FitPolicy
from ..lipsync_core.pipeline import LipSyncSettings, Models, lip_sync
from . import host, types
from .compositing import occluder_clip, occluder_input
from .face import face_choice, face_inputs
from .media import policy_input
from .motion import strength_input
from .render import seed_input, steps_input
from .schema import Schema
from .video import clip_of, respoken_video


class LipSync(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleLipSync",
            display_name="Lip Sync",
            description="Re-speaks a video: the lips move to new speech in the person's own way of "
            "speaking. Videos of any length, in constant memory.",
            search_aliases=["lipsync", "dub video", "talking head", "wav2lip", "latentsync"],
            inputs=[
                types.MotionPredictor.Input("predictor", tooltip="From Load Motion Predictor."),
                types.LipRenderer.Input("renderer", tooltip="From Load Lip Renderer."),
                io.Video.Input("video", tooltip="The video whose lips are to move."),
                io.Audio.Input("audio", tooltip="The new speech, which becomes the sound."),
                strength_input(),
                *face_inputs(),
                policy_input(),
                steps_input(),
                seed_input(),
                types.LipStyle.Input(
                    "style",
                    optional=True,
                    tooltip="How the person talks; without it, as in the video's own sound.",
                ),
                io.Video.Input(
                    "reference",
                    optional=True,
                    tooltip="Another clip of the same face, to take teeth and skin from; without "
                    "it they come from other frames of the video.",
                ),
                occluder_input(),
            ],
            outputs=[
                io.Video.Output(
                    display_name="video", tooltip="Size and frame rate of the input, new sound."
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        predictor: host.HostedPredictor,
        renderer: host.HostedModel,
        video,
        audio,
        strength: float,
        face: str,
        face_index: int,
        point_x: int,
        point_y: int,
        policy: FitPolicy,
        steps: int,
        seed: int,
        style=None,
        reference=None,
        occluder=None,
    ) -> io.NodeOutput:
        choice = face_choice(face, face_index, point_x, point_y)
        settings = LipSyncSettings(strength, choice, policy, steps, seed)
        other = clip_of(reference) if reference is not None else None
        progress = host.Progress(passes=2)
        with host.on_device(*predictor.models, renderer) as networks:
            models = Models(host.face_landmarker(), *networks)
            clip, speech = clip_of(video), host.speech(audio)
            masks = occluder_clip(occluder, clip)
            work = lip_sync(models, clip, speech, settings, style, other, progress, masks)
            progress.next_pass()
            spoken = respoken_video(work, video, host.digest(occluder), progress)
        return io.NodeOutput(spoken)
