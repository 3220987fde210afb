"""Which clips are evaluated: splits, people, and none that a weight was trained on."""

import json
from fractions import Fraction
from pathlib import Path

import pytest
from tiny_models import tiny_predictor

from lipsync_core.checkpoint import Header, save_model
from lipsync_core.commands.evaluate import headers_of
from lipsync_core.errors import EvaluationError
from lipsync_core.evaluation.bench import style_pool
from lipsync_core.evaluation.clips import (
    EvaluationClip,
    evaluated_clips,
    find_clips,
    read_people,
    read_splits,
)
from lipsync_core.evaluation.overlap import refuse_overlap
from lipsync_core.media.fingerprint import file_fingerprint
from lipsync_core.training.prepared import PreparedClip, describe

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
    """Six files that look like videos by their names, two of them the same file."""
    for name in "abcde":
        (tmp_path / f"{name}.mp4").write_bytes(name.encode())
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper" / "copy_of_a.mov").write_bytes(b"a")
    (tmp_path / "notes.txt").write_text("no video")
    return tmp_path


def clip(name: str, person: str = "p", split: str = "test", digits: str = "") -> EvaluationClip:
    return EvaluationClip(Path(f"{name}.mp4"), name, person, split, digits or f"digits of {name}")


def test_a_folder_is_searched_and_files_are_known_by_what_is_in_them(folder):
    clips = {found.name: found for found in find_clips(folder)}
    assert sorted(clips) == ["a", "b", "c", "copy_of_a", "d", "e"]
    assert clips["a"].fingerprint == clips["copy_of_a"].fingerprint != clips["b"].fingerprint
    assert len(clips["a"].fingerprint) == 16
    assert all(found.person == name for name, found in clips.items())


def test_people_are_named_by_a_list_or_are_one(folder):
    assert {found.person for found in find_clips(folder, person="s1")} == {"s1"}
    people = dict.fromkeys(["a", "b", "copy_of_a"], "x") | dict.fromkeys("cde", "y")
    assert [found.person for found in find_clips(folder, people=people)] == list("xxyxyy")
    del people["d"]
    with pytest.raises(EvaluationError, match="who is in d"):
        find_clips(folder, people=people)


def test_only_one_split_is_evaluated_and_styles_come_from_another(folder):
    splits = {"train": ["a"], "validation": ["b", "c"], "test": ["d", "e"]}
    clips = find_clips(folder, splits)
    chosen = evaluated_clips(clips, "test")
    assert [found.name for found in chosen] == ["d", "e"]
    assert [found.name for found in style_pool(clips, chosen)] == ["b", "c"]
    assert style_pool(clips, evaluated_clips(clips, "validation")) == []
    with pytest.raises(EvaluationError, match="no clip is of split 'holdout'"):
        evaluated_clips(clips, "holdout")


def test_without_splits_all_clips_are_evaluated_and_give_styles(folder):
    clips = find_clips(folder)
    assert evaluated_clips(clips, "test") == clips == style_pool(clips, clips)


def test_a_limit_spreads_over_all_clips():
    clips = [clip(str(number)) for number in range(60)]
    assert [c.name for c in evaluated_clips(clips, limit=4)] == ["0", "15", "30", "45"]
    assert len({c.name for c in evaluated_clips(clips, limit=59)}) == 59
    assert evaluated_clips(clips, limit=100) == clips


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "no JSON object"),
        ("{", "cannot be read as JSON"),
        ('{"test": "a"}', "names of clips"),
        ('{"test": ["a"], "train": ["a"]}', "two splits: a"),
    ],
)
def test_a_list_of_splits_that_cannot_be_meant_is_refused(tmp_path, text, message):
    (tmp_path / "splits.json").write_text(text)
    with pytest.raises(EvaluationError, match=message):
        read_splits(tmp_path / "splits.json")


def test_a_folder_that_cannot_be_meant_is_refused(folder):
    with pytest.raises(EvaluationError, match=r"not under .*: z"):
        find_clips(folder, {"test": ["a", "z"]})
    (folder / "deeper" / "a.mp4").write_bytes(b"another")
    with pytest.raises(EvaluationError, match=r"two files of one name .*: a"):
        find_clips(folder)
    (folder / "empty").mkdir()
    with pytest.raises(EvaluationError, match="no video files"):
        find_clips(folder / "empty")


