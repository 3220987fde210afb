"""Teaching the motion predictor: groups of clips that share a style nobody has seen before."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from jaxtyping import Bool, Float
from torch import Tensor, autocast, nn

from ..errors import TrainingError
from ..landmarks import LIPS, MOVING
from ..motion.basis import LipMotionBasis, extend_basis, fit_basis
from ..motion.predictor import MotionPredictor, MotionPredictorConfig
from ..sync.expert import SyncExpert
from .loop import LoopRecipe, Task
from .motion_clips import MotionClip, by_person, read_motion_clips, without_offsets
from .motion_groups import GroupRecipe, MotionGroups, fit_gates, one_sided
from .predictor_validation import StyleTest, validate_styles
from .prepared import read_prepared
from .silence import read_silence
from .sync_loss import MotionSyncLoss

_PERCENT = 100
_USUALLY_ONE_SIDED = 0.25
_JAW_WEIGHT = 0.5
_REST_STEPS, _REST_CHANGE = 6, 0.3


@dataclass(frozen=True)
class PredictorRecipe:
    """What a predictor learns from and what its loss weighs."""

    config: MotionPredictorConfig = field(
        default_factory=lambda: MotionPredictorConfig(basis="", encoder="", attention_ahead=12)
    )
    """Its basis and encoder are filled in from the data."""
    loop: LoopRecipe = field(
        default_factory=lambda: LoopRecipe(
            steps=6000, learning_rate=1e-3, warmup_steps=60, weight_decay=0.02, betas=(0.9, 0.98)
        )
    )
    group: GroupRecipe = field(default_factory=GroupRecipe)
    velocity_weight: float = 1.0
    base_weight: float = 0.3
    """Of the prediction from speech tokens alone, which keeps the keys about speech."""
    closure_weight: float = 0.6
    """Of the lip gap where the true lips nearly meet."""
    rest_weight: float = 0.0
    """Of the lip gap where true lips come to rest: shut, and still for the next steps. Unlike
    `closure_weight` it does not press lips together at p, b and m."""
    sync_weight: float = 0.0
    """Of what a sync expert misses in the lips; needs a teacher. See `sync_loss`."""
    one_sided_components: int = 8
    """Added to a basis so that it can express mouths that move more on one side."""


PRESETS = {
    "predictor-base": PredictorRecipe(),
    "predictor-row": PredictorRecipe(
        loop=LoopRecipe(
            steps=1000,
            learning_rate=1e-3,
            warmup_steps=60,
            weight_decay=0.02,
            betas=(0.9, 0.98),
        ),
        group=GroupRecipe(clips=(4,), variants=3, short_share=0.0, retimed_share=0.0),
    ),
    "predictor-tiny": PredictorRecipe(
        config=MotionPredictorConfig(
            basis="", encoder="", width=48, heads=2, encoder_layers=1, decoder_layers=1
        ),
        loop=LoopRecipe(steps=200, learning_rate=3e-3, warmup_steps=10),
        group=GroupRecipe(groups=4),
    ),
}
"""Named recipes. "predictor-row" is that of the tables that compare designs: short, every clip
heard as it is, references of three clips at most."""


def build_predictor_task(
    prepared: Path,
    recipe: PredictorRecipe,
    given: LipMotionBasis | None = None,
    earlier: SyncExpert | None = None,
    start: MotionPredictor | None = None,
    teacher: SyncExpert | None = None,
) -> "PredictorTask":
    """The task of learning `recipe` from the clips beneath `prepared`.

    given: a basis to speak in; else one is fitted. It is extended as the recipe says, unless it is
    extended already.
    earlier: a sync expert that finds how late each clip's sound is, so that it can be repaired.
    start: a trained predictor to go on from, with its own sizes and basis; else a new one.
    teacher: a sync expert that sees lip landmarks, for `recipe.sync_weight`.
    Raises TrainingError when there are no clips, no two of one person, clips that `start` or
    `teacher` does not understand, or a weight for a teacher that is not there.
    """
    torch.manual_seed(recipe.loop.seed)
    generator = torch.Generator().manual_seed(recipe.loop.seed)
    if recipe.sync_weight and teacher is None:
        raise TrainingError("sync_weight needs a sync expert that sees landmarks: name a teacher")
    encoder = read_prepared(prepared)[0].encoder
    train = read_motion_clips(prepared, "train")
    validation = read_motion_clips(prepared, "validation")
    if earlier is not None:
        train, _ = without_offsets(train, earlier, encoder)
        validation, _ = without_offsets(validation, earlier, encoder)
    if start is None:
        model = _new_model(train, recipe, given, encoder)
    elif start.config.encoder == encoder:
        model = start.requires_grad_(True)
    else:
        raise TrainingError(
            f"the clips were heard by {encoder}, the predictor to start from listens with "
            f"{start.config.encoder}: prepare the clips with its encoder"
        )
    gates = fit_gates(train, model.speech_scale, generator)
    shared = (model.basis, model.motion_scale, gates, model.speech_scale)
    groups = MotionGroups(train, *shared, read_silence(prepared))
    test = StyleTest.draw(MotionGroups(validation, *shared), generator)
    sync = None if teacher is None else MotionSyncLoss(teacher, model.basis, encoder)
    return PredictorTask(model, groups, test, recipe, sync)


def _new_model(
    train: list[MotionClip], recipe: PredictorRecipe, given: LipMotionBasis | None, encoder: str
) -> MotionPredictor:
    sets = _two_sets(train)
    basis = given or fit_basis(sets, recipe.config.motion_size)
    if not basis.extends:
        basis = extend_basis(basis, [one_sided(s) for s in sets], recipe.one_sided_components)
    config = replace(
        recipe.config,
        basis=basis.id,
        basis_extends=basis.extends,
        encoder=encoder,
        motion_size=basis.size,
    )
    return _build_model(train, sets[0], basis, config)


def _two_sets(clips: list[MotionClip]) -> list[Float[Tensor, "_ points 3"]]:
    """The motion of the most-seen person, and that of all others together: each counts one half."""
    people = by_person(clips)
    main = max(people, key=lambda person: sum(clip.steps for clip in people[person]))
    sets: list[list[Tensor]] = [[], []]
    for clip in clips:
        sets[clip.person != main].append(clip.displacement[clip.valid])
    return [torch.cat(displacements) for displacements in sets if displacements]


def _build_model(
    clips: list[MotionClip],
    main: Float[Tensor, "_ points 3"],
    basis: LipMotionBasis,
    config: MotionPredictorConfig,
) -> MotionPredictor:
    speech = torch.cat([clip.speech[0] for clip in clips]).float()
    config = replace(config, speech_width=speech.shape[1])
    model = MotionPredictor(config)
    model.speech_mean.copy_(speech.mean(dim=0))
    model.speech_scale.copy_(speech.std(dim=0) + 1e-3)
    # Styles may well be one-sided where the most-seen person is not.
    moved, tilted = basis.project(main), basis.project(one_sided(main))
    scale = (moved.var(dim=0) + (_USUALLY_ONE_SIDED * tilted).var(dim=0)).sqrt()
    model.motion_scale.copy_(scale.clamp_min(1e-5))
    model.basis_components.copy_(basis.components)
    return model


class PredictorTask(Task):
    """Errors of landmarks in percent of the eye distance, of their velocity, and of closures."""

    def __init__(
        self,
        model: MotionPredictor,
        groups: MotionGroups,
        test: StyleTest,
        recipe: PredictorRecipe,
        sync: MotionSyncLoss | None = None,
    ):
        self.model = self.predictor = model
        self.sync = sync
        self.groups, self.test, self.recipe = groups, test, recipe
        weight = torch.ones(len(MOVING))
        weight[len(LIPS) :] = _JAW_WEIGHT
        self.point_weight = (weight / weight.mean()).repeat_interleave(3)
        self.to_points = groups.basis.components * _PERCENT

    def loss(
        self, model: nn.Module, step: int, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        device = self.predictor.null_key.device
        # Styles in full precision: bfloat16 would round the targets.
        with autocast(device.type, enabled=False):
            group = self.groups.draw(self.recipe.group, generator)
        valid, target = group.valid.to(device), group.target.to(device)
        predicted, base = model(
            group.speech.to(device),
            group.shown.to(device),
            valid,
            group.sees.to(device),
            group.shows.to(device),
        )
        with autocast(device.type, enabled=False):
            points, velocity, closure, rest = self._errors(predicted, target, valid)
            plain = self._points(base - group.plain.to(device), valid)
        recipe = self.recipe
        loss = points + recipe.velocity_weight * velocity
        loss = loss + recipe.closure_weight * closure + recipe.base_weight * plain
        loss = loss + recipe.rest_weight * rest
        figures = {"points": points, "velocity": velocity, "closure": closure, "base": plain}
        figures["rest"] = rest
        if self.sync is not None and recipe.sync_weight:
            with autocast(device.type, enabled=False):
                sync = self.sync(predicted, target, group.speech.to(device), valid)
            loss = loss + recipe.sync_weight * sync
            figures["sync"] = sync
        return loss, {name: value.item() for name, value in figures.items()}

    def _points(
        self, error: Float[Tensor, "b g t m"], valid: Bool[Tensor, "b g t"]
    ) -> Float[Tensor, ""]:
        weight = self.point_weight.to(error)
        return _mean((error @ self.to_points.to(error)).abs() @ weight / len(weight), valid)

    def _errors(
        self,
        predicted: Float[Tensor, "b g t m"],
        target: Float[Tensor, "b g t m"],
        valid: Bool[Tensor, "b g t"],
    ) -> tuple[Float[Tensor, ""], ...]:
        """Of points, velocities, lips that nearly meet, and lips that come to rest."""
        error = predicted - target
        both = valid[..., 1:] & valid[..., :-1]
        velocity = self._points(error[..., 1:, :] - error[..., :-1, :], both)
        direction = self.groups.gap_direction.to(error)
        closed = self.groups.closed(target)
        gap = (error @ direction).abs() * _PERCENT
        resting = closed * keeps_still(target @ direction * _PERCENT)
        closure, rest = _mean(closed * gap, valid), _mean(resting * gap, valid)
        return self._points(error, valid), velocity, closure, rest

    def validate(self, generator: torch.Generator) -> dict[str, float]:
        return validate_styles(self.predictor, self.test)


def keeps_still(gap: Float[Tensor, "b g t"]) -> Bool[Tensor, "b g t"]:
    """Whether a lip gap, percent of the eye distance, stays as it is for the next _REST_STEPS."""
    changes = (gap[..., 1:] - gap[..., :-1]).abs() > _REST_CHANGE
    ahead = nn.functional.pad(changes.float(), (0, _REST_STEPS))
    return nn.functional.max_pool1d(ahead.flatten(0, 1), _REST_STEPS, 1).reshape(gap.shape) == 0


def _mean(values: Float[Tensor, "*t"], valid: Bool[Tensor, "*t"]) -> Float[Tensor, ""]:
    return (values * valid).sum() / valid.sum().clamp_min(1)
