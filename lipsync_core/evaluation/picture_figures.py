"""Figures of pictures of a whole written clip beside the real one, read in step, chunk by chunk."""

from dataclasses import replace

from ..pipeline import chunks
from ..types import Clip, FaceTrack
from .picture_measures import MEASURES, PictureMeter


def picture_name(name: str) -> str:
    """A picture measure's name beside those of lip motion, which has an energy as well."""
    return f"picture {name}" if name.startswith("motion energy") else name


PICTURE_MEASURES = tuple(replace(measure, name=picture_name(measure.name)) for measure in MEASURES)


def compare_pictures(ours: Clip, real: Clip, track: FaceTrack) -> dict[str, float]:
    """The figures of PICTURE_MEASURES over the frames that both have; `track` is of `real`, or of
    what it was written from. Nothing when the sizes differ."""
    if (ours.height, ours.width) != (real.height, real.width):
        return {}
    meter = PictureMeter(track)
    last = min(ours.frame_count, real.frame_count, len(track.visible))
    for chunk in chunks(ours):
        span = range(chunk.start, min(chunk.stop, last))
        if len(span):
            meter.add(ours.frames(span.start, span.stop), real.frames(span.start, span.stop), span)
    return {picture_name(name): value for name, value in meter.figures().items()}
