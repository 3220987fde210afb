"""Tables and pages of a run: what is told of every figure, and of what was left out."""

import json
import math
import re

import pytest
import torch

from lipsync_core.errors import EvaluationError
from lipsync_core.evaluation.face_distributions import FaceDistributions
from lipsync_core.evaluation.frechet_distance import FeatureMoments, frechet_distance
from lipsync_core.evaluation.plots import Curve, motion_plot, waveform_outline
from lipsync_core.evaluation.report import HTML_FILE, MARKDOWN_FILE, write_report
from lipsync_core.evaluation.results import Results, Row
from lipsync_core.evaluation.running import EXCLUDED, open_results
from lipsync_core.evaluation.table import MEASURES, machine_table, mode_table, number
from lipsync_core.sync.offset import MOST_OFFSET, SyncScore
from lipsync_core.types import Audio

RECORD = {"command": "evaluate <a&b>", "weights": {"predictor": "p.safetensors ab12"}, "none": []}


@pytest.fixture
def results(tmp_path):
    """Three clips of two people, one of them excluded, one without chance."""
    found = Results(tmp_path)
    for index, (name, person) in enumerate([("one", "p"), ("two", "p")]):
        files = {"frames": "pictures/one.png", "output video": "videos/one.mp4"}
        notes = {"style": "x"} if index == 0 else {"chance": "no other clip of the person"}
        output = {"opening r": 0.8 + 0.1 * index, "lip vertex error": math.nan}
        rows = [Row("reconstruction", name, person, "output", output, files, notes)]
        rows += [Row("reconstruction", name, person, "ceiling", {"opening r": 0.99})]
        found.add(rows)
    reason = {"reason": "no face <at all>"}
    found.add([Row("reconstruction", "three", "q", EXCLUDED, {}, notes=reason)])
    found.add([Row("silent audio", "one", "p", "output", {"lip leak": 0.0}, {}, {"seen by": "w"})])
    return found


def test_a_table_counts_what_it_is_made_of_and_what_was_left_out(results):
    table = mode_table(results, "reconstruction")
    assert (table.clips, table.people) == (2, 1)
    assert table.subjects == ["output", "ceiling"]
    assert table.excluded == {"three": "no face <at all>"}
    assert table.omitted == {"chance: no other clip of the person": 1}
    assert table.figures["opening r"]["output"].mean == pytest.approx(0.85)
    assert table.figures["lip vertex error"]["output"].count == 0
    assert mode_table(results, "silent audio").seen == {"p": "w"}


def test_programs_get_the_same_numbers_and_null_for_what_is_unknown(results):
    told = json.loads(
        json.dumps(machine_table([mode_table(results, "reconstruction")]), allow_nan=False)
    )["reconstruction"]
    assert told["figures"]["opening r"]["ceiling"]["mean"] == pytest.approx(0.99)
    assert told["figures"]["lip vertex error"]["output"]["mean"] is None
    assert told["excluded"] == {"three": "no face <at all>"}


def test_the_pages_hold_all_of_it_and_need_nothing_else(results):
    write_report(results, RECORD)
    page = (results.folder / HTML_FILE).read_text()
    text = (results.folder / MARKDOWN_FILE).read_text()
    for told in (page, text):
        assert "p.safetensors ab12" in told and "three" in told
        assert "2 clips of 1 person." in told and "0.850 [0.800, 0.900]" in told
        assert "pictures/one.png" in told and "videos/one.mp4" in told
        assert "seen in training" in told
    assert "&lt;a&amp;b&gt;" in page and "no face &lt;at all&gt;" in page
    assert not re.search(r"https?:|<script|@import", page)
    assert not list(results.folder.glob(".*"))


def test_a_report_written_twice_is_the_same(results):
    write_report(results, RECORD)
    first = (results.folder / HTML_FILE).read_bytes()
    write_report(Results(results.folder), RECORD)
    assert (results.folder / HTML_FILE).read_bytes() == first


def test_no_two_measures_share_a_name_and_all_say_what_they_mean():
    names = [measure.name for measure in MEASURES]
    assert len(set(names)) == len(names)
    assert all(measure.meaning and measure.better for measure in MEASURES)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.000"), (0.8512, "0.851"), (12.345, "12.3"), (1234.5, "1234"), (-40.0, "-40.0"),
     (0.00123, "0.00123"), (math.nan, "")],
)  # fmt: skip
def test_numbers_are_short(value, text):
    assert number(value) == text


def test_another_run_is_not_mixed_into_a_folder(tmp_path):
    record = {"weights": {"a": "1"}, "command": "x"}
    open_results(tmp_path, record, ["weights"]).add([Row("silent audio", "c", "p", "output", {})])
    again = open_results(tmp_path, record | {"command": "y"}, ["weights"])
    assert again.has("silent audio", "c")
    with pytest.raises(EvaluationError, match=r"another run \(other weights"):
        open_results(tmp_path, record | {"weights": {"a": "2"}}, ["weights"])
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(EvaluationError, match="damaged"):
        open_results(tmp_path, record, ["weights"])


# Plots


def plot(scores=True, speech=True):
    wave = torch.sin(torch.arange(32000) / 40) * torch.linspace(0, 1, 32000)
    opening = 0.1 + 0.1 * torch.sin(torch.arange(50) / 3)
    curve = Curve(opening, torch.arange(50) != 20)
    score = SyncScore(2, 3.0, 0.4, torch.linspace(-1, 1, 2 * MOST_OFFSET + 1))
    return motion_plot(
        {"real": curve, "output": Curve(opening.flip(0), curve.valid)},
        Audio(wave, 16000) if speech else None,
        {"output": score if scores else None},
    )


def test_a_plot_has_the_size_asked_for_and_is_always_the_same():
    first = plot()
    assert first.shape == (280, 1350, 3)
    assert (first == plot()).all()
    assert (first != plot(speech=False)).any() and (first != plot(scores=False)).any()


def test_the_outline_is_loud_where_the_sound_is():
    seconds, loudness = waveform_outline(Audio(torch.tensor([0.0] * 800 + [-0.5] * 800), 16000))
    assert loudness.tolist() == [0.0] * 3 + [1.0] * 3 or loudness.max() == 1
    assert (loudness[seconds >= 0.06] == 1).all() and (loudness[seconds < 0.04] == 0).all()


# The Frechet distance over clips


def moments(seed: int) -> FeatureMoments:
    return FeatureMoments.of(torch.randn(20, 6, generator=torch.Generator().manual_seed(seed)))


def test_faces_add_up_over_a_stopped_run_and_no_clip_counts_twice(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    at_once = FaceDistributions(whole)
    for seed, clip in enumerate("abc"):
        pairs = {"output": (moments(seed), moments(10 + seed))}
        at_once.add(clip, pairs)
        stopped = FaceDistributions(parts)
        stopped.add(clip, pairs)
        FaceDistributions(parts).add(clip, pairs)
    assert FaceDistributions(parts).clips == list("abc")
    (found,) = FaceDistributions(parts).distances().values()
    assert found == at_once.distances()["output"] and found.count == 3 and found.mean > 0
    together = moments(0) + moments(1) + moments(2), moments(10) + moments(11) + moments(12)
    assert found.mean == pytest.approx(frechet_distance(*together))
    assert FaceDistributions(tmp_path).distances() == {}
