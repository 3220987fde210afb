"""The frozen styles are what their hash says, and each family changes what it says and no more."""

import json
from dataclasses import replace

import pytest
import torch
from synthetic_motion import displacement, made_up_speech, spoken

from lipsync_core.evaluation import held_out_styles
from lipsync_core.evaluation.alignments import SHAPE_NAMES, PhoneTrack
from lipsync_core.evaluation.gestures import GESTURES, activations, gesture_fields, moved
from lipsync_core.evaluation.heard import VISEMES, Heard, sound_gates
from lipsync_core.evaluation.held_out_styles import (
    FAMILIES,
    PER_FAMILY,
    HeldOutStyle,
    apply_style,
    draw_held_out_styles,
    read_held_out_styles,
)
from lipsync_core.evaluation.style_list import write_styles
from lipsync_core.landmarks import LIPS, MOVING

STEPS = 60


def heard_of(phones, clusters):
    """Where no other sounds matter."""
    silent = torch.zeros(len(clusters), dtype=torch.long)
    visemes = PhoneTrack(silent, torch.zeros(len(clusters), len(VISEMES)), tuple(VISEMES))
    return Heard(phones, visemes, clusters, torch.zeros(len(clusters), 16), torch.zeros(0))


@pytest.fixture
def lips():
    return spoken(made_up_speech(STEPS, torch.Generator().manual_seed(1)))


@pytest.fixture
def heard():
    """A rounded sound in the first third, a bilabial in the second, silence after."""
    classes = torch.full((STEPS,), SHAPE_NAMES.index("silence"))
    classes[:20] = SHAPE_NAMES.index("rounded")
    classes[20:40] = SHAPE_NAMES.index("bilabial")
    posteriors = torch.nn.functional.one_hot(classes, len(SHAPE_NAMES)).float()
    clusters = torch.zeros(STEPS, 48)
    clusters[:30, 3] = 1.0
    clusters[30:, 4] = 1.0
    return heard_of(PhoneTrack(classes, posteriors), clusters)


def of_family(family):
    return [style for style in read_held_out_styles() if style.family == family]


def change(style, lips, heard):
    return (apply_style(style, lips, heard) - lips).norm(dim=-1)[:, : len(LIPS)].mean(dim=1)


def test_gestures_are_told_apart():
    wanted = torch.randn(5, len(GESTURES), generator=torch.Generator().manual_seed(0))
    found = activations(moved(torch.zeros(5, len(MOVING), 3), wanted))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_what_no_gesture_describes_stays_as_it_was(lips):
    still = torch.zeros(STEPS, len(GESTURES))
    torch.testing.assert_close(moved(lips, still), lips)


def test_open_is_the_gesture_of_a_falling_lower_lip():
    found = activations(displacement(torch.tensor([0.1]), torch.tensor([0.0])))[0]
    assert found.argmax() == GESTURES.index("open")
    lopsided = gesture_fields()[GESTURES.index("lopsided")]
    right = torch.tensor([MOVING.index(321)])
    left = torch.tensor([MOVING.index(91)])
    assert lopsided[right, 1] > 0 > lopsided[left, 1]


def test_the_list_is_frozen():
    styles = read_held_out_styles()
    assert len(styles) == PER_FAMILY * len(FAMILIES) >= 50
    assert len({style.name for style in styles}) == len(styles)
    stored = json.loads(held_out_styles.STYLES_FILE.read_text())
    # Changing this hash makes old and new figures incomparable: never do it in passing.
    assert stored["sha256"].startswith("ec3c7b6e23499616")


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    stored = json.loads(held_out_styles.STYLES_FILE.read_text())
    stored["styles"][0]["gain"][0] += 0.1
    path = tmp_path / "styles.json"
    path.write_text(json.dumps(stored))
    monkeypatch.setattr(held_out_styles, "STYLES_FILE", path)
    read_held_out_styles.cache_clear()
    with pytest.raises(ValueError, match="frozen"):
        read_held_out_styles()
    read_held_out_styles.cache_clear()


def test_a_list_survives_its_file(tmp_path, monkeypatch):
    drawn = draw_held_out_styles(seed=5)
    write_styles(drawn, tmp_path / "styles.json")
    monkeypatch.setattr(held_out_styles, "STYLES_FILE", tmp_path / "styles.json")
    read_held_out_styles.cache_clear()
    assert list(read_held_out_styles()) == drawn
    read_held_out_styles.cache_clear()


def test_a_style_of_nothing_changes_nothing(lips, heard):
    torch.testing.assert_close(apply_style(HeldOutStyle("none", "shape"), lips, heard), lips)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_style_changes_the_lips_and_no_two_alike(family, lips, heard):
    changed = [apply_style(style, lips, heard) for style in of_family(family)]
    if family == "sounds":  # this test's sounds are two clusters; not every style changes them
        changed = [c for c in changed if not torch.equal(c, lips)]
        assert len(changed) > 1
    for i, first in enumerate(changed):
        assert (first - lips).abs().max() > 1e-3
        for second in changed[i + 1 :]:
            assert (first - second).abs().max() > 1e-4


def test_rounding_and_closures_change_their_sound_alone(lips, heard):
    for style in of_family("rounding"):
        assert change(style, lips, heard)[:20].min() > 0.005
        assert change(style, lips, heard)[20:].max() == 0
    for style in of_family("closures"):
        assert change(style, lips, heard)[20:40].min() > 0.005
        assert change(style, lips, heard)[40:].max() == 0
        opened = activations(apply_style(style, lips, heard) - lips)
        assert opened[20:40, GESTURES.index("open")].min() > 0.02


def test_a_lag_moves_the_lips_by_whole_steps(lips, heard):
    late = apply_style(HeldOutStyle("late", "timing", lag=2), lips, heard)
    torch.testing.assert_close(late[2:], lips[:-2])
    early = apply_style(HeldOutStyle("early", "timing", lag=-3), lips, heard)
    torch.testing.assert_close(early[:-3], lips[3:])


def test_smoothing_slows_and_keeps_a_still_mouth(lips, heard):
    slow = apply_style(HeldOutStyle("slow", "timing", smoothing=1.5), lips, heard)
    assert slow.diff(dim=0).norm() < 0.9 * lips.diff(dim=0).norm()
    still = lips[:1].expand(STEPS, -1, -1).contiguous()
    slow = apply_style(HeldOutStyle("slow", "timing", smoothing=1.5), still, heard)
    torch.testing.assert_close(slow, still)


def test_a_lopsided_mouth_opens_one_side_more(lips, heard):
    style = replace(HeldOutStyle("right", "lopsided"), lopsided=1.0)
    changed = apply_style(style, lips, heard)
    right, left = MOVING.index(321), MOVING.index(91)
    assert (changed - lips)[:, right, 1].mean() > 0.01
    assert (changed - lips)[:, left, 1].mean() < -0.01


def test_gates_tell_sounds_apart_softly():
    gates = sound_gates()
    features = gates.mean + torch.randn(20, len(gates.mean), generator=torch.Generator())
    posteriors, _ = gates(features)
    assert posteriors.shape[1] == sum(len(centres) for centres in gates.centres) == 48
    assert (posteriors >= 0).all()
    sums = posteriors[:, :16].sum(dim=1)
    torch.testing.assert_close(sums, torch.ones_like(sums), rtol=1e-3, atol=1e-3)
