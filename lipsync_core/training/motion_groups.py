"""Batches for the predictor: groups of clips of one person that share one random style."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Float16
from torch import Tensor, nn

from ..errors import TrainingError
from ..landmarks import MOVING, canonical
from ..motion.basis import LipMotionBasis
from .motion_clips import MotionClip, by_person, is_synthetic, lip_gap
from .style_transforms import (
    ContentGates,
    StyleChances,
    StyleTransforms,
    apply_styles,
    draw_styles,
    no_styles,
)

CLOSED_WITHIN = 0.03
"""Eye distances of lip gap within which the lips count as nearly closed."""
_STYLE_OPENING = 0.06
"""How far apart, in eye distances, a full closure style leaves lips that should meet."""
_GATE_SAMPLE = 40_000


@dataclass(frozen=True)
class GroupRecipe:
    """What a batch is made of."""

    groups: int = 8
    """Of as many clips as the first of `clips` says; of fewer or more groups in proportion."""
    clips: tuple[int, ...] = (4, 4, 8, 11)
    """Clips of a group, one of these per batch: references of 3 s to half a minute."""
    steps: int = 75
    variants: int = 6
    """The first so many variants of a clip's speech are heard; 3 leaves out other voices."""
    styles: StyleChances = field(default_factory=StyleChances)
    unstyled_share: float = 0.18
    """Of the groups: the person as they are."""
    null_share: float = 0.12
    """Of the targets: shown no reference, asked for the unstyled motion."""
    synthetic_share: float = 0.25
    """Of the groups: synthetic heads, where there are recordings as well."""
    short_share: float = 0.2
    """Of the clips: only 1 to 2 s of them can be seen as reference."""
    retimed_share: float = 0.3
    """Of the clips: spoken faster or slower, by up to a sixth."""
    silence_share: float = 0.1
    """Of the clips: made to begin or end in silence."""
    neutral_noise: float = 0.004
    """Eye distances per point: a reference's neutral is never known exactly."""
    speech_noise: float = 0.1
    motion_noise: float = 0.02


@dataclass(frozen=True)
class Group:
    """b groups of g clips; motion in eye distances."""

    speech: Float[Tensor, "b g t d"]
    shown: Float[Tensor, "b g t m"]
    """What a clip shows as a reference."""
    target: Float[Tensor, "b g t m"]
    plain: Float[Tensor, "b g t m"]
    """The motion without any style."""
    valid: Bool[Tensor, "b g t"]
    sees: Bool[Tensor, "b g g"]
    shows: Bool[Tensor, "b g t"]
    """Which steps a clip shows as a reference."""


@dataclass(frozen=True)
class PlainGroup:
    """Groups as the people are, and what is heard in them."""

    speech: Float[Tensor, "b g t d"]
    motion: Float[Tensor, "b g t m"]
    valid: Bool[Tensor, "b g t"]
    posteriors: Float[Tensor, "b g t c"]
    components: Float[Tensor, "b g t p"]


