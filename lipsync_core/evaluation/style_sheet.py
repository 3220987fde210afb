"""One sentence in several styles, drawn: how the lips open and spread, and what they look like."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ..landmarks import LIPS_INNER, LIPS_OUTER, MOVING, canonical
from ..types import MOTION_RATE, Audio
from .plots import waveform_outline

_DOTS_PER_INCH = 110
_ROW_INCHES, _WIDTH_INCHES = 1.25, 14.0
_OPENING, _SPREAD, _PLAIN = "#c53030", "#2b6cb0", "#a0a0a0"
_CORNERS = (MOVING.index(61), MOVING.index(291))
_MIDDLE = (MOVING.index(13), MOVING.index(14))
_APART = 5
"""Steps between two moments at least."""


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
            _draw_lips(mouth, motion[step])
            if number == 0:
                mouth.set_title(f"{step / MOTION_RATE:.2f} s", fontsize=8, pad=2)
    figure.axes[0].legend(loc="upper right", fontsize=7, ncols=3, framealpha=0.8)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def telling_moments(plain: Float[Tensor, "t points 3"], count: int) -> list[int]:
    """Steps, in order, at which the lips are in turn most open, most shut, widest and roundest, and
    at least _APART from each other as long as there is room."""
    opening, spread = opening_and_spread(plain)
    wanted = (opening, -opening, spread, -spread)
    chosen: list[int] = []
    for number in range(min(count, len(plain))):
        value = wanted[number % len(wanted)].clone()
        for step in chosen:
            value[max(step - _APART, 0) : step + _APART + 1] -= 1.0
            value[step] = -torch.inf
        chosen.append(int(value.argmax()))
    return sorted(chosen)


def opening_and_spread(
    motion: Float[Tensor, "t points 3"],
) -> tuple[Float[Tensor, " t"], Float[Tensor, " t"]]:
    """How much further apart than at rest the inner lips and the corners are, eye distances."""
    upper, lower = motion[:, _MIDDLE[0], 1], motion[:, _MIDDLE[1], 1]
    left, right = motion[:, _CORNERS[0], 0], motion[:, _CORNERS[1], 0]
    return lower - upper, right - left


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


def _draw_lips(axes: Any, moved: Float[Tensor, "points 3"]) -> None:
    points = (canonical(MOVING).float() + moved).numpy(force=True)
    middle = canonical(MOVING).float()[: len(LIPS_OUTER) + len(LIPS_INNER)].mean(dim=0)
    for contour, colour in ((LIPS_OUTER, "#d98880"), (LIPS_INNER, "#4a1f1f")):
        shape = points[[MOVING.index(landmark) for landmark in contour]]
        axes.fill(shape[:, 0], shape[:, 1], color=colour, linewidth=0)
    axes.set_xlim(float(middle[0]) - 0.36, float(middle[0]) + 0.36)
    axes.set_ylim(float(middle[1]) + 0.32, float(middle[1]) - 0.22)
    axes.set_aspect("equal")
    axes.axis("off")
