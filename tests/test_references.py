"""References are far from their target, look its way, and show closed and open mouths."""

from dataclasses import replace

import pytest
import torch
from tiny_renderer import face_track

from lipsync_core.errors import NoFaceError
from lipsync_core.render.references import DISTANCE, choose_references, crop_openings


def speaking(count: int) -> torch.Tensor:
    """Openings in pixels that never repeat exactly."""
    return 6 + 6 * torch.sin(torch.arange(count) * 0.7) + 0.01 * torch.arange(count)


def chosen_frames(choice, target: int) -> list[int]:
    positions = choice.choice[target][choice.usable[target]].tolist()
    return [choice.frames[position] for position in positions]


def test_every_frame_has_references_far_from_itself():
    choice = choose_references(face_track(speaking(150)))
    for target in range(150):
        frames = chosen_frames(choice, target)
        assert len(set(frames)) == 3
        assert min(abs(frame - target) for frame in frames) >= DISTANCE


@pytest.mark.parametrize("count", [2, 3, 20, 59])
def test_a_short_clip_uses_its_farthest_frames_never_the_target(count):
    choice = choose_references(face_track(speaking(count)))
    for target in range(count):
        frames = chosen_frames(choice, target)
        assert frames and target not in frames
        # The far end of the clip is among them.
        assert max(abs(frame - target) for frame in frames) >= (count - 1) / 2


def test_a_single_frame_is_its_own_reference():
    assert chosen_frames(choose_references(face_track(speaking(1))), 0) == [0]


def test_one_reference_is_closed_and_one_open():
    openings = torch.full((200,), 5.0)
    openings[::50], openings[25::50] = 0.0, 20.0
    track = face_track(openings)
    choice = choose_references(track)
    measured = crop_openings(track)
    for target in range(200):
        shown = measured[chosen_frames(choice, target)]
        assert shown.min() < measured.median() < shown.max()


def test_another_clip_as_reference_has_no_distance_rule():
    openings = speaking(150)
    choice = choose_references(face_track(openings), face_track(openings))
    near = [min(abs(f - t) for f in chosen_frames(choice, t)) for t in range(150)]
    assert min(near) < DISTANCE


def test_references_look_the_way_the_target_looks():
    turn = torch.where(torch.arange(300) < 150, 0.0, 8.0)
    target = face_track(speaking(20), torch.full((20,), 8.0))
    choice = choose_references(target, face_track(speaking(300), turn))
    turned = [turn[frame] > 0 for t in range(20) for frame in chosen_frames(choice, t)]
    assert all(turned)


def test_frames_without_the_face_are_never_shown():
    visible = torch.ones(120, dtype=torch.bool)
    visible[:40] = False
    choice = choose_references(replace(face_track(speaking(120)), visible=visible))
    assert min(choice.frames) >= 40


def test_a_clip_without_a_face_is_refused():
    track = face_track(speaking(10))
    with pytest.raises(NoFaceError, match="no frame of the reference clip"):
        choose_references(track, replace(track, visible=torch.zeros(10, dtype=torch.bool)))
