"""Figures of pictures of a whole written clip beside the real one, read in step, chunk by chunk."""

from dataclasses import dataclass, replace

from ..pipeline import chunks
from ..types import Clip, FaceTrack
from .face_distributions import Pair
from .feature_distances import MEASURES as FEATURE_MEASURES
from .feature_distances import FeatureMeter, JudgingNetworks
from .picture_measures import MEASURES, PictureMeter


def picture_name(name: str) -> str:
    """A picture measure's name beside those of lip motion, which has an energy as well."""
    return f"picture {name}" if name.startswith("motion energy") else name


PICTURE_MEASURES = (
    *(replace(measure, name=picture_name(measure.name)) for measure in MEASURES),
    *FEATURE_MEASURES,
)


@dataclass(frozen=True)
class PictureComparison:
    """What is found of two clips' pictures."""

    figures: dict[str, float]
    faces: Pair | None
    """For the Frechet distance over many clips; None without networks."""


def compare_pictures(
    ours: Clip, real: Clip, track: FaceTrack, networks: JudgingNetworks | None = None
) -> PictureComparison:
    """The figures of PICTURE_MEASURES over the frames that both have, those of FEATURE_MEASURES
    only with `networks`. `track` is of `real`, or of what it was written from."""
    meter = PictureMeter(track)
    features = None if networks is None else FeatureMeter(networks, track)
    last = min(ours.frame_count, real.frame_count, len(track.visible))
    for chunk in chunks(ours):
        span = range(chunk.start, min(chunk.stop, last))
        if len(span):
            our_frames = ours.frames(span.start, span.stop)
            real_frames = real.frames(span.start, span.stop)
            meter.add(our_frames, real_frames, span)
            if features is not None:
                features.add(our_frames, real_frames, span)
    figures = {picture_name(name): value for name, value in meter.figures().items()}
    if features is None:
        return PictureComparison(figures, None)
    return PictureComparison(figures | features.figures(), (features.ours, features.real))
