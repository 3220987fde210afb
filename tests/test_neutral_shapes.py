"""Where a stranger's lips rest, by three recipes."""

import pytest
import torch
from synthetic_motion import ENCODER, displacement

from lipsync_core.evaluation.neutral_shapes import (
    CLOSED_FRAMES,
    LINE,
    MODE,
    OWN_SOUND,
    RECIPES,
    neutral_of,
    run_neutral_shapes,
    summarise_neutral_shapes,
)
from lipsync_core.evaluation.style_clips import StyleClip
from lipsync_core.types import SpeechFeatures


def clip_of(name: str, steps: int = 240, shift: float = 0.03) -> StyleClip:
    """Lips that open as the speech says, around a rest that is `shift` too low."""
    generator = torch.Generator().manual_seed(sum(name.encode()))
    heard = torch.rand(steps, 4, generator=generator)
    return StyleClip(
        name=name,
        person=name,
        speech=SpeechFeatures(heard, ENCODER),
        displacement=displacement(0.1 * heard[:, 0], torch.zeros(steps)) + shift,
        valid=torch.ones(steps, dtype=torch.bool),
    )


class Listener:
    """Says exactly how the lips move from rest."""

    def speak(self, clip, references):
        return displacement(0.1 * clip.speech.features[:, 0], torch.zeros(clip.steps))


def test_own_sound_finds_the_rest_that_closed_frames_only_come_near():
    clip = clip_of("anna")
    heard = Listener().speak(clip, [])
    rest = {recipe: neutral_of(recipe, clip, heard) for recipe in RECIPES}
    assert torch.allclose(rest[OWN_SOUND], torch.full((57, 3), 0.03), atol=1e-6)
    for recipe in (CLOSED_FRAMES, LINE):
        assert (rest[recipe] - 0.03).abs().max() < 0.012, "a tenth of the opening at most"


def test_the_second_half_is_judged_and_short_clips_are_left_out():
    clips = [clip_of(name) for name in ("anna", "bert", "cleo")] + [clip_of("dora", steps=80)]
    rows = [row for rows in run_neutral_shapes({"listener": Listener()}, clips) for row in rows]
    assert [row.clip for row in rows] == ["anna", "bert", "cleo"]
    assert all(row.mode == MODE for row in rows)
    table = summarise_neutral_shapes(rows)
    assert table[OWN_SOUND]["listener"].mean < 1e-4
    assert table[f"{OWN_SOUND} minus {CLOSED_FRAMES}"]["listener"].high < 0
    assert table[LINE]["listener"].count == 3


def test_unseen_steps_count_for_nothing():
    clip = clip_of("anna")
    valid = clip.valid.clone()
    valid[:60] = False
    clip.displacement[:60] = 9.0
    hidden = StyleClip(clip.name, clip.person, clip.speech, clip.displacement, valid)
    for recipe in RECIPES:
        assert neutral_of(recipe, hidden, Listener().speak(hidden, [])).abs().max() < 0.2


def test_unknown_recipe_is_refused():
    with pytest.raises(ValueError, match="none of"):
        neutral_of("guess", clip_of("anna"), torch.zeros(240, 57, 3))
