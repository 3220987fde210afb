"""Sample Lip Renderer and Decode Lip Latents: from lip motion to face crops."""

from comfy_api.latest import io

from ..lipsync_core.steps import decode_crops, sample_latents
from . import host, types
from .schema import Schema, advanced
from .video import clip_of

STARTS = "lipstyle_starts"
"""In a LATENT beside its samples: crops that drawing began from, whose details decoding keeps."""


def steps_input() -> io.Input:
    """Of the diffusion sampler."""
    return advanced(
        io.Int.Input(
            "steps",
            default=1,
            min=1,
            max=50,
            tooltip="Diffusion steps. One is what the shipped renderer was trained for; more take "
            "as many times longer and may add detail.",
        )
    )


def seed_input() -> io.Int.Input:
    """Of all that is drawn at random."""
    return io.Int.Input(
        "seed",
        default=0,
        min=0,
        max=0xFFFFFFFFFFFFFFFF,
        control_after_generate=True,
        tooltip="The same seed gives the same pictures.",
    )


class SampleLipRenderer(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleSampleLipRenderer",
            display_name="Sample Lip Renderer",
            description="Draws the mouth of every frame for a lip motion, as latents. Teeth and "
            "skin come from other frames of the person.",
            search_aliases=["ksampler", "lip sync sampler", "mouth diffusion", "inpaint mouth"],
            inputs=[
                types.LipRenderer.Input("renderer", tooltip="From Load Lip Renderer."),
                io.Video.Input("video", tooltip="The video that the face was tracked in."),
                types.FaceTrack.Input("face_track", tooltip="From Track Face, of this video."),
                types.LipMotion.Input("motion", tooltip="From Predict Lip Motion."),
                seed_input(),
                steps_input(),
                io.Int.Input(
                    "start_frame",
                    default=0,
                    min=0,
                    max=10_000_000,
                    tooltip="The first frame that is drawn, to try a part of a long video.",
                ),
                io.Int.Input(
                    "frame_count",
                    default=0,
                    min=0,
                    max=10_000_000,
                    tooltip="How many frames are drawn; 0 draws all to the end.",
                ),
                io.Video.Input(
                    "reference",
                    optional=True,
                    tooltip="Another clip of the same face, to take teeth and skin from; without "
                    "it they come from other frames of the video.",
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent",
                    tooltip="One latent per frame; batch_index tells which frames.",
                )
            ],
        )

    @classmethod
    def execute(
        cls,
        renderer: host.HostedModel,
        video,
        face_track,
        motion,
        seed: int,
        steps: int,
        start_frame: int,
        frame_count: int,
        reference=None,
    ) -> io.NodeOutput:
        with host.on_device(renderer) as (network,):
            span, latents, starts = sample_latents(
                host.face_landmarker(),
                network,
                clip_of(video),
                face_track,
                motion,
                clip_of(reference) if reference is not None else None,
                start_frame=start_frame,
                frame_count=frame_count or None,
                seed=seed,
                steps=steps,
                on_progress=host.Progress(),
            )
        latent = {"samples": host.images(latents), "batch_index": list(span)}
        return io.NodeOutput(latent if starts is None else latent | {STARTS: starts})


class DecodeLipLatents(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return Schema(
            node_id="LipStyleDecodeLipLatents",
            display_name="Decode Lip Latents",
            description="Turns latents into aligned face crops, exactly one per frame of the "
            "video: frames that were not drawn, or show no face, give their own crop.",
            search_aliases=["vae decode", "lip latents", "face crops"],
            inputs=[
                types.LipRenderer.Input("renderer", tooltip="The renderer that drew the latents."),
                io.Latent.Input("latent", tooltip="From Sample Lip Renderer."),
                types.FaceTrack.Input("face_track", tooltip="From Track Face, of this video."),
                io.Video.Input("video", tooltip="The video that the face was tracked in."),
            ],
            outputs=[
                io.Image.Output(
                    display_name="crops",
                    tooltip="The whole face from the forehead to under the chin: upscale or "
                    "restore it, then Composite Face.",
                )
            ],
        )

    @classmethod
    def execute(cls, renderer: host.HostedModel, latent, face_track, video) -> io.NodeOutput:
        samples = latent["samples"]
        frames = latent.get("batch_index") or range(len(samples))
        starts = latent.get(STARTS)
        if starts is not None and len(starts) != len(samples):
            starts = None  # a node of the core took some of the latents alone
        with host.on_device(renderer) as (network,):
            crops = decode_crops(
                network, clip_of(video), face_track, samples, list(frames), host.Progress(), starts
            )
        return io.NodeOutput(host.images(crops))
