"""Absolute lip error on strangers: how well their own video tells their shape at rest.

A predictor says how lips move from rest; where rest is has to be found in the target video. Here it
is found in the first half of a clip, in several ways, and judged on the second half:

    closed frames   median of the 15 % most closed frames
    line            the pack's: a line over the opening, read where the lowest decile lies
    own sound       where the lips are, on average, less where the predictor
                    puts them when it hears the half's own sound
    own style       the line; and the first half is the reference, so that the predictor sees what
                    the line got wrong: what the pack does by default

Errors in % of the eye distance.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from jaxtyping import Float
from torch import Tensor

from ..face.neutral import shape_at_rest
from ..training.motion_clips import lip_error
from ..types import MOTION_RATE
from .own_speech import opening
from .people_benchmark import GAP
from .results import Row
from .speakers import Speaker
from .statistics import Estimate, difference, estimate
from .style_clips import StyleClip

MODE = "neutral shapes"
CLOSED_FRAMES, LINE, OWN_SOUND = "closed frames", "line", "own sound"
RECIPES = (CLOSED_FRAMES, LINE, OWN_SOUND)
OWN_STYLE = "own style"
SHORTEST = 5 * MOTION_RATE
"""Steps of a clip that can be halved."""
_CLOSED = 0.15
_LEAST = 10
_PERCENT = 100


def run_neutral_shapes(
    speakers: dict[str, Speaker], clips: Sequence[StyleClip]
) -> Iterable[list[Row]]:
    """The rows of one clip at a time; short clips, and those hardly seen, are left out."""
    for clip in clips:
        middle = clip.steps // 2
        first = clip.part(0, middle - GAP // 2, "first half")
        second = clip.part(middle + GAP // 2, clip.steps, "second half")
        seen = min(int(half.valid.sum()) for half in (first, second))
        if clip.steps < SHORTEST or seen < _LEAST:
            continue
        yield [
            Row(MODE, clip.name, clip.person, name, _errors(speaker, first, second))
            for name, speaker in speakers.items()
        ]


def _errors(speaker: Speaker, first: StyleClip, second: StyleClip) -> dict[str, float]:
    heard_first, heard_second = speaker.speak(first, []), speaker.speak(second, [])
    found = {}
    for recipe in RECIPES:
        neutral = neutral_of(recipe, first, heard_first)
        error = lip_error(heard_second + neutral, second.displacement)[second.valid].mean()
        found[f"error, {recipe}"] = _PERCENT * float(error)
    line = neutral_of(LINE, first, heard_first)
    shown = replace(first, displacement=first.displacement - line)
    styled = speaker.speak(second, [shown]) + line
    error = lip_error(styled, second.displacement)[second.valid].mean()
    return found | {f"error, {OWN_STYLE}": _PERCENT * float(error)}


def neutral_of(
    recipe: str, clip: StyleClip, predicted: Float[Tensor, "t points 3"]
) -> Float[Tensor, "points 3"]:
    """Where the clip's lips rest, as displacement from the neutral that its motion is told from.

    predicted: what a predictor makes of the clip's own sound. ValueError for an unknown recipe.
    """
    shapes, gap = clip.displacement[clip.valid], opening(clip, clip.displacement)[clip.valid]
    if recipe == CLOSED_FRAMES:
        closed = gap.argsort()[: max(1, round(_CLOSED * len(gap)))]
        return shapes[closed].median(dim=0).values
    line = shape_at_rest(shapes, gap)
    if recipe == LINE:
        return line
    if recipe == OWN_SOUND:
        return (shapes - predicted[clip.valid]).mean(dim=0)
    raise ValueError(f"recipe {recipe!r} is none of {RECIPES}")


def summarise_neutral_shapes(rows: Sequence[Row]) -> dict[str, dict[str, Estimate]]:
    """figure -> speaker -> mean over clips; "minus" rows are clip by clip."""
    table: dict[str, dict[str, Estimate]] = {}
    own = [row for row in rows if row.mode == MODE]
    for subject in dict.fromkeys(row.subject for row in own):
        errors = {
            recipe: [r.figures[f"error, {recipe}"] for r in own if r.subject == subject]
            for recipe in (*RECIPES, OWN_STYLE)
        }
        for recipe, values in errors.items():
            table.setdefault(recipe, {})[subject] = estimate(values)
        for recipe in (LINE, OWN_SOUND, OWN_STYLE):
            name = f"{recipe} minus {CLOSED_FRAMES}"
            table.setdefault(name, {})[subject] = difference(errors[recipe], errors[CLOSED_FRAMES])
    return table
