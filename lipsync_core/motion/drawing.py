"""Lip motion drawn: how the lips open and spread over time, and what they look like at times."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from ..errors import ModelError
from ..landmarks import LIPS_INNER, LIPS_OUTER, MOVING, canonical
from ..types import MOTION_RATE, Audio, LipMotion
from .basis import LipMotionBasis

WIDTH, HEIGHT = 960, 720
"""Of a picture in pixels. Its letters can still be read when it is shown at a third of that."""
COLOURS = ("#c53030", "#2b6cb0", "#2f855a", "#b7791f")
_DOTS_PER_INCH = 100
_LETTERS = 19
_CORNERS = (MOVING.index(61), MOVING.index(291))
_MIDDLE = (MOVING.index(13), MOVING.index(14))
_APART = 5
"""Steps between two moments at least."""
_OUTLINE_RATE = 50
"""Points of the waveform's outline per second."""


def draw_lip_motion(
    basis: LipMotionBasis,
    motions: Mapping[str, LipMotion],
    speech: Audio | None = None,
    start: float = 0.0,
    duration: float = 0.0,
    moments: int = 5,
) -> Float[Tensor, "h w 3"]:
    """`duration` seconds from `start` (0: all to the end) of one or a few motions, by their names.

    Above, opening and spread of the lips over the waveform of the speech that they were made for;
    below, a row per motion with the lips at the moments at which the first one's are most open,
    shut, wide and round. Steps that are not valid are left out of the curves.

    ModelError when a motion is of another basis, ValueError when nothing of the first is left.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not isfinite(start) or not isfinite(duration):
        raise ValueError(f"start is {start}, duration {duration}: give seconds")
    first = round(max(start, 0.0) * MOTION_RATE)
    last = first + max(round(duration * MOTION_RATE), 1) if duration > 0 else None
    shown = {name: _part(motion, basis, first, last) for name, motion in motions.items()}
    leading = next(iter(shown.values()))[0]
    if not len(leading):
        seconds = len(next(iter(motions.values())).coefficients) / MOTION_RATE
        raise ValueError(
            f"the motion ends after {seconds:.2f} seconds, before the start at {start:.2f}: "
            "choose an earlier start"
        )
    figure = Figure((WIDTH / _DOTS_PER_INCH, HEIGHT / _DOTS_PER_INCH), dpi=_DOTS_PER_INCH)
    canvas = FigureCanvasAgg(figure)
    chosen = telling_moments(leading, moments)
    times = [(first + step) / MOTION_RATE for step in chosen]
    lowest = 0.43 if len(shown) == 1 else 0.5
    above = figure.add_gridspec(2, 1, left=0.09, right=0.98, top=0.935, bottom=lowest, hspace=0.45)
    _draw_curves([figure.add_subplot(cell) for cell in above], shown, speech, first, times)
    below = figure.add_gridspec(
        len(shown), moments, left=0.02, right=0.98, top=lowest - 0.13, bottom=0.01,
        hspace=0.05, wspace=0.0,
    )  # fmt: skip
    for row, (motion, _) in enumerate(shown.values()):
        for column, step in enumerate(chosen):
            axes = figure.add_subplot(below[row, column])
            _draw_moment(axes, motion, step, COLOURS[row] if len(shown) > 1 else None)
            if row == 0:
                axes.set_title(f"{times[column]:.1f} s", fontsize=_LETTERS, pad=1)
    canvas.draw()
    return torch.from_numpy(np.asarray(canvas.buffer_rgba())[..., :3].copy()).float() / 255


def _part(
    motion: LipMotion, basis: LipMotionBasis, first: int, last: int | None
) -> tuple[Float[Tensor, "t points 3"], np.ndarray]:
    """The displacement of its steps from `first` to before `last`, and which of them are valid."""
    try:
        fitting = motion.in_basis(basis.id, basis.size)
    except ValueError as error:
        raise ModelError(
            f"{error}: connect the predictor that the motion was made with, or predict it again"
        ) from error
    part = slice(first, last)
    displacement = basis.displacement(fitting.coefficients[part].float().cpu())
    return displacement, fitting.valid[part].numpy(force=True)


def _draw_curves(
    pair: Sequence[Any],
    shown: Mapping[str, tuple[Float[Tensor, "t points 3"], np.ndarray]],
    speech: Audio | None,
    first: int,
    moments: Sequence[float],
) -> None:
    """Opening into the first axes, spread into the second."""
    begin = first / MOTION_RATE
    end = begin + max(len(motion) for motion, _ in shown.values()) / MOTION_RATE
    tallest = [0.0, 0.0]
    for colour, (name, (motion, valid)) in zip(COLOURS, shown.items(), strict=False):
        seconds = begin + np.arange(len(motion)) / MOTION_RATE
        for number, curve in enumerate(opening_and_spread(motion)):
            percent = np.where(valid, 100 * curve.numpy(force=True), np.nan)
            pair[number].plot(seconds, percent, color=colour, linewidth=3, label=name)
            if np.isfinite(percent).any():
                tallest[number] = max(tallest[number], float(np.nanmax(np.abs(percent))))
    for axes, title, height in zip(pair, ("opening", "spread"), tallest, strict=True):
        if speech is not None and len(speech.waveform):
            outline, loudness = waveform_outline(speech)
            axes.fill_between(outline, 0, loudness * height, color="#e8e2d0", linewidth=0)
        for moment in moments:
            axes.axvline(moment, color="#a0a0a0", linewidth=1.2, linestyle=":", zorder=0)
        axes.axhline(0, color="#cccccc", linewidth=1, zorder=0)
        axes.set_xlim(begin, end)
        axes.set_title(f"{title}, % of eye distance", fontsize=_LETTERS, loc="left", pad=4)
        axes.tick_params(labelsize=_LETTERS - 2)
        axes.locator_params(axis="y", nbins=4)
        axes.locator_params(axis="x", nbins=8)
    pair[0].set_xticklabels([])
    if len(shown) > 1:
        pair[0].legend(
            loc="lower right", bbox_to_anchor=(1.0, 0.98), fontsize=_LETTERS - 2,
            ncols=len(shown), frameon=False, borderpad=0, handlelength=1.2,
        )  # fmt: skip


def _draw_moment(
    axes: Any, motion: Float[Tensor, "t points 3"], step: int, colour: str | None
) -> None:
    """The lips at `step`, if the motion lasts so long, underlined in the colour of its curves."""
    if step < len(motion):
        draw_lips(axes, motion[step])
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()  # y points down
    axes.set_ylim(bottom + 0.02, top + 0.06)
    if colour is not None:
        inset = 0.3 * (right - left)
        axes.plot([left + inset, right - inset], [bottom] * 2, color=colour, linewidth=5)
    axes.axis("off")


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


def draw_lips(axes: Any, moved: Float[Tensor, "points 3"]) -> None:
    """The lips of the canonical face moved by `moved`, from the front, into matplotlib's axes."""
    points = (canonical(MOVING).float() + moved).numpy(force=True)
    middle = canonical(MOVING).float()[: len(LIPS_OUTER) + len(LIPS_INNER)].mean(dim=0)
    for contour, colour in ((LIPS_OUTER, "#d98880"), (LIPS_INNER, "#4a1f1f")):
        shape = points[[MOVING.index(landmark) for landmark in contour]]
        axes.fill(shape[:, 0], shape[:, 1], color=colour, linewidth=0)
    axes.set_xlim(float(middle[0]) - 0.36, float(middle[0]) + 0.36)
    axes.set_ylim(float(middle[1]) + 0.32, float(middle[1]) - 0.22)
    axes.set_aspect("equal")
    axes.axis("off")


def waveform_outline(speech: Audio) -> tuple[np.ndarray, np.ndarray]:
    """Seconds, and the loudest sample about each, of the loudest of all; 0..1."""
    samples = speech.waveform.abs()
    length = max(1, speech.sample_rate // _OUTLINE_RATE)
    padded = torch.nn.functional.pad(samples, (0, -len(samples) % length))
    peaks = padded.reshape(-1, length).amax(dim=1)
    seconds = torch.arange(len(peaks)) * (length / speech.sample_rate)
    return seconds.numpy(), (peaks / peaks.max().clamp_min(1e-6)).numpy(force=True)
