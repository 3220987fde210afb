"""A real clip as the renderer alone is judged on: true lip motion, aligned crops, references.

Only a stretch in the clip's middle is rendered, so that a clip takes seconds. How references are
chosen is known to `look_up` alone.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import NoFaceError
from ..face.alignment import crop_faces
from ..pipeline import Models, find_references, lips_opening, reference_lips
from ..render.references import References, choose_references
from ..render.rendering import render_lips
from ..types import MOTION_RATE, Clip, FaceTrack, LipMotion
from .bench import UNFIT, Bench, alike
from .clips import EvaluationClip
from .common_steps import MINIMUM_STEPS
from .same_recording import same_recording
from .seen_clips import SeenClip

PICKED = 5
"""Frames of a stretch, evenly spaced, that networks and controls look at."""


@dataclass(frozen=True)
class LookedAt:
    """What the renderer looks at for every frame of a clip, and where that was taken from."""

    references: References
    source: SeenClip
    pool: tuple[int, ...]
    """Frames of `source`, in the order that `references.choice` speaks of."""


@dataclass(frozen=True)
class RendererClip:
    """The clip whose lips are made anew."""

    clip: EvaluationClip
    seen: SeenClip
    span: slice
    """The frames that are rendered."""
    crops: Float[Tensor, "t s s 3"]
    """The real ones of `span`."""
    reference: SeenClip | None
    """Other clips of the person; None where its own distant frames have to do."""

    @property
    def track(self) -> FaceTrack:
        """The face in the rendered frames alone."""
        return track_part(self.seen.track, self.span)

    @property
    def picked(self) -> slice:
        """PICKED of the rendered frames or some more, counted in the clip."""
        every = max(1, (self.span.stop - self.span.start) // PICKED)
        return slice(self.span.start, self.span.stop, every)

    def in_span(self, frames: slice) -> slice:
        """Frames counted in the clip, counted in `crops`."""
        start = self.span.start
        return slice(frames.start - start, frames.stop - start, frames.step)


def track_part(track: FaceTrack, span: slice) -> FaceTrack:
    """The track of the frames start <= i < stop alone."""
    return replace(
        track,
        landmarks=track.landmarks[span],
        frame_to_crop=track.frame_to_crop[span],
        visible=track.visible[span],
        cuts=tuple(cut - span.start for cut in track.cuts if span.start < cut < span.stop),
    )


def read_renderer_clip(bench: Bench, clip: EvaluationClip) -> RendererClip:
    """The clip with its middle stretch cropped; one of UNFIT when it cannot be evaluated."""
    seen = bench.see(clip.path)
    span = middle(seen.pictures.frame_count, bench.renderer_frames)
    visible = int(seen.track.visible[span].sum())
    if visible < MINIMUM_STEPS:
        raise NoFaceError(
            f"the face is seen in {visible} of the {span.stop - span.start} frames in the clip's "
            f"middle, {MINIMUM_STEPS} are needed"
        )
    reference = _reference(bench, clip, seen)
    return RendererClip(clip, seen, span, real_crops(seen, span), reference)


def _reference(bench: Bench, clip: EvaluationClip, seen: SeenClip) -> SeenClip | None:
    """As many other clips of the person as the bench allows, of one size, one after another."""
    sound, found = seen.pictures.audio(), dict[Path, Clip]()
    for other in bench.style_pool:
        if other.person != clip.person or other.fingerprint == clip.fingerprint:
            continue
        try:
            pictures = bench.see(other.path).pictures
        except UNFIT:
            continue
        if same_recording(sound, pictures.audio()):
            continue
        if len(alike([*found.values(), pictures])) > len(found):
            found[other.path] = pictures
        if len(found) == bench.reference_clips:
            break
    return bench.see(*found) if found else None


def middle(count: int, most: int) -> slice:
    """At most `most` frames out of the middle of `count`."""
    kept = min(count, most)
    start = (count - kept) // 2
    return slice(start, start + kept)


def real_crops(seen: SeenClip, frames: slice) -> Float[Tensor, "t s s 3"]:
    """Crops of frames start, start + step, ... in [0, 1]; read one by one, held as crops alone."""
    track, numbers = seen.track, range(frames.start, frames.stop, frames.step or 1)
    crops = [
        crop_faces(seen.pictures.frames(i, i + 1), track.frame_to_crop[i, None], track.crop_size)
        for i in numbers
    ]
    return torch.cat(crops)


def other_clips(
    bench: Bench, clip: EvaluationClip, clips: Iterable[EvaluationClip]
) -> Iterator[SeenClip]:
    """Those of `clips` that are of another file and show a face."""
    for other in clips:
        if other.fingerprint != clip.fingerprint:
            try:
                yield bench.see(other.path)
            except UNFIT:
                continue


def next_clips(bench: Bench, clip: EvaluationClip) -> list[EvaluationClip]:
    """The evaluated clips after this one, in turns, then those that styles are read from."""
    place = next(i for i, other in enumerate(bench.clips) if other.name == clip.name)
    clips = [*bench.clips[place + 1 :], *bench.clips[:place], *bench.style_pool]
    return list({other.fingerprint: other for other in clips}.values())


def look_up(
    bench: Bench, seen: SeenClip, motion: LipMotion, reference: SeenClip | None
) -> LookedAt:
    """References for every frame of `seen` that is to have the lips of `motion`."""
    models, per_frame = bench.models, bench.settings.references
    source, pictures = (seen, None) if reference is None else (reference, reference.pictures)
    landmarker, renderer = models.landmarker, models.renderer
    references = find_references(
        landmarker, renderer, seen.pictures, seen.track, motion, pictures, per_frame=per_frame
    )
    # The same choice again: `references` does not say which frames its pool is made of.
    wanted, lips = reference_lips(renderer, seen.pictures, motion, source.pictures, source.track)
    track = None if reference is None else reference.track
    choice = choose_references(
        seen.track, wanted, lips, track, per_frame=per_frame, opening=lips_opening(renderer)
    )
    if not torch.equal(choice.choice.short(), references.choice):
        raise ValueError("references were chosen otherwise than here: they cannot be named")
    return LookedAt(references, source, choice.frames)


def render(
    models: Models,
    work: RendererClip,
    motion: LipMotion,
    looked: LookedAt,
    *,
    frames: slice | None = None,
    crops: Float[Tensor, "t s s 3"] | None = None,
    steps: int = 1,
    seed: int = 0,
) -> Float[Tensor, "t s s 3"]:
    """The crops of `frames` (default: all of the span), or `crops` in their place, with the lips
    of `motion`, which is as long as the clip."""
    frames = work.span if frames is None else frames
    return render_lips(
        models.renderer,
        work.crops[work.in_span(frames)] if crops is None else crops,
        motion,
        work.seen.pictures.times()[frames],
        looked.references.of(frames),
        seed=seed,
        steps=steps,
    )


def laid_over(other: SeenClip, work: RendererClip) -> LipMotion:
    """The motion of the other clip's middle, so placed that it begins where `work.span` does; its
    ends are held."""
    count = work.span.stop - work.span.start
    begin = middle(other.pictures.frame_count, count).start / other.pictures.fps
    shift = round((begin - work.span.start / work.seen.pictures.fps) * MOTION_RATE)
    steps = torch.arange(len(work.seen.motion.coefficients)) + shift
    steps = steps.clamp(0, len(other.motion.coefficients) - 1)
    motion = other.motion
    return LipMotion(motion.coefficients[steps], motion.valid[steps], motion.basis)