class MotionGroups:
    """Clips ready to be drawn from: coefficients, and which sounds are heard where."""

    def __init__(
        self,
        clips: list[MotionClip],
        basis: LipMotionBasis,
        motion_scale: Float[Tensor, " m"],
        gates: ContentGates,
        speech_scale: Float[Tensor, " d"],
        silence: Float16[Tensor, "n t d"] | None = None,
    ):
        self.basis, self.motion_scale, self.speech_scale = basis, motion_scale, speech_scale
        self.gates, self.silence = gates, silence
        self.people = by_person(clips)
        if not self.people:
            raise TrainingError(
                "no person with two clips (or one of 2 s) to learn styles from: prepare more"
            )
        self.names = sorted(self.people)
        seen = [sum(clip.steps for clip in self.people[name]) for name in self.names]
        self._weight = torch.tensor(seen, dtype=torch.float64).sqrt()
        self._synthetic = torch.tensor([is_synthetic(self.people[name][0]) for name in self.names])
        self._heard = {
            clip.name: gates(clip.speech[0].float() / speech_scale)
            for own in self.people.values()
            for clip in own
        }
        self._silent = (
            None if silence is None else [gates(s.float() / speech_scale) for s in silence]
        )
        self.gap_direction = lip_gap(basis.displacement(torch.eye(basis.size)))
        self.opening = self._opening_direction()
        self.sides = self._sides()

    def _opening_direction(self) -> Float[Tensor, " m"]:
        """How all coefficients, in units of their scale, go with the lips' parting."""
        motion = torch.cat(
            [self.basis.project(c.displacement) for own in self.people.values() for c in own]
        )
        gap = motion @ self.gap_direction
        slope = (motion / self.motion_scale * gap[:, None]).mean(dim=0) / gap.square().mean()
        return slope * _STYLE_OPENING

    def _sides(self) -> Float[Tensor, "m m"]:
        """Coefficients, in units of their scale, to those of the picture's right half of the motion
        minus its left half."""
        units = self.basis.displacement(torch.diag(self.motion_scale))
        return self.basis.project(one_sided(units)) / self.motion_scale

    def chances(self, recipe: GroupRecipe) -> Float[Tensor, " people"]:
        """How often each person is drawn: who is much seen more often, but not in proportion."""
        weight, synthetic = self._weight, self._synthetic
        if synthetic.all() or not synthetic.any():
            return weight
        part = torch.where(synthetic, recipe.synthetic_share, 1 - recipe.synthetic_share)
        return (
            part
            * weight
            / torch.where(synthetic, weight[synthetic].sum(), weight[~synthetic].sum())
        )

    def closed(self, motion: Float[Tensor, "*t m"]) -> Float[Tensor, "*t"]:
        """1 where the lips meet, falling as they part; `motion` in eye distances."""
        gap = motion @ self.gap_direction.to(motion)
        return torch.exp(-gap.clamp_min(0) / CLOSED_WITHIN)

    def style(self, styles: StyleTransforms, plain: PlainGroup) -> Float[Tensor, "b g t m"]:
        """The motion with one style per group, eye distances."""
        styled = apply_styles(
            styles,
            plain.motion / self.motion_scale,
            plain.posteriors,
            plain.components,
            self.closed(plain.motion),
            self.opening,
            self.sides,
        )
        return styled * self.motion_scale

    def draw(self, recipe: GroupRecipe, generator: torch.Generator) -> Group:
        """A training batch."""
        plain = self.draw_plain(recipe, generator)
        count, clips = plain.valid.shape[:2]
        styled = self.style(self._styles(recipe, plain, generator), plain)
        sees = _who_sees_whom(count, clips, recipe.null_share, generator)
        null = ~sees.any(dim=-1)
        speech_noise = torch.randn(plain.speech.shape, generator=generator)
        motion_noise = torch.randn(styled.shape, generator=generator)
        shape_noise = torch.randn(
            count, clips, 1, self.basis.components.shape[1], generator=generator
        )
        off_neutral = recipe.neutral_noise * shape_noise @ self.basis.components.T
        return Group(
            speech=plain.speech + recipe.speech_noise * self.speech_scale * speech_noise,
            shown=styled + off_neutral + recipe.motion_noise * self.motion_scale * motion_noise,
            target=torch.where(null[..., None, None], plain.motion, styled),
            plain=plain.motion,
            valid=plain.valid,
            sees=sees,
            shows=_what_is_shown(plain.valid, recipe.short_share, generator),
        )

    def _styles(
        self, recipe: GroupRecipe, plain: PlainGroup, generator: torch.Generator
    ) -> StyleTransforms:
        sounds = self.gates.sizes
        count, _, _, size = plain.motion.shape
        heard = plain.components.flatten(1, 2)
        styled = draw_styles(count, size, generator, recipe.styles, sounds, heard)
        unstyled = torch.rand(count, generator=generator) < recipe.unstyled_share
        return styled.where(~unstyled, no_styles(count, size, sounds))

    def draw_plain(self, recipe: GroupRecipe, generator: torch.Generator) -> PlainGroup:
        """Groups of one person each; who has fewer clips than a group takes fills part of it."""
        clips = recipe.clips[_integer(len(recipe.clips), generator)]
        count = max(1, recipe.groups * recipe.clips[0] // clips)
        persons = torch.multinomial(
            self.chances(recipe), count, replacement=True, generator=generator
        )
        rows = []
        for person in persons.tolist():
            own = self.people[self.names[person]]
            order = torch.randperm(len(own), generator=generator)[:clips].tolist()
            chosen = [own[i] for i in order]
            rows.append([self._window(clip, recipe, generator) for clip in chosen])
            rows[-1] += [_absent(rows[-1][0])] * (clips - len(chosen))
        columns = zip(*(piece for row in rows for piece in row), strict=True)
        shape = (count, clips)
        return PlainGroup(*(torch.stack(column).unflatten(0, shape) for column in columns))

    def _window(
        self, clip: MotionClip, recipe: GroupRecipe, generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """One clip's speech, motion, valid, posteriors and components, `recipe.steps` long."""
        tempo = 1.0
        if _chance(recipe.retimed_share, generator):
            tempo = 0.85 + 0.33 * float(torch.rand((), generator=generator))
        length = round(recipe.steps * tempo)
        start = _integer(max(clip.steps - length, 0) + 1, generator)
        inside = slice(start, start + length)
        variant = _integer(min(len(clip.speech), recipe.variants), generator)
        speech = clip.speech[variant, inside].float()
        motion = self.basis.project(clip.displacement[inside])
        posteriors, components = (heard[inside] for heard in self._heard[clip.name])
        valid = clip.valid[inside]
        if tempo != 1:
            window = (speech, motion, posteriors, components, valid)
            speech, motion, posteriors, components, valid = _retimed(window, tempo, recipe.steps)
        if self.silence is not None and _chance(recipe.silence_share, generator):
            speech, motion, posteriors, components, valid = self._silenced(
                (speech, motion, posteriors, components, valid), generator
            )
        missing = recipe.steps - len(valid)
        ends = [x[-1:].expand(missing, -1) for x in (speech, motion, posteriors, components)]
        return (
            torch.cat([speech, ends[0]]),
            torch.cat([motion, ends[1]]),
            nn.functional.pad(valid, (0, missing)),
            torch.cat([posteriors, ends[2]]),
            torch.cat([components, ends[3]]),
        )

    def _silenced(
        self, window: tuple[Tensor, ...], generator: torch.Generator
    ) -> tuple[Tensor, ...]:
        """The window with silence in place of its beginning or its end: the lips rest closed."""
        assert self.silence is not None and self._silent is not None
        speech, motion, posteriors, components, valid = (x.clone() for x in window)
        steps = len(valid)
        number = _integer(len(self.silence), generator)
        length = min(steps, 5 + _integer(steps, generator), self.silence.shape[1])
        at_end = _chance(0.6, generator)
        silent = slice(steps - length, steps) if at_end else slice(0, length)
        speech[silent] = self.silence[number, :length].float()
        posteriors[silent], components[silent] = (x[:length] for x in self._silent[number])
        # The lips take three steps to close, or begin to part before the sound is heard.
        edge = motion[max(silent.start - 1, 0)] if at_end else motion[min(length, steps - 1)]
        rest = torch.zeros(length, 1)
        rest[:3, 0] = torch.tensor([0.6, 0.25, 0.05])[:length]
        motion[silent] = (rest if at_end else rest.flip(0)) * edge
        valid[silent] = True
        return speech, motion, posteriors, components, valid


def _retimed(window: tuple[Tensor, ...], tempo: float, longest: int) -> tuple[Tensor, ...]:
    """The window at `tempo` times its speed: lips and what is heard alike."""
    *sequences, valid = window
    steps = min(max(round(len(valid) / tempo), 2), longest)
    place = torch.linspace(0, len(valid) - 1, steps)
    before, after = place.floor().long(), place.ceil().long()
    share = (place - before)[:, None]
    mixed = [torch.lerp(x[before], x[after], share) for x in sequences]
    return (*mixed, valid[before] & valid[after])


def _absent(window: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    speech, motion, valid, posteriors, components = window
    return speech, motion, torch.zeros_like(valid), posteriors, components


def _integer(below: int, generator: torch.Generator) -> int:
    return int(torch.randint(below, (), generator=generator))


def _chance(probability: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < probability


def _who_sees_whom(
    count: int, clips: int, null_share: float, generator: torch.Generator
) -> Bool[Tensor, "b g g"]:
    """For every target some of the other clips, at least one; none for a share of the targets."""
    liking = torch.rand(count, clips, 1, generator=generator) * 0.8 + 0.35
    sees = torch.rand(count, clips, clips, generator=generator) < liking
    step = torch.randint(1, clips, (count, clips), generator=generator)
    sure = (torch.arange(clips) + step) % clips
    sees.scatter_(2, sure[..., None], True)
    sees &= ~torch.eye(clips, dtype=torch.bool)
    return sees & (torch.rand(count, clips, 1, generator=generator) >= null_share)


def _what_is_shown(
    valid: Bool[Tensor, "b g t"], short_share: float, generator: torch.Generator
) -> Bool[Tensor, "b g t"]:
    """All steps of most clips, 1 to 2 s of some."""
    *shape, steps = valid.shape
    length = torch.randint(25, 51, (*shape, 1), generator=generator)
    # Among the valid steps, which stand first.
    last = (valid.sum(dim=-1, keepdim=True) - length).clamp_min(0)
    start = (torch.rand(*shape, 1, generator=generator) * (last + 1)).long()
    step = torch.arange(steps)
    part = (step >= start) & (step < start + length)
    return part | (torch.rand(*shape, 1, generator=generator) >= short_share)


def one_sided(displacement: Float[Tensor, "*t points 3"]) -> Float[Tensor, "*t points 3"]:
    """The motion of the picture's right half minus that of its left half."""
    across = canonical(MOVING).float()[:, 0]
    return (3 * across / across.abs().max()).tanh()[:, None] * displacement


def fit_gates(
    clips: list[MotionClip], speech_scale: Float[Tensor, " d"], generator: torch.Generator
) -> ContentGates:
    """Sound clusters over a sample of all speech."""
    features = torch.cat([clip.speech[0] for clip in clips])
    chosen = torch.randperm(len(features), generator=generator)[:_GATE_SAMPLE]
    return ContentGates.fit(features[chosen].float() / speech_scale, generator)
