"""Closures of one clip, where its word times are known."""

from collections.abc import Sequence
from pathlib import Path

from .alignments import phones_of, read_alignment, speech_span, times_of
from .measured_face import MeasuredFace
from .mouth_closing import bilabial_closures, closing_threshold, silence_closing


def closure_figures(
    face: MeasuredFace,
    real: Sequence[MeasuredFace],
    alignments: Path | None,
    clip: str,
    start: float = 0.0,
) -> dict[str, float]:
    """What mouth_closing tells of `face` while the words of `alignments`/`clip`.align are said;
    nothing without them.

    real: the person's own clips, which say when this mouth is shut. start: seconds of the clip that
    were cut away.
    """
    path = None if alignments is None else alignments / f"{clip}.align"
    if path is None or not path.is_file():
        return {}
    words = read_alignment(path)
    times = times_of(phones_of(words)) - start
    figures = bilabial_closures(face, times, closing_threshold(real))
    return figures | silence_closing(face, speech_span(words)[1] - start)
