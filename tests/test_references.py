"""References are far from their target, look its way, and come near to the wanted mouth."""

from dataclasses import replace

import pytest
import torch
from tiny_renderer import face_track

from lipsync_core.errors import NoFaceError
from lipsync_core.render import references
from lipsync_core.render.references import (
    DISTANCE,
    PER_FRAME,
    POOL,
    ReferenceChoice,
    choose_references,
)
from lipsync_core.types import FaceTrack


def speaking(count: int) -> torch.Tensor:
    """Openings in pixels that never repeat exactly."""
    return 6 + 6 * torch.sin(torch.arange(count) * 0.7) + 0.01 * torch.arange(count)


def lips(openings: torch.Tensor) -> torch.Tensor:
    """The same openings as lip motion of one coefficient."""
    return openings[:, None] / 40


def chosen_frames(choice: ReferenceChoice, target: int) -> list[int]:
    positions = choice.choice[target][choice.usable[target]].tolist()
    return [choice.frames[position] for position in positions]


def own_references(track: FaceTrack, openings: torch.Tensor) -> ReferenceChoice:
    return choose_references(track, lips(openings), lips(openings))


def test_every_frame_has_references_far_from_itself():
    choice = own_references(face_track(speaking(150)), speaking(150))
    assert len(choice.frames) <= POOL
    for target in range(150):
        frames = chosen_frames(choice, target)
        assert len(set(frames)) == PER_FRAME
        assert min(abs(frame - target) for frame in frames) >= DISTANCE


@pytest.mark.parametrize("count", [2, 3, 20, 59])
def test_a_short_clip_uses_its_farthest_frames_never_the_target(count):
    choice = own_references(face_track(speaking(count)), speaking(count))
    for target in range(count):
        frames = chosen_frames(choice, target)
        assert frames and target not in frames
        # Frames from beyond the middle of the clip are among them.
        assert max(abs(frame - target) for frame in frames) >= (count - 1) / 3


def test_a_single_frame_is_its_own_reference():
    assert chosen_frames(own_references(face_track(speaking(1)), speaking(1)), 0) == [0]


def test_a_face_that_never_moves_has_a_pool_of_one():
    choice = own_references(face_track(torch.ones(40)), torch.ones(40))
    assert len(choice.frames) == 1 and choice.usable.all()


def test_references_come_near_to_the_wanted_mouth():
    shown, wanted = speaking(300), torch.linspace(0, 12, 50)
    track = face_track(shown)
    choice = choose_references(face_track(torch.zeros(50)), lips(wanted), lips(shown), track)
    for target in range(50):
        nearest = shown[chosen_frames(choice, target)[0]]
        assert (nearest - wanted[target]).abs() < 12 / POOL * 3
    # The nearest come first, and how far they are is told.
    assert (choice.distance.diff(dim=1) >= 0).all()
    told = (lips(wanted) - choice.lips[choice.choice[:, 0]]).norm(dim=1)
    assert torch.allclose(choice.distance[:, 0], told, atol=1e-4)


def test_a_single_odd_frame_is_no_reference():
    shown = speaking(300)
    shown[77] = 60.0
    choice = choose_references(
        face_track(torch.zeros(1)), lips(torch.full((1,), 12.0)), lips(shown), face_track(shown)
    )
    alone = choose_references(
        face_track(torch.zeros(1)), lips(torch.full((1,), 60.0)), lips(shown), face_track(shown)
    )
    assert 77 not in chosen_frames(choice, 0)
    # It is in the pool, for whoever wants such a mouth.
    assert chosen_frames(alone, 0)[0] == 77


def test_another_clip_as_reference_has_no_distance_rule():
    openings = speaking(150)
    track = face_track(openings)
    choice = choose_references(track, lips(openings), lips(openings), track)
    near = [min(abs(f - t) for f in chosen_frames(choice, t)) for t in range(150)]
    assert min(near) < DISTANCE


def test_references_look_the_way_the_target_looks():
    turn = torch.where(torch.arange(300) < 150, 0.0, 8.0)
    target = face_track(torch.full((20,), 6.0), torch.full((20,), 8.0))
    shown = speaking(300)
    track = face_track(shown, turn)
    choice = choose_references(target, lips(torch.full((20,), 6.0)), lips(shown), track)
    turned = [turn[frame] > 0 for t in range(20) for frame in chosen_frames(choice, t)[:2]]
    assert all(turned)


def test_frames_without_the_face_are_never_shown():
    visible = torch.ones(120, dtype=torch.bool)
    visible[:40] = False
    track = replace(face_track(speaking(120)), visible=visible)
    assert min(own_references(track, speaking(120)).frames) >= 40


def test_a_clip_without_a_face_is_refused():
    track = face_track(speaking(10))
    hidden = replace(track, visible=torch.zeros(10, dtype=torch.bool))
    with pytest.raises(NoFaceError, match="no frame of the reference clip"):
        choose_references(track, lips(speaking(10)), lips(speaking(10)), hidden)


def test_covered_mouths_are_shown_only_if_there_are_no_others():
    openings = speaking(120)
    track, covered = face_track(openings), torch.zeros(120, dtype=torch.bool)
    covered[20:70] = True
    choice = choose_references(track, lips(openings), lips(openings), covered=covered)
    assert not covered[list(choice.frames)].any()
    assert len(choice.frames) >= PER_FRAME
    everywhere = torch.ones_like(covered)
    blind = choose_references(track, lips(openings), lips(openings), covered=everywhere)
    assert blind.frames == own_references(track, openings).frames


def test_targets_may_be_compared_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch):
    openings = speaking(100)
    whole = own_references(face_track(openings), openings)
    monkeypatch.setattr(references, "_FRAMES_AT_ONCE", 7)
    parts = own_references(face_track(openings), openings)
    assert parts.frames == whole.frames
    for name in ("choice", "usable", "distance"):
        assert torch.equal(getattr(parts, name), getattr(whole, name)), name


@pytest.mark.parametrize("count", [1, 8, 16])
def test_as_many_are_looked_at_as_were_asked_for(count):
    openings = speaking(150)
    track = face_track(openings)
    choice = choose_references(track, lips(openings), lips(openings), per_frame=count)
    assert choice.choice.shape == (150, count)
    four = own_references(track, openings)
    shared = min(count, PER_FRAME)
    assert torch.equal(choice.choice[:, :shared], four.choice[:, :shared]), "the nearest first"


@pytest.mark.parametrize("count", [0, 17])
def test_another_number_is_refused(count):
    with pytest.raises(ValueError, match="1 to 16"):
        choose_references(
            face_track(speaking(40)), lips(speaking(40)), lips(speaking(40)), per_frame=count
        )


def test_shut_lips_are_taken_for_shut_ones_even_if_the_rest_is_nearer():
    """Coefficient 0 opens. Frames 0 to 9 are open and else as wanted, 10 to 19 shut and off."""
    shown, wanted = torch.zeros(20, 2), torch.zeros(20, 2)
    shown[:10, 0], shown[10:, 1] = 0.04, 0.1
    opening = torch.tensor([1.0, 0.0])
    track = face_track(torch.zeros(20))
    for known, shut in ((None, False), (opening, True)):
        choice = choose_references(track, wanted, shown, track, per_frame=1, opening=known)
        nearest = torch.tensor(choice.frames)[choice.choice[:, 0]]
        assert ((nearest >= 10) == shut).all()
