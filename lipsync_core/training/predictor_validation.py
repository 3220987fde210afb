"""Does a predictor follow a style it has never seen? On held-out clips, by family of styles."""

from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from ..motion.predictor import MotionPredictor
from .motion_clips import lip_error, lip_gap
from .motion_groups import GroupRecipe, MotionGroups, PlainGroup
from .style_transforms import StyleChances, StyleTransforms, draw_styles

_NONE = StyleChances(**{field.name: 0.0 for field in fields(StyleChances)})
FAMILIES = {
    "shape": replace(_NONE, shape=1.0, offset=1.0),
    "timing": replace(_NONE, lag=1.0, smoothing=0.5),
    "content": replace(_NONE, sounds=1.0, direction=1.0),
}
_PLAIN = GroupRecipe(clips=(4,), variants=1, silence_share=0.0, retimed_share=0.0)
"""A target and its references, as they are."""
_LARGEST = 40
"""Targets."""


@dataclass(frozen=True)
class StyleTest:
    """Held-out targets, each with references, and styles to put on them."""

    groups: MotionGroups
    plain: PlainGroup
    styles: dict[str, StyleTransforms]
    other_styles: StyleTransforms

    @staticmethod
    def draw(groups: MotionGroups, generator: torch.Generator) -> "StyleTest":
        """A fixed test for all of a run."""
        most = min(_LARGEST, sum(len(own) for own in groups.people.values()))
        recipe = replace(_PLAIN, groups=most)
        plain = groups.draw_plain(recipe, generator)
        count, _, _, size = plain.motion.shape
        styles = {
            name: draw_styles(count, size, generator, chances, groups.gates.sizes)
            for name, chances in FAMILIES.items()
        }
        other = draw_styles(count, size, generator, FAMILIES["shape"], groups.gates.sizes)
        return StyleTest(groups, plain, styles, other)


def validate_styles(model: MotionPredictor, test: StyleTest) -> dict[str, float]:
    """Lip error in percent of the eye distance and r of the lip gap, by which reference is seen.

    "right" has the target's style, "wrong" another, "null" is no reference. "captured" is the part
    of what a style changes that the reference brought back: (null - right) / (null - oracle),
    where the oracle puts the style itself on the model's own unstyled prediction.
    """
    count = len(test.plain.motion)
    own = test.plain.motion
    as_they_are = _predict(model, test, own)
    null = _predict(model, test, None)
    figures = _figures("own/right", test, as_they_are, own) | _figures("own/null", test, null, own)
    wrong = _predict(model, test, test.groups.style(test.other_styles, test.plain))
    figures |= _figures("own/wrong", test, wrong, own)
    for family, styles in test.styles.items():
        styled = test.groups.style(styles, test.plain)
        right = _predict(model, test, styled)
        shifted = test.groups.style(styles.rolled(count // 2), test.plain)
        oracle_from = replace(test.plain, motion=torch.cat([as_they_are, own[:, 1:]], dim=1))
        oracle = test.groups.style(styles, oracle_from)[:, :1]
        for name, predicted in (
            ("right", right),
            ("wrong", _predict(model, test, shifted)),
            ("null", null),
            ("oracle", oracle),
        ):
            figures |= _figures(f"{family}/{name}", test, predicted, styled)
        error = {n: figures[f"{family}/{n}/error"] for n in ("right", "null", "oracle")}
        figures[f"{family}/captured"] = (error["null"] - error["right"]) / (
            error["null"] - error["oracle"]
        )
    return {name: round(value, 4) for name, value in figures.items()}


def _predict(
    model: MotionPredictor, test: StyleTest, shown: Float[Tensor, "b g t m"] | None
) -> Float[Tensor, "b 1 t m"]:
    """The first clip of every group, from what the others show."""
    count, clips, _, _ = test.plain.motion.shape
    sees = torch.zeros(count, clips, clips, dtype=torch.bool)
    if shown is not None:
        sees[:, 0, 1:] = True
    device = model.null_key.device
    predicted, _ = model(
        test.plain.speech.to(device),
        (test.plain.motion if shown is None else shown).to(device),
        test.plain.valid.to(device),
        sees.to(device),
        test.plain.valid.to(device),
    )
    return predicted[:, :1].cpu()


def _figures(
    name: str,
    test: StyleTest,
    predicted: Float[Tensor, "b 1 t m"],
    true: Float[Tensor, "b g t m"],
) -> dict[str, float]:
    basis, valid = test.groups.basis, test.plain.valid[:, 0]
    predicted_points = basis.displacement(predicted[:, 0])
    true_points = basis.displacement(true[:, 0])
    error = lip_error(predicted_points, true_points)[valid].mean()
    r = correlation(lip_gap(predicted_points), lip_gap(true_points), valid).mean()
    return {f"{name}/error": 100 * error.item(), f"{name}/r": r.item()}


def correlation(
    first: Float[Tensor, "b t"], second: Float[Tensor, "b t"], valid: Bool[Tensor, "b t"]
) -> Float[Tensor, " b"]:
    """Pearson's r of every row over its valid steps."""
    count = valid.sum(dim=1, keepdim=True).clamp_min(1)

    def centred(x: Float[Tensor, "b t"]) -> Float[Tensor, "b t"]:
        return (x - (x * valid).sum(dim=1, keepdim=True) / count) * valid

    a, b = centred(first), centred(second)
    return (a * b).sum(dim=1) / (a.norm(dim=1) * b.norm(dim=1)).clamp_min(1e-9)
