"""Plots of lip motion over the waveform, and of how sync depends on the offset."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from ..errors import EvaluationError
from ..motion.drawing import waveform_outline
from ..sync.offset import MOST_OFFSET, SyncScore
from ..types import MOTION_RATE, Audio

COLOURS = {
    "real": "#2b6cb0", "output": "#c53030", "source": "#888888", "ceiling": "#2b6cb0",
    "chance": "#bbbbbb", "codec": "#2f855a", "1 step": "#c53030", "4 steps": "#dd6b20",
    "copied reference": "#bbbbbb", "copied clip": "#bbbbbb", "copied itself": "#bbbbbb",
}  # fmt: skip
_OTHER_COLOUR = "#2b6cb0"
_DOTS_PER_INCH = 100


@dataclass(frozen=True)
class Curve:
    """The opening of one mouth at 25 Hz, eye distances, and where it was seen."""

    opening: Float[Tensor, " t"]
    valid: Bool[Tensor, " t"]


def motion_plot(
    openings: Mapping[str, Curve],
    speech: Audio | None,
    scores: Mapping[str, SyncScore | None],
    width: int = 1350,
    height: int = 280,
) -> UInt8[np.ndarray, "h w 3"]:
    """Openings over the waveform that drives them; beside it, if there are scores, the agreement of
    the sync expert at every offset. RGB, `height` x `width` pixels."""
    # Not pyplot: it keeps every figure, and picks a window of the desktop.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    known = {name: score for name, score in scores.items() if score is not None}
    figure = Figure(figsize=(width / _DOTS_PER_INCH, height / _DOTS_PER_INCH), dpi=_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        1, 2 if known else 1, width_ratios=(3, 1) if known else (1,),
        left=0.05, right=0.985, bottom=0.17, top=0.9, wspace=0.14,
    )  # fmt: skip
    _draw_openings(figure.add_subplot(grid[0, 0]), openings, speech)
    if known:
        _draw_scores(figure.add_subplot(grid[0, 1]), known)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_openings(axes: Any, openings: Mapping[str, Curve], speech: Audio | None) -> None:
    tallest = max([float(100 * c.opening.max()) for c in openings.values()] + [1.0])
    if speech is not None and len(speech.waveform):
        seconds, loudness = waveform_outline(speech)
        axes.fill_between(
            seconds, 0, loudness * tallest, color="#e8e2d0", linewidth=0, label="speech"
        )
    for name, curve in openings.items():
        percent = torch.where(curve.valid, 100 * curve.opening, torch.nan)
        seconds = np.arange(len(percent)) / MOTION_RATE
        axes.plot(seconds, percent.numpy(force=True), color=colour(name), label=name, linewidth=1.4)
    axes.set_xlabel("seconds")
    axes.set_ylabel("% eye distance")
    axes.set_title("mouth opening", fontsize=10)
    axes.margins(x=0.01)
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper right", fontsize=8, framealpha=0.8)


def _draw_scores(axes: Any, scores: Mapping[str, SyncScore]) -> None:
    offsets = 1000 / MOTION_RATE * np.arange(-MOST_OFFSET, MOST_OFFSET + 1)
    for name, score in scores.items():
        label = f"{name} {1000 // MOTION_RATE * score.offset:+d} ms, {score.confidence:.1f}"
        axes.plot(offsets, score.curve.numpy(force=True), color=colour(name), label=label)
    axes.axvline(0, color="#cccccc", linewidth=0.8, zorder=0)
    axes.set_xlabel("ms that the lips are late")
    axes.set_title("agreement (offset, confidence)", fontsize=10)
    axes.legend(loc="upper right", fontsize=7, framealpha=0.8)


def colour(name: str) -> str:
    """The same for the same kind of curve in every plot."""
    return COLOURS.get(name, _OTHER_COLOUR)


def write_picture(path: Path, picture: UInt8[np.ndarray, "h w 3"]) -> None:
    """RGB as a PNG; EvaluationError when it cannot be written."""
    import cv2

    encoded, data = cv2.imencode(".png", picture[..., ::-1])
    if not encoded:
        raise EvaluationError(f"{path} cannot be written: no PNG encoder")
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data.tobytes())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
