"""One sentence in several styles, drawn: how the lips open and spread, and what they look like."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from torch import Tensor

from ..motion.drawing import draw_lips, opening_and_spread, telling_moments, waveform_outline
from ..types import MOTION_RATE, Audio

_DOTS_PER_INCH = 110
_ROW_INCHES, _WIDTH_INCHES = 1.25, 14.0
_OPENING, _SPREAD, _PLAIN = "#c53030", "#2b6cb0", "#a0a0a0"


def style_sheet(
    speech: Audio,
    motions: Mapping[str, Float[Tensor, "t points 3"]],
    plain: Float[Tensor, "t points 3"],
    moments: int = 7,
) -> UInt8[np.ndarray, "h w 3"]:
    """A row per style: opening and spread over the waveform beside those without style (grey), and
    the lips at a few moments. Motions are displacements from neutral, eye distances, at 25 Hz.

    The moments are those at which the lips without style are most open, shut, wide or round.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    chosen = telling_moments(plain, moments)
    rows = {"no style": plain, **motions}
    figure = Figure(figsize=(_WIDTH_INCHES, _ROW_INCHES * len(rows) + 0.6), dpi=_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    grid = figure.add_gridspec(
        len(rows), 1 + moments, width_ratios=(6.5, *(1.0,) * moments),
        left=0.05, right=0.995, top=0.955, bottom=0.06, wspace=0.02, hspace=0.28,
    )  # fmt: skip
    for number, (name, motion) in enumerate(rows.items()):
        axes = figure.add_subplot(grid[number, 0])
        _draw_curves(axes, speech, motion, plain, chosen)
        axes.set_title(name, fontsize=9, loc="left", pad=2)
        if number + 1 < len(rows):
            axes.set_xticklabels([])
        for column, step in enumerate(chosen):
            mouth = figure.add_subplot(grid[number, 1 + column])
            draw_lips(mouth, motion[step])
            if number == 0:
                mouth.set_title(f"{step / MOTION_RATE:.2f} s", fontsize=8, pad=2)
    figure.axes[0].legend(loc="upper right", fontsize=7, ncols=3, framealpha=0.8)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_curves(
    axes: Any,
    speech: Audio,
    motion: Float[Tensor, "t points 3"],
    plain: Float[Tensor, "t points 3"],
    moments: Sequence[int],
) -> None:
    seconds, loudness = waveform_outline(speech)
    axes.fill_between(seconds, 0, loudness * 25, color="#eee8d8", linewidth=0)
    time = np.arange(len(motion)) / MOTION_RATE
    usual, unusual = opening_and_spread(plain), opening_and_spread(motion)
    for grey in usual:
        axes.plot(time, 100 * grey.numpy(force=True), color=_PLAIN, linewidth=0.8)
    names = (("opening", _OPENING), ("spread", _SPREAD))
    for curve, (name, colour) in zip(unusual, names, strict=True):
        axes.plot(time, 100 * curve.numpy(force=True), color=colour, linewidth=1.3, label=name)
    for step in moments:
        axes.axvline(step / MOTION_RATE, color="#cccccc", linewidth=0.6, zorder=0)
    axes.set_ylim(-14, 28)
    axes.margins(x=0.005)
    axes.tick_params(labelsize=7)
    axes.set_ylabel("% eye distance", fontsize=6)
