"""No style, own speech: how near a speaker comes to a person without any reference."""

import torch
from jaxtyping import Float
from torch import Tensor

from ..landmarks import INNER_LOWER, INNER_UPPER, MOVING, canonical
from ..training.motion_clips import lip_error
from .heard import Heard
from .mouth_closing import least_openings
from .results import Row
from .speakers import Speaker
from .statistics import Estimate, estimate
from .style_clips import StyleClip, correlation

MODE = "own speech"
EYE_CENTRES = 1.43
"""Eye distances (outer corners) per distance of the eye centres, the unit of many papers."""
_LENGTH, _IN_CENTRES = "% of the eye distance", "% of the distance of the eye centres"
_BILABIAL = "viseme bilabial"
_UPPER, _LOWER = MOVING.index(INNER_UPPER), MOVING.index(INNER_LOWER)
FIGURES = {
    "error": ("lip error", _LENGTH),
    "opening r": ("opening r", ""),
    "bilabial opening": ("least opening at p, b, m", _LENGTH),
    "true bilabial opening": ("least opening at p, b, m, true lips", _LENGTH),
    "bilabial excess": ("least opening at p, b, m, minus true", _LENGTH),
    "bilabial steps": ("mean opening over the steps of p, b, m", _LENGTH),
    "true bilabial steps": ("mean opening over the steps of p, b, m, true lips", _LENGTH),
    "bilabial steps excess": ("mean opening over the steps of p, b, m, minus true", _LENGTH),
}
"""figure -> what it is, and its unit."""


def own_speech_row(name: str, speaker: Speaker, clip: StyleClip, heard: Heard) -> Row:
    """What `speaker` makes of the clip's speech, set beside the clip; nan without p, b and m."""
    spoken = speaker.speak(clip, [])
    error = lip_error(spoken, clip.displacement)[clip.valid].mean()
    found, true = opening(clip, spoken), opening(clip, clip.displacement)
    figures = {"error": 100 * float(error), "opening r": correlation(found, true, clip.valid)}
    figures |= {
        "bilabial opening": _least(found, clip, heard),
        "true bilabial opening": _least(true, clip, heard),
        "bilabial steps": _over_steps(found, clip, heard),
        "true bilabial steps": _over_steps(true, clip, heard),
    }
    figures["bilabial excess"] = figures["bilabial opening"] - figures["true bilabial opening"]
    figures["bilabial steps excess"] = figures["bilabial steps"] - figures["true bilabial steps"]
    return Row(MODE, clip.name, clip.person, name, figures)


def opening(clip: StyleClip, displacement: Float[Tensor, "t points 3"]) -> Float[Tensor, " t"]:
    """Distance of the inner lips' midpoints in the person's face, eye distances; in the canonical
    face where the person's rest is not known."""
    rest = canonical(MOVING) if clip.neutral is None else clip.neutral
    points = displacement + rest.to(displacement)
    return (points[:, _UPPER] - points[:, _LOWER]).norm(dim=-1)


def _least(opening: Float[Tensor, " t"], clip: StyleClip, heard: Heard) -> float:
    found = least_openings(opening, clip.valid, heard.bilabials)
    return float(found.mean()) if len(found) else float("nan")


def _over_steps(opening: Float[Tensor, " t"], clip: StyleClip, heard: Heard) -> float:
    weight = heard[_BILABIAL] * clip.valid
    return float(100 * (opening * weight).sum() / weight.sum()) if weight.sum() > 0.5 else torch.nan


def summarise_own_speech(rows: list[Row]) -> dict[str, dict[str, Estimate]]:
    """figure with its unit -> speaker -> mean over clips with its interval; lengths in both."""
    own = [row for row in rows if row.mode == MODE]
    table: dict[str, dict[str, Estimate]] = {}
    for figure, (meaning, unit) in FIGURES.items():
        for subject in dict.fromkeys(row.subject for row in own):
            values = [row.figures[figure] for row in own if row.subject == subject]
            name = f"{meaning}, {unit}" if unit else meaning
            table.setdefault(name, {})[subject] = estimate(values)
            if unit:
                longer = [EYE_CENTRES * value for value in values]
                table.setdefault(f"{meaning}, {_IN_CENTRES}", {})[subject] = estimate(longer)
    return table
