"""Figures of made crops: beside the real crops, and once written, beside the real clip written.

The written video is tracked as any other is, so that how the mouth opens is what a viewer gets.
"""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

from ..compositing.blending import composite
from ..compositing.presence import presence
from ..media.trimming import TrimmedClip
from ..media.writing import write_clip
from ..pipeline import TAGS, chunks, composite_span
from ..types import Clip, FaceTrack
from .bench import VIDEOS, Bench, Talking
from .measured_face import measured
from .motion_measures import compare_motion
from .picture_figures import picture_name
from .picture_measures import MOTION_CROP, MotionMeter, gradient_energy, psnr
from .picture_regions import lips_in_crop, lips_in_frame, mouth_box
from .renderer_clips import RendererClip
from .results import Measure

CROP_PSNR, CROP_SHARPNESS = "PSNR mouth, crops", "sharpness, crops"
PSNR, SHARPNESS = "PSNR mouth", "sharpness"
CROP_MEASURES = (
    Measure(
        CROP_PSNR, "dB", "higher", "The same before compositing and writing, in aligned crops."
    ),
    Measure(CROP_SHARPNESS, "x real", "near 1", "The same before compositing and writing."),
)
MOTION_FIGURES = (
    "opening r", "width r", "opening lag", "lip vertex error, centred", "opening spread ratio",
    "opening maximum ratio",
)  # fmt: skip
"""Of COMPARISON_MEASURES."""


def crop_figures(
    ours: Float[Tensor, "t s s 3"],
    real: Float[Tensor, "t s s 3"],
    track: FaceTrack,
    frames: slice = slice(None),
) -> dict[str, float]:
    """PSNR (mean over frames) and gradient energy (of sums) in the box of the real mouth.

    The crops are of those `frames` of the track.
    """
    meter = _BoxMeter()
    seen = zip(ours, real, lips_in_crop(track)[frames], track.visible[frames], strict=True)
    for our_crop, real_crop, lips, visible in seen:
        if visible:
            meter.add(our_crop, real_crop, lips)
    return {CROP_PSNR: meter.psnr, CROP_SHARPNESS: meter.sharpness}


class _BoxMeter:
    """PSNR and gradient energy in boxes of mouths."""

    def __init__(self) -> None:
        self._psnrs: list[float] = []
        self._energies: list[tuple[float, float]] = []

    def add(self, ours: Tensor, real: Tensor, lips: Float[Tensor, "k 2"]) -> None:
        box = mouth_box(lips, *real.shape[:2])
        if not box.empty:
            our_mouth, real_mouth = ours[box.slices], real[box.slices]
            self._psnrs.append(psnr(our_mouth, real_mouth))
            self._energies.append((gradient_energy(our_mouth), gradient_energy(real_mouth)))

    @property
    def psnr(self) -> float:
        return sum(self._psnrs) / len(self._psnrs) if self._psnrs else math.nan

    @property
    def sharpness(self) -> float:
        real = sum(energy for _, energy in self._energies)
        return sum(energy for energy, _ in self._energies) / real if real > 0 else math.nan


def write_crops(
    bench: Bench, work: RendererClip, kind: str, crops: Float[Tensor, "t s s 3"] | None
) -> Talking:
    """The stretch with `crops` put back, or as it is, written, read back and tracked."""
    part = rendered_part(work)
    path = bench.folder / VIDEOS / f"{work.clip.name}.renderer.{kind.replace(' ', '_')}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = _frames(part, work.track, crops)
    write_clip(path, frames, part.fps, part.height, part.width, part.audio(), TAGS, repeatable=True)
    return bench.read(path)


def rendered_part(work: RendererClip) -> Clip:
    """The rendered frames, as they really are."""
    start = work.span.start
    return TrimmedClip(work.seen.pictures, start, work.span.stop - start)


def real_talking(work: RendererClip) -> Talking:
    """The rendered stretch of the real clip, not written, by the track that is there."""
    part = rendered_part(work)
    return Talking(part, measured(work.track), part.audio())


def put_back(
    work: RendererClip, crops: Float[Tensor, "t s s 3"], frames: slice
) -> Float[Tensor, "t h w 3"]:
    """Some frames of the clip with `crops` in them."""
    step, source = frames.step or 1, work.seen.pictures
    numbers = range(frames.start, frames.stop, step)
    pictures = torch.cat([source.frames(i, i + 1) for i in numbers])
    track = work.seen.track
    return composite(
        pictures,
        crops,
        work.crops[work.in_span(frames)],
        track.frame_to_crop[frames],
        presence(track, frames)[::step],
        landmarks=track.landmarks[frames, :, :2],
    )


def _frames(
    part: Clip, track: FaceTrack, crops: Float[Tensor, "t s s 3"] | None
) -> Iterator[Float[Tensor, "_ h w 3"]]:
    for span in chunks(part):
        frames = part.frames(span.start, span.stop)
        if crops is not None:
            frames = composite_span(track, span, frames, crops[span])
        yield frames


def written_figures(ours: Talking, rewritten: Clip, real: Talking) -> dict[str, float]:
    """Of the written video beside the real clip written (pictures) and the real clip (motion)."""
    track = real.face.track
    lips, boxes = lips_in_frame(track), _BoxMeter()
    motion, energies = MotionMeter(track.resized(MOTION_CROP)), {}
    for chunk in chunks(rewritten):
        span = range(chunk.start, chunk.stop)
        our_frames = ours.clip.frames(span.start, span.stop)
        real_frames = rewritten.frames(span.start, span.stop)
        for index, one, other in zip(span, our_frames, real_frames, strict=True):
            if track.visible[index]:
                boxes.add(one, other, lips[index])
        for name, (our, their) in motion.add(our_frames, real_frames, span).items():
            before = energies.get(name, (0.0, 0.0))
            energies[name] = before[0] + our, before[1] + their
    moved = compare_motion(ours.face, real.face)
    return (
        {PSNR: boxes.psnr, SHARPNESS: boxes.sharpness}
        | {
            picture_name(name): our / their if their > 0 else math.nan
            for name, (our, their) in energies.items()
        }
        | {name: moved[name] for name in MOTION_FIGURES}
    )
