"""Seeds of one design are averaged clip by clip before anything else is made of them."""

import math

import pytest

from lipsync_core.evaluation.blocks import markdown
from lipsync_core.evaluation.drawn_styles import MODE
from lipsync_core.evaluation.results import Row
from lipsync_core.evaluation.seeds import pooled, seeds_of
from lipsync_core.evaluation.style_benchmark import compare_relatively, summarise_styles
from lipsync_core.evaluation.style_report import style_blocks, style_machine

FAMILY = "G shape"


def row(subject, clip, right, style="s"):
    figures = {"right": right, "other": 4.0, "none": 3.0, "oracle": 1.0}
    figures |= {"retrieved": 1.0, "nearest": 0.0}
    return Row(MODE, clip, "anna", subject, figures, notes={"style": style, "family": FAMILY})


@pytest.fixture
def rows():
    errors = {"ours@0": (1.0, 2.0), "ours@1": (2.0, 3.0), "static@0": (2.0, 4.0), "plain": (3, 3)}
    return [row(s, f"clip{i}", float(e)) for s, own in errors.items() for i, e in enumerate(own)]


def test_only_designs_with_several_seeds_are_pooled(rows):
    assert seeds_of(rows) == {"ours": ["ours@0", "ours@1"]}
    assert list(dict.fromkeys(r.subject for r in pooled(rows))) == ["ours", "static@0", "plain"]


def test_figures_are_averaged_clip_by_clip(rows):
    found = [r.figures["right"] for r in pooled(rows) if r.subject == "ours"]
    assert found == [1.5, 2.5]
    summary = summarise_styles(pooled(rows))[FAMILY]["ours"]
    assert summary["error right"].mean == 2.0
    assert summary["error right"].count == 2, "clips are counted, not seeds"
    assert summary["captured"].mean == pytest.approx(0.5)


def test_designs_are_compared_after_pooling(rows):
    found = compare_relatively(pooled(rows), "ours")[FAMILY]["static@0"]
    assert found.mean == pytest.approx((2.0 - 3.0) / 3.0)
    assert found.low <= found.mean <= found.high < 0


def test_styles_are_not_mixed_and_what_one_seed_lacks_is_left_out():
    rows = [
        row("a@0", "clip", 1.0, "s"),
        row("a@1", "clip", 3.0, "s"),
        row("a@0", "clip", 9.0, "t"),
    ]
    assert [(r.notes["style"], r.figures["right"]) for r in pooled(rows)] == [("s", 2.0)]


def test_what_one_seed_could_not_measure_is_not_known():
    rows = [row("a@0", "clip", math.nan), row("a@1", "clip", 3.0)]
    assert math.isnan(pooled(rows)[0].figures["right"])


def test_the_report_tells_the_pool_each_seed_and_every_pair(rows):
    text = markdown(list(style_blocks(MODE, rows)))
    assert "0.750, 0.250" in text, "captured by each seed"
    assert "ours against static@0" in text and "static@0 against plain" in text
    told = style_machine(MODE, rows)
    assert set(told["figures"][FAMILY]) == {"ours", "static@0", "plain"}
    assert set(told["figures by seed"]) == {"ours@0", "ours@1"}
    assert told["relative error"]["static@0"][FAMILY]["ours"]["mean"] == pytest.approx(0.5)