def test_the_people_of_the_evaluation_clips_are_told(shared):
    people = read_people(ROOT / "docs" / "evaluation_people.json")
    clips = find_clips(shared / "data" / "evaluation", people=people)
    assert {found.name for found in clips} == set(people)
    assert len({found.person for found in clips if "obama" in found.name}) == 1


# Overlap


def header(**entry) -> Header:
    return Header("MotionPredictor", {}, {"data": {"a corpus": entry}})


def refuse(entry: dict, *clips: EvaluationClip):
    return refuse_overlap({"predictor.safetensors": header(**entry)}, clips)


def test_a_clip_that_was_trained_on_is_refused_by_what_is_in_it_whatever_its_name():
    entry = {"clips": 1, "split": ["train"], "names": ["old name"], "fingerprints": ["f1"]}
    with pytest.raises(EvaluationError) as error:
        refuse(entry, clip("fine"), clip("renamed", digits="f1"))
    assert "predictor.safetensors" in str(error.value) and "renamed" in str(error.value)
    assert "1 of the 2 clips" in str(error.value) and "another split" in str(error.value)


def test_another_clip_of_the_same_name_is_not_refused():
    entry = {"clips": 1, "split": ["train"], "names": ["a"], "fingerprints": ["f1"]}
    assert refuse(entry, clip("a", split="")).unknown == {}


def test_without_fingerprints_names_within_the_split_count():
    entry = {"clips": 1, "split": ["train"], "names": ["a"]}
    with pytest.raises(EvaluationError, match="trained on"):
        refuse(entry, clip("a", split=""))
    with pytest.raises(EvaluationError, match="trained on"):
        refuse(entry, clip("a", split="train"))
    assert refuse(entry, clip("a", split="test")).unknown == {}


def test_a_header_that_names_nothing_is_said_not_to():
    unknown = refuse({"clips": 426, "split": ["train"]}, clip("a")).unknown
    assert "426 clips of split train" in unknown["predictor.safetensors"]
    unnamed = refuse_overlap({"w": Header("LipRenderer", {}, {"data": "random"})}, [clip("a")])
    assert "does not say" in unnamed.unknown["w"]


def test_what_a_weight_was_built_on_counts_too():
    codec = {"data": {"x": {"clips": 1, "split": ["train"], "fingerprints": ["f1"]}}}
    renderer = Header("LipRenderer", {}, {"data": {}, "codec": codec})
    with pytest.raises(EvaluationError, match="trained on"):
        refuse_overlap({"renderer": renderer}, [clip("a", digits="f1")])


def test_people_that_were_seen_in_other_clips_are_named():
    entry = {"clips": 1, "split": ["train"], "names": ["z"], "fingerprints": ["f9"]}
    found = refuse(entry | {"people_names": ["Obama", "s1"]}, clip("a", "obama"), clip("b", "ng"))
    assert found.seen == {"obama": ["predictor.safetensors"]}


def test_what_training_writes_into_a_header_is_what_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"a")
    prepared = [
        PreparedClip(
            path=tmp_path / f"{name}.safetensors", name=name, person=person, split="train",
            fps=Fraction(25), crop_size=128, frame_count=9, encoder="e", source="a corpus",
            fingerprint=digits,
        )
        for name, person, digits in [
            ("b", "p2", "0" * 16), ("a", "p1", file_fingerprint(tmp_path / "a.mp4")),
        ]
    ]  # fmt: skip
    told = json.loads(json.dumps(describe(prepared)))
    assert told["a corpus"]["names"] == ["a", "b"] and told["a corpus"]["clips"] == 2
    assert told["a corpus"]["people_names"] == ["p1", "p2"] and told["a corpus"]["people"] == 2
    with pytest.raises(EvaluationError, match="trained on 1 of the 1 clips"):
        refuse_overlap({"w": Header("X", {}, {"data": told})}, find_clips(tmp_path))


def test_two_weights_of_one_file_name_are_both_looked_at(tmp_path):
    paths = {}
    for run, split in (("audio", "train"), ("pooled", "test")):
        (tmp_path / run).mkdir()
        paths[run] = tmp_path / run / "model.safetensors"
        save_model(paths[run], tiny_predictor(), {"run": split})
    headers = headers_of(paths)
    assert sorted(headers) == ["model.safetensors (audio)", "model.safetensors (pooled)"]
    assert {h.provenance["run"] for h in headers.values()} == {"train", "test"}
    assert list(headers_of({"judge": paths["audio"]})) == ["model.safetensors"]
