"""What a batch of the predictor's training is made of."""

from dataclasses import replace

import pytest
import torch
from synthetic_motion import ENCODER, SPEECH_WIDTH, displacement, made_up_basis, made_up_speech

from lipsync_core.landmarks import LIPS, MOVING, canonical
from lipsync_core.motion.basis import extend_basis
from lipsync_core.sync.expert import SyncExpert
from lipsync_core.training import motion_clips
from lipsync_core.training.motion_clips import MotionClip, without_offsets
from lipsync_core.training.motion_groups import GroupRecipe, MotionGroups, fit_gates, one_sided
from lipsync_core.training.style_transforms import StyleChances, draw_styles

BASIS = made_up_basis()
PLAIN = GroupRecipe(
    styles=StyleChances(**{part: 0.0 for part in StyleChances.__dataclass_fields__}),
    clips=(3,),
    steps=30,
    short_share=0.0,
    retimed_share=0.0,
    silence_share=0.0,
    neutral_noise=0.0,
    speech_noise=0.0,
    motion_noise=0.0,
)


def clip(name: str, person: str, source: str = "films", steps: int = 40) -> MotionClip:
    """The lips open as the first channel of the speech says."""
    generator = torch.Generator().manual_seed(sum(name.encode()))
    speech = made_up_speech(steps, generator)
    opening = 0.05 * (1 + speech[:, 0])
    return MotionClip(
        name=name,
        person=person,
        speech=speech.half()[None],
        displacement=displacement(opening, torch.zeros(steps)),
        valid=torch.ones(steps, dtype=torch.bool),
        source=source,
    )


def groups(clips: list[MotionClip]) -> MotionGroups:
    scale = torch.full((BASIS.size,), 0.05)
    speech_scale = torch.ones(SPEECH_WIDTH)
    gates = fit_gates(clips, speech_scale, torch.Generator().manual_seed(0))
    return MotionGroups(clips, BASIS, scale, gates, speech_scale)


@pytest.fixture(scope="module")
def recorded() -> list[MotionClip]:
    return [clip(f"{person}{i}", person) for person in ("anna", "bert") for i in range(6)]


def test_group_shapes_are_drawn_and_hold_as_many_clips(recorded):
    source = groups(recorded)
    recipe = replace(PLAIN, groups=6, clips=(2, 4, 6))
    shapes = {
        tuple(source.draw(recipe, torch.Generator().manual_seed(seed)).valid.shape[:2])
        for seed in range(40)
    }
    assert shapes == {(6, 2), (3, 4), (2, 6)}


def test_synthetic_heads_get_their_share(recorded):
    names = [(f"head{p}-{i}", f"head{p}") for p in range(30) for i in range(4)]
    heads = [clip(*name, "synthetic heads") for name in names]
    both = groups(recorded + heads)
    recipe = replace(PLAIN, synthetic_share=0.25)
    chances = both.chances(recipe)
    synthetic = torch.tensor([name.startswith("head") for name in both.names])
    assert float(chances[synthetic].sum() / chances.sum()) == pytest.approx(0.25)
    only = groups(recorded).chances(recipe)
    assert (only > 0).all()


def test_faster_and_slower_speech_keeps_lips_and_sound_together(recorded):
    source = groups(recorded)
    recipe = replace(PLAIN, retimed_share=1.0, groups=20)
    drawn = source.draw_plain(recipe, torch.Generator().manual_seed(0))
    gap = drawn.motion @ source.gap_direction
    heard = drawn.speech[..., 0]
    valid = drawn.valid
    together = torch.corrcoef(torch.stack([gap[valid], heard[valid]]))[0, 1]
    assert together > 0.99
    # Slower ones fill the window, faster ones end before it.
    lengths = valid.sum(dim=-1)
    assert int(lengths.max()) == 30 and int(lengths.min()) >= 30 / 1.2
    own = torch.stack([c.displacement[:30, LIPS.index(14), 1] for c in recorded])
    assert not torch.isclose(gap[0, 0, :20], own[:, :20], atol=1e-4).all(dim=1).any()


