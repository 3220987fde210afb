"""The pictures of a tracked face: who is who, and what is marked."""

import pytest
import torch
from test_face_tracking import LEFT, RIGHT, clip_of, empty, landmarker, two_people

from lipsync_core.face.choice import FaceChoice
from lipsync_core.face.drawing import LONGEST_SIDE, draw_track
from lipsync_core.face.tracking import track_face

__all__ = ["landmarker"]
GREEN, WHITE, RED = (90, 220, 120), (235, 235, 235), (230, 60, 60)


def painted(picture: torch.Tensor, colour: tuple[int, int, int], x: float, y: float) -> int:
    """Pixels of a colour within 65 of a point across, 75 down."""
    height, width = picture.shape[:2]
    rows = slice(max(round(y) - 75, 0), min(round(y) + 75, height))
    columns = slice(max(round(x) - 65, 0), min(round(x) + 65, width))
    near = (picture[rows, columns] * 255 - torch.tensor(colour)).abs().amax(-1) < 3
    return int(near.sum())


@pytest.mark.parametrize(("index", "chosen", "other"), [(0, LEFT, RIGHT), (1, RIGHT, LEFT)])
def test_every_face_has_its_number_and_the_chosen_one_its_colour(landmarker, index, chosen, other):
    clip = clip_of([two_people()] * 3)
    track = track_face(landmarker, clip, FaceChoice(index=index))
    plain = draw_track(clip, track)
    numbered = draw_track(clip, track, landmarker)
    assert numbered.shape == plain.shape == (3, 240, 320, 3)
    assert painted(numbered[0], WHITE, *other) > painted(plain[0], WHITE, *other) + 300
    assert painted(numbered[0], WHITE, *chosen) < painted(numbered[0], WHITE, *other) / 2
    assert painted(numbered[0], GREEN, *chosen) > painted(plain[0], GREEN, *chosen) + 300


def test_numbers_count_from_the_left(landmarker):
    """The plates of two faces hold another figure each, the same for the same place."""
    clip = clip_of([two_people()])
    first, second = (
        draw_track(clip, track_face(landmarker, clip, FaceChoice(index=i)), landmarker)[0]
        for i in (0, 1)
    )
    dark = [(picture * 255 - 20).abs().amax(-1) < 6 for picture in (first, second)]
    counts = [[int(d[:, :160].sum()), int(d[:, 160:].sum())] for d in dark]
    assert counts[0] == pytest.approx(counts[1], abs=3), "a number belongs to a place"
    assert abs(counts[0][0] - counts[0][1]) > 5, "0 and 1 are not the same figure"


def test_a_frame_without_the_face_is_red_and_none_is_chosen(landmarker):
    clip = clip_of([two_people(), two_people(), empty()])
    track = track_face(landmarker, clip, FaceChoice(index=1))
    first, *_, last = draw_track(clip, track, landmarker)
    assert painted(last, RED, *RIGHT) > 100 and painted(last, GREEN, *RIGHT) == 0
    assert painted(first, RED, *RIGHT) == 0


def test_large_frames_are_drawn_smaller(landmarker):
    large = torch.from_numpy(two_people()).repeat_interleave(4, 0).repeat_interleave(4, 1)
    clip = clip_of([large.numpy()])
    picture = draw_track(clip, track_face(landmarker, clip, FaceChoice(index=1)), landmarker)
    assert picture.shape == (1, LONGEST_SIDE * 3 // 4, LONGEST_SIDE, 3)
