"""Composite Face: crops back into the frames, inside the mask only."""

from typing import Any

from comfy_api.latest import io

from ..lipsync_core.media.mask_clip import mask_clip
from ..lipsync_core.pipeline import cut
from ..lipsync_core.steps import change_mask, compose_frames
from ..lipsync_core.types import Clip
from . import host, types
from .schema import Schema
from .video import clip_of, written_video


class CompositeFace(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleCompositeFace",
            display_name="Composite Face",
            description="Puts re-made face crops back into the video. Only pixels inside the mask "
            "change, and only where the crops differ from the video; crops of any size go.",
            search_aliases=["paste back", "face blend", "uncrop face", "stitch face"],
            inputs=[
                io.Video.Input("video", tooltip="The video that the face was tracked in."),
                types.FaceTrack.Input("face_track", tooltip="From Track Face, of this video."),
                io.Image.Input(
                    "crops",
                    tooltip="One square crop per frame, from Decode Lip Latents, upscaled or "
                    "restored as you like.",
                ),
                io.Audio.Input(
                    "audio",
                    optional=True,
                    tooltip="The new speech, which becomes the sound; without it the video's own.",
                ),
                occluder_input(),
            ],
            outputs=[
                io.Video.Output(
                    display_name="video",
                    tooltip="Size, frame rate and length of the input, marked as AI-edited.",
                ),
                io.Mask.Output(
                    display_name="mask", tooltip="How far each pixel of each frame may change."
                ),
            ],
        )

    @classmethod
    def execute(cls, video, face_track, crops, audio=None, occluder=None) -> io.NodeOutput:
        clip = clip_of(video)
        faces = host.pictures(crops)
        occluder = None if occluder is None else host.masks(occluder)
        frames = compose_frames(clip, face_track, faces, occluder)
        heard = clip.sound() if audio is None else cut(host.speech(audio), clip.duration)
        composed = written_video(clip, frames, heard, host.Progress())
        return io.NodeOutput(composed, change_mask(clip, face_track, faces.shape[1], occluder))


def occluder_input() -> io.Mask.Input:
    """The MASK of what stands in front of the face."""
    return io.Mask.Input(
        "occluder",
        optional=True,
        tooltip="White where something in front of the face (a hand, a microphone) must stay: one "
        "mask for all frames of the video, or one per frame.",
    )


def occluder_clip(occluder: Any, clip: Clip) -> Clip | None:
    """A MASK of one or all frames of `clip`, as the core reads it; None stays None."""
    return None if occluder is None else mask_clip(host.masks(occluder), clip)