def test_short_references_are_a_second_or_two_of_what_is_valid(recorded):
    long = [replace(c, **longer(c)) for c in recorded]
    source = groups(long)
    recipe = replace(PLAIN, steps=100, short_share=1.0, groups=10)
    group = source.draw(recipe, torch.Generator().manual_seed(1))
    lengths = (group.shows & group.valid).sum(dim=-1)
    assert int(lengths.min()) >= 25 and int(lengths.max()) <= 50
    first = group.shows.int().argmax(dim=-1)
    assert first.float().std() > 3, "they begin at different places"
    whole = source.draw(replace(recipe, short_share=0.0), torch.Generator().manual_seed(1))
    assert whole.shows.all()


def longer(own: MotionClip) -> dict[str, torch.Tensor]:
    return {
        "speech": own.speech.repeat(1, 3, 1),
        "displacement": own.displacement.repeat(3, 1, 1),
        "valid": own.valid.repeat(3),
    }


def test_one_sided_motion_is_right_minus_left():
    moved = one_sided(torch.ones(2, len(MOVING), 3))
    across = canonical(MOVING)[:, 0]
    assert (moved[:, across > 0.02] > 0).all() and (moved[:, across < -0.02] < 0).all()
    assert moved.abs().max() <= 1


def test_an_extended_basis_keeps_its_own_and_holds_one_sided_mouths():
    opening = displacement(torch.linspace(0, 0.1, 50), torch.zeros(50))
    tilted = one_sided(opening)
    extended = extend_basis(BASIS, [tilted], 2)
    assert torch.equal(extended.components[: BASIS.size], BASIS.components)
    assert extended.id.startswith(f"{BASIS.id}+") and extended.extends == BASIS.size
    assert extend_basis(BASIS, [tilted], 0) is BASIS
    product = extended.components @ extended.components.T
    assert torch.allclose(product, torch.eye(extended.size), atol=2e-3)

    def lost(basis):
        return (basis.displacement(basis.project(tilted)) - tilted).norm() / tilted.norm()

    assert lost(extended) < 0.02 < 0.2 < lost(BASIS)


def test_anchors_are_sounds_that_are_heard():
    generator = torch.Generator().manual_seed(0)
    heard = torch.randn(5, 60, 16, generator=generator)
    chances = StyleChances(**{p: float(p == "anchors") for p in StyleChances.__dataclass_fields__})
    styles = draw_styles(5, 8, generator, chances, (48, 16), heard)
    distance = torch.cdist(styles.anchor, heard)
    assert distance.amin(dim=2).max() < 0.01
    inside = (distance <= styles.radius[..., None]).float().mean(dim=2)
    assert inside.min() >= 1 / 60 and inside.max() < 0.25


def test_sound_is_moved_back_and_far_off_clips_are_left_out(monkeypatch):
    """The expert's verdict is made up here: what is tested is what is done about it."""
    own = clip("late", "anna", steps=60)
    found = {"late": 2, "early": -3, "near": 1, "lost": 6}
    clips = [replace(own, name=name) for name in found]
    verdicts = iter(found.values())

    class Verdict:
        def __init__(self, offset):
            self.offset = offset

    monkeypatch.setattr(motion_clips, "score_sync", lambda *_: Verdict(next(verdicts)))
    expert = SyncExpert.__new__(SyncExpert)
    kept, dropped = without_offsets(clips, expert, ENCODER)
    assert dropped == ["lost"]
    late, early, near = kept
    # Late lips: the lips at step 2 belong to the sound at step 0.
    assert torch.equal(late.displacement, own.displacement[2:])
    assert torch.equal(late.speech, own.speech[:, :-2])
    assert torch.equal(early.displacement, own.displacement[:-3])
    assert torch.equal(early.speech, own.speech[:, 3:])
    assert near.steps == own.steps
    assert len(late.valid) == late.steps == 58
