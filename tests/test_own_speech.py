"""Own speech without a style: the truth is perfect, and lips that do not shut are caught."""

import math

import pytest
import torch
from synthetic_motion import displacement
from test_drawn_styles import clip_of, sounds

from lipsync_core.evaluation.own_speech import (
    EYE_CENTRES,
    own_speech_row,
    summarise_own_speech,
)
from lipsync_core.landmarks import EYE_CORNERS, canonical


class Parting:
    """The true lips, further apart."""

    def __init__(self, by=0.0):
        self.by = by

    def speak(self, clip, references):
        assert not references
        more = torch.full((clip.steps,), self.by)
        return clip.displacement + displacement(more, torch.zeros(clip.steps))


@pytest.fixture(scope="module")
def rows():
    clips = [clip_of(f"clip{i}", i) for i in range(3)]
    heard = [sounds(0), sounds(1), sounds(2, words=("aa", "t"))]
    return [
        own_speech_row(name, speaker, clip, h)
        for name, speaker in (("true", Parting()), ("wide", Parting(0.05)))
        for clip, h in zip(clips, heard, strict=True)
    ]


def test_the_truth_is_perfect(rows):
    found = summarise_own_speech(rows)
    assert found["lip error, % of the eye distance"]["true"].mean == 0
    assert found["opening r"]["true"].mean == pytest.approx(1)
    assert found["least opening at p, b, m, minus true, % of the eye distance"]["true"].mean == 0


def test_lips_that_stay_apart_are_told_in_both_units(rows):
    found = summarise_own_speech(rows)
    for what in ("least opening at p, b, m", "mean opening over the steps of p, b, m"):
        excess = found[f"{what}, minus true, % of the eye distance"]["wide"]
        assert excess.mean == pytest.approx(5, abs=0.1)
        wider = found[f"{what}, minus true, % of the distance of the eye centres"]["wide"]
        assert wider.mean == pytest.approx(EYE_CENTRES * excess.mean)
        assert excess.count == 2, "one clip has no p, b or m"


def test_a_clip_without_bilabials_has_no_figure(rows):
    assert math.isnan(rows[2].figures["bilabial opening"])
    assert math.isnan(rows[2].figures["bilabial steps"])
    assert math.isfinite(rows[2].figures["error"])


def test_the_eye_centres_are_as_far_apart_as_on_the_canonical_face():
    outer_left, inner_left, inner_right, outer_right = canonical(EYE_CORNERS)
    between = ((outer_left + inner_left) / 2 - (outer_right + inner_right) / 2).norm()
    outer = (outer_left - outer_right).norm()
    assert float(outer / between) == pytest.approx(EYE_CENTRES, rel=0.01)
