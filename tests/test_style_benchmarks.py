"""The style benchmarks: who reads the reference is told from who does not."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from synthetic_motion import ENCODER, made_up_basis, made_up_speech, spoken, write_made_up_clips
from test_held_out_styles import SHAPE_NAMES, PhoneTrack, heard_of

from lipsync_core.errors import TrainingError
from lipsync_core.evaluation.held_out_styles import read_held_out_styles
from lipsync_core.evaluation.people_benchmark import run_people, summarise_people, wins
from lipsync_core.evaluation.results import Results
from lipsync_core.evaluation.speakers import PredictorSpeaker, RidgeProbe
from lipsync_core.evaluation.style_benchmark import (
    choose_targets,
    compare_styles,
    run_styles,
    summarise_styles,
)
from lipsync_core.evaluation.style_clips import (
    StyleClip,
    as_reference,
    correlation,
    hear,
    read_style_clips,
)
from lipsync_core.evaluation.style_list import StyleList
from lipsync_core.motion.predictor import READINGS, MotionPredictor, MotionPredictorConfig
from lipsync_core.training.motion_clips import lip_gap, read_motion_clips
from lipsync_core.types import SpeechFeatures

STEPS = 80
SHAPES = tuple(style for style in read_held_out_styles() if style.family in ("shape", "rounding"))


def clip_of(name: str, person: str, seed: int, steps: int = STEPS, gain: float = 1.0) -> StyleClip:
    speech = made_up_speech(steps, torch.Generator().manual_seed(seed))
    return StyleClip(
        name,
        person,
        SpeechFeatures(speech, ENCODER),
        spoken(speech, gain),
        torch.ones(steps, dtype=torch.bool),
    )


def heard_in(clip: StyleClip):
    """Rounded wherever the first channel is high: what is heard follows from the speech."""
    rounded = clip.speech.features[:, 0] > 0
    classes = torch.where(rounded, SHAPE_NAMES.index("rounded"), SHAPE_NAMES.index("open"))
    posteriors = torch.nn.functional.one_hot(classes, len(SHAPE_NAMES)).float()
    return heard_of(PhoneTrack(classes, posteriors), torch.zeros(clip.steps, 48))


class ReferenceReader:
    """Learns from its references alone how speech moves lips; without any it knows one person."""

    def __init__(self, known: list[StyleClip]):
        self.known = known

    def speak(self, clip, references):
        shown = references or self.known
        inputs = torch.cat([self._inputs(c) for c in shown])
        outputs = torch.cat([c.displacement.flatten(1) for c in shown])
        penalty = 1e-2 * torch.eye(inputs.shape[1])
        weight = torch.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ outputs)
        return (self._inputs(clip) @ weight).unflatten(1, (-1, 3))

    @staticmethod
    def _inputs(clip):
        x = clip.speech.features
        sound = torch.stack([x[:, :4].mean(dim=1), x[:, 4:8].mean(dim=1)], dim=1)
        gate = (x[:, :1] > 0).float()
        plain = torch.cat([sound.sigmoid(), sound.tanh(), torch.ones(len(x), 1)], dim=1)
        return torch.cat([plain, plain * gate], dim=1)


class Deaf(ReferenceReader):
    """Never looks at its references."""

    def speak(self, clip, references):
        return super().speak(clip, [])


@pytest.fixture(scope="module")
def clips():
    return [clip_of(f"clip{i}", "anna", i) for i in range(6)]


@pytest.fixture(scope="module")
def held_out_rows(clips):
    targets = choose_targets(clips, [heard_in(c) for c in clips], targets=3, references=2)
    speakers = {"reader": ReferenceReader(clips), "deaf": Deaf(clips)}
    styles = StyleList("shapes", SHAPES)
    return [row for rows in run_styles(speakers, targets, styles) for row in rows]


def test_a_reader_captures_the_style_and_a_deaf_speaker_nothing(held_out_rows):
    table = summarise_styles(held_out_rows)
    for family in ("shape", "rounding"):
        assert table[family]["reader"]["captured"].mean > 0.8
        assert table[family]["deaf"]["captured"].mean == pytest.approx(0, abs=1e-6)
        reader = table[family]["reader"]
        assert reader["error right"].mean < reader["error other"].mean
        assert reader["error oracle"].mean < reader["error none"].mean


def test_the_readers_output_is_recognised_among_the_styles(held_out_rows):
    table = summarise_styles(held_out_rows)["shape"]
    assert table["reader"]["retrieved"].mean > 0.8
    assert table["deaf"]["retrieved"].mean < 0.2


def test_speakers_are_compared_clip_by_clip(held_out_rows):
    compared = compare_styles(held_out_rows, "reader")
    assert compared["shape"]["deaf"].high < 0
    assert compare_styles(held_out_rows, "deaf")["shape"]["reader"].low > 0


def test_a_target_never_sees_itself_and_the_choice_is_the_same_twice(clips):
    heard = [heard_in(c) for c in clips]
    targets = choose_targets(clips, heard, 6, 3)
    for target in targets:
        assert target.clip.name not in [c.name for c in target.references]
        assert len({c.name for c in target.references}) == 3
    again = choose_targets(clips, heard, 6, 3)
    assert [[c.name for c in t.references] for t in targets] == [
        [c.name for c in t.references] for t in again
    ]
    with pytest.raises(ValueError, match="references are needed"):
        choose_targets(clips[:3], heard[:3], 1, 3)


def test_rows_survive_the_results_file(held_out_rows, tmp_path):
    results = Results(tmp_path)
    results.add(held_out_rows)
    first = summarise_styles(Results(tmp_path).rows)["shape"]["reader"]["captured"]
    assert first == summarise_styles(held_out_rows)["shape"]["reader"]["captured"]


@pytest.fixture(scope="module")
def people():
    gains = {"anna": 0.5, "bert": 1.0, "cleo": 2.0}
    return [
        clip_of(f"{person}{i}", person, 10 * n + i, steps=240, gain=gain)
        for n, (person, gain) in enumerate(gains.items())
        for i in range(2)
    ]


def test_the_own_reference_is_told_from_anothers(people):
    speakers = {"reader": ReferenceReader(people[:1]), "deaf": Deaf(people[:1])}
    rows = [row for rows in run_people(speakers, people) for row in rows]
    table = summarise_people(rows)
    assert table["error, own - another's"]["reader"].high < 0
    assert table["error, own - another's"]["deaf"].mean == 0
    assert table["error, own other half - none"]["reader"].mean < 0
    assert table["r, own other clip"]["reader"].mean > 0.99
    assert all(e.count == 3 for e in table["r, own - another's"].values()), "people are counted"
    assert wins(rows, "deaf") == (0, 6)


def test_a_person_with_one_short_clip_has_no_own_reference(people):
    lonely = [*people[:2], clip_of("dora0", "dora", 99)]
    rows = [row for rows in run_people({"deaf": Deaf(people)}, lonely) for row in rows]
    assert "r same" not in rows[-1].figures and "r half" not in rows[-1].figures
    assert "r other" in rows[-1].figures
    assert summarise_people(rows)["r, own other clip"]["deaf"].count == 1


@pytest.mark.parametrize("reading", READINGS)
def test_predictors_and_ablations_are_speakers(reading, clips):
    basis = made_up_basis()
    torch.manual_seed(0)
    config = MotionPredictorConfig(
        basis=basis.id, encoder=ENCODER, speech_width=12, motion_size=6, width=48, heads=2,
        reading=reading,
    )  # fmt: skip
    predictor = MotionPredictor(config).eval()
    predictor.basis_components.copy_(basis.components)
    speaker = PredictorSpeaker(predictor)
    none, seen = speaker.speak(clips[0], []), speaker.speak(clips[0], clips[1:3])
    assert none.shape == clips[0].displacement.shape
    assert torch.allclose(none, seen, atol=1e-5) == (reading == "none")


def test_the_ridge_probe_learns_speech_and_ignores_references(tmp_path):
    write_made_up_clips(tmp_path, clips=12)
    anna = [c for c in read_motion_clips(tmp_path, "train") if c.person == "anna"]
    probe = RidgeProbe.fit(anna)
    clip = next(c for c in read_style_clips(tmp_path, "validation") if c.person == "anna")
    spoken_lips = probe.speak(clip, [])
    assert correlation(lip_gap(spoken_lips), lip_gap(clip.displacement), clip.valid) > 0.5
    assert torch.equal(spoken_lips, probe.speak(clip, [clip]))


def test_a_reference_is_read_up_to_its_limit(clips):
    long = clip_of("long", "anna", 3, steps=900)
    style = as_reference([clips[0], long], made_up_basis())
    assert len(style.clip) == 750
    assert style.clip.max() == 1
    with pytest.raises(ValueError, match="at least one clip"):
        as_reference([], made_up_basis())


def test_correlation_leaves_invalid_steps_out():
    x = torch.arange(6.0)
    broken = torch.cat([x[:5], torch.tensor([-50.0])])
    valid = torch.tensor([True] * 5 + [False])
    assert correlation(x, broken, valid) == pytest.approx(1.0)


def test_a_missing_alignment_says_what_it_is_for(clips, tmp_path):
    with pytest.raises(TrainingError, match="word times"):
        hear(clips[0], Path(tmp_path))


def test_a_gated_family_without_its_sound_has_no_figure(clips):
    silent = [
        heard_of(
            PhoneTrack(torch.zeros(STEPS, dtype=torch.long), torch.zeros(STEPS, len(SHAPE_NAMES))),
            torch.zeros(STEPS, 48),
        )
        for _ in clips
    ]
    targets = choose_targets(clips, silent, 1, 2)
    style = replace(SHAPES[0], family="rounding")
    rows = next(iter(run_styles({"deaf": Deaf(clips)}, targets, StyleList("one", [style]))))
    assert math.isnan(rows[0].figures["right gated"])
