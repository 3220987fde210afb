"""The second pass cut into its steps, for graphs in which each is a node of its own.

    sample_latents -> decode_crops -> any upscaler or face restorer -> compose_frames

`pipeline.lip_sync` does the same chunk by chunk; here latents and crops of all frames are held.
"""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from .compositing.place import composite_mask
from .compositing.presence import presence
from .face.alignment import crop_faces
from .face.landmarking import FaceLandmarker
from .media.mask_clip import mask_clip
from .pipeline import chunks, composite_span, find_references, spans
from .render.references import placed
from .render.renderer import LipRenderer
from .render.rendering import decode_lip_latents, sample_lip_latents
from .types import Clip, FaceTrack, LipMotion, OnProgress


def sample_latents(
    landmarker: FaceLandmarker,
    renderer: LipRenderer,
    clip: Clip,
    track: FaceTrack,
    motion: LipMotion,
    reference: Clip | None = None,
    *,
    start_frame: int = 0,
    frame_count: int | None = None,
    seed: int = 0,
    steps: int = 1,
    on_progress: OnProgress | None = None,
) -> tuple[range, Float[Tensor, "n c h w"], Float[Tensor, "n s s 3"] | None]:
    """Which frames of `clip` are drawn, and their latents; zeros where no face is seen. Then what
    drawing began from, where the renderer brings references into place: their details.

    Raises ValueError when the track is of another clip, or nothing is left to draw.
    """
    check_fit(clip, track)
    if not 0 <= start_frame < clip.frame_count:
        raise ValueError(
            f"start_frame is {start_frame}, the video has frames 0 to {clip.frame_count - 1}"
        )
    stop = clip.frame_count if frame_count is None else start_frame + frame_count
    drawn = range(start_frame, min(stop, clip.frame_count))
    track = track.resized(renderer.config.crop_size)
    references = find_references(landmarker, renderer, clip, track, motion, reference)
    latents, starts = [], []
    for span in spans(clip, drawn):
        crops = read_crops(clip, track, span)
        looked = references.of(span)
        start = placed(looked, crops) if renderer.config.places_references else None
        sampled = sample_lip_latents(
            renderer,
            crops,
            motion,
            clip.times()[span],
            looked,
            start=start,
            seed=seed,
            steps=steps,
        )
        starts += [] if start is None else [start]
        latents.append(sampled * track.visible[span, None, None, None])
        if on_progress is not None:
            on_progress(span.stop - drawn.start, len(drawn))
    return drawn, torch.cat(latents), torch.cat(starts) if starts else None


def decode_crops(
    renderer: LipRenderer,
    clip: Clip,
    track: FaceTrack,
    latents: Float[Tensor, "n c h w"],
    frames: Sequence[int],
    on_progress: OnProgress | None = None,
    starts: Float[Tensor, "n s s 3"] | None = None,
) -> Float[Tensor, "t s s 3"]:
    """One crop for every frame of `clip`; latent i belongs to frame `frames[i]`, and start i, if
    drawing began from a reference in place.

    Frames without a latent or without a visible face give their own crop. Raises ValueError when
    track or latents are of another clip or renderer.
    """
    check_fit(clip, track)
    check_latents(renderer, clip, latents, frames)
    track = track.resized(renderer.config.crop_size)
    latent_of = torch.full((clip.frame_count,), -1)
    latent_of[list(frames)] = torch.arange(len(frames))
    latent_of[~track.visible] = -1
    size = renderer.config.crop_size
    crops = torch.empty(clip.frame_count, size, size, 3)
    for span in chunks(clip):
        own = read_crops(clip, track, span)
        drawn = (latent_of[span] >= 0).nonzero()[:, 0]
        if len(drawn):
            numbers = latent_of[span][drawn]
            chosen = latents[numbers.to(latents.device)]
            start = None if starts is None else starts[numbers]
            own[drawn] = decode_lip_latents(renderer, chosen, own[drawn], start)
        crops[span] = own
        if on_progress is not None:
            on_progress(span.stop, clip.frame_count)
    return crops


def compose_frames(
    clip: Clip,
    track: FaceTrack,
    crops: Float[Tensor, "t s s 3"],
    occluder: Float[Tensor, "n h w"] | None = None,
) -> Iterator[Float[Tensor, "t h w 3"]]:
    """The clip's frames with `crops`, of any size, put back; chunk by chunk.

    `occluder` is one mask for all frames, or one per frame, of the frames' shape. Raises ValueError
    at once when something does not fit.
    """
    check_fit(clip, track)
    count, height, width, _ = crops.shape
    if count != clip.frame_count or height != width:
        raise ValueError(
            f"{count} crops of {width} x {height} pixels for a video of {clip.frame_count} frames: "
            "one square crop per frame is needed, as Decode Lip Latents gives them"
        )
    masks = None if occluder is None else mask_clip(occluder, clip)

    def compose() -> Iterator[Float[Tensor, "t h w 3"]]:
        for span in chunks(clip):
            frames = clip.frames(span.start, span.stop)
            mask = masks and masks.frames(span.start, span.stop)[..., 0]
            yield composite_span(track, span, frames, crops[span], mask)

    return compose()


def change_mask(
    clip: Clip, track: FaceTrack, crop_size: int, occluder: Float[Tensor, "n h w"] | None = None
) -> Float[Tensor, "t h w"]:
    """How far `compose_frames` may change each pixel, for crops of `crop_size`."""
    matrices = track.resized(crop_size).frame_to_crop
    masks = occluder if occluder is None else mask_clip(occluder, clip).frames(0, clip.frame_count)
    masks = masks if masks is None else masks[..., 0]
    shown = presence(track, slice(0, clip.frame_count))
    face = shown, clip.height, clip.width, masks, track.landmarks[..., :2]
    return composite_mask(matrices, crop_size, *face)


def read_crops(clip: Clip, track: FaceTrack, span: slice) -> Float[Tensor, "t s s 3"]:
    """The aligned crops of some frames."""
    frames = clip.frames(span.start, span.stop)
    return crop_faces(frames, track.frame_to_crop[span], track.crop_size)


def check_fit(clip: Clip, track: FaceTrack) -> None:
    """ValueError when `track` cannot be of `clip`."""
    if (len(track.visible), track.fps) != (clip.frame_count, clip.fps):
        raise ValueError(
            f"the face was tracked in {len(track.visible)} frames at {float(track.fps):.3f} fps, "
            f"this video has {clip.frame_count} at {float(clip.fps):.3f}: track the face in the "
            "very video that is given here, after Fit Clip To Speech"
        )


def check_latents(
    renderer: LipRenderer, clip: Clip, latents: Float[Tensor, "n c h w"], frames: Sequence[int]
) -> None:
    """ValueError when `latents` cannot be this renderer's, of these frames of `clip`."""
    config = renderer.config
    needed = (config.codec_latent_channels, config.latent_size, config.latent_size)
    if latents.ndim != 4 or tuple(latents.shape[1:]) != needed:
        raise ValueError(
            f"latents of shape {tuple(latents.shape)}, (frames, {needed[0]}, {needed[1]}, "
            f"{needed[2]}) is needed: sample them with the same renderer"
        )
    if len(frames) != len(latents) or not all(0 <= frame < clip.frame_count for frame in frames):
        raise ValueError(
            f"{len(latents)} latents for {len(frames)} frames of a video of {clip.frame_count}: "
            "sample them from the same video"
        )
