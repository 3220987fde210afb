"""Means with intervals that cover, and rows that survive being stopped half-way."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_core.evaluation.results import ROWS_FILE, Results, Row
from lipsync_core.evaluation.statistics import Estimate, difference, estimate

finite = st.floats(-100, 100)
quick = settings(max_examples=10, deadline=None)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These tensors are so small that sharing them out takes longer than the sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def row(clip: str, subject: str = "output", mode: str = "style", **figures: float) -> Row:
    return Row(mode, clip, "anna", subject, figures, {"picture": f"{clip}.png"})


def same(first: float, second: float) -> bool:
    return first == second or (math.isnan(first) and math.isnan(second))


@quick
@given(st.lists(finite, min_size=2, max_size=40))
def test_same_values_same_interval_about_the_mean(values: list[float]):
    found = estimate(values, resamples=200)
    assert found == estimate(list(values), resamples=200)
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9
    assert min(values) - 1e-9 <= found.low and found.high <= max(values) + 1e-9
    assert found.count == len(values)


@quick
@given(st.lists(finite, min_size=2, max_size=30), finite, st.floats(0.1, 10))
def test_the_interval_moves_and_grows_with_the_values(values, shift: float, scale: float):
    plain = estimate(values, resamples=200)
    moved = estimate([scale * value + shift for value in values], resamples=200)
    for name in ("mean", "low", "high"):
        assert getattr(moved, name) == pytest.approx(scale * getattr(plain, name) + shift, abs=1e-6)


@pytest.mark.parametrize(("count", "least"), [(8, 0.84), (60, 0.91)])
def test_the_interval_covers_the_truth(count: int, least: float):
    generator = torch.Generator().manual_seed(1)
    samples = 3 + torch.randn(250, count, generator=generator)
    found = [estimate(sample.tolist(), resamples=300) for sample in samples]
    covered = sum(e.low <= 3 <= e.high for e in found) / len(found)
    assert least <= covered <= 0.99  # too small by theory for few clips, never for all


def test_more_clips_a_narrower_interval():
    generator = torch.Generator().manual_seed(0)
    few, many = (torch.randn(n, generator=generator).tolist() for n in (20, 2000))
    wide, narrow = estimate(few), estimate(many, resamples=300)
    assert narrow.high - narrow.low < 0.3 * (wide.high - wide.low)


def test_what_could_not_be_measured_is_not_counted():
    assert estimate([1.0, math.nan, 3.0, math.inf]) == estimate([1.0, 3.0])
    one = estimate([2.0, math.nan])
    assert (one.mean, one.count) == (2.0, 1) and math.isnan(one.low) and math.isnan(one.high)
    none = estimate([math.nan])
    assert none.count == 0 and math.isnan(none.mean)


def test_a_difference_is_taken_pair_by_pair():
    easy_and_hard = [1.0, 5.0, 9.0, 13.0]
    better = [value - 0.5 for value in easy_and_hard]
    assert difference(easy_and_hard, better) == Estimate(0.5, 0.5, 0.5, 4)
    assert difference([1.0, math.nan, 3.0], [0.0, 5.0, math.nan]).count == 1
    with pytest.raises(ValueError, match="3 and 2"):
        difference([1.0, 2.0, 3.0], [1.0, 2.0])


@quick
@given(
    st.dictionaries(
        st.text(max_size=8), st.floats(allow_nan=True, allow_infinity=False), max_size=5
    )
)
def test_rows_come_back_as_they_were(tmp_path_factory: pytest.TempPathFactory, figures):
    folder = tmp_path_factory.mktemp("run")
    written = Row("style", "clip\n1", "Zoë", "output", figures, {"a": "b.png"})
    Results(folder).add([written, row("clip\n1", "chance", error=math.nan)])
    read = Results(folder).rows
    assert [r.subject for r in read] == ["output", "chance"]
    assert (read[0].clip, read[0].person, read[0].files) == ("clip\n1", "Zoë", {"a": "b.png"})
    assert read[0].figures.keys() == figures.keys()
    assert all(same(read[0].figures[name], value) for name, value in figures.items())
    assert math.isnan(read[1].figures["error"])


def test_the_file_is_json_that_other_programs_read(tmp_path: Path):
    Results(tmp_path).add([row("one", error=math.nan, lag=math.inf)])
    line = (tmp_path / ROWS_FILE).read_text(encoding="utf-8")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    assert json.loads(line, parse_constant=refuse)[0]["figures"] == {"error": None, "lag": None}


@pytest.mark.parametrize("cut", [1, 10, -1])
def test_a_file_cut_off_while_writing_goes_on(tmp_path: Path, cut: int):
    """The half line's clip is measured again, the one added after it is not lost."""
    first = Results(tmp_path)
    first.add([row("one", error=1.0), row("one", "chance", error=2.0)])
    first.add([row("two", error=3.0)])
    path = tmp_path / ROWS_FILE
    whole, half = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(whole + half[:cut].rstrip(b"\n"))
    if cut == -1:
        path.write_bytes(whole + half[: len(half) // 2])

    again = Results(tmp_path)
    assert again.has("style", "one") and not again.has("style", "two")
    again.add([row("two", error=3.0)])
    again.add([row("three", error=5.0)])
    last = Results(tmp_path)
    assert [(r.clip, r.subject) for r in last.rows] == [
        ("one", "output"), ("one", "chance"), ("two", "output"), ("three", "output"),
    ]  # fmt: skip
    assert last.rows == again.rows


def test_a_file_cut_inside_a_letter_goes_on(tmp_path: Path):
    Results(tmp_path).add([row("one", error=1.0)])
    path = tmp_path / ROWS_FILE
    with path.open("ab") as file:
        file.write('[{"clip": "Zoë'.encode()[:-1])
    assert [r.clip for r in Results(tmp_path).rows] == ["one"]


def test_a_whole_line_without_its_end_is_kept_and_goes_on(tmp_path: Path):
    Results(tmp_path).add([row("one", error=1.0)])
    path = tmp_path / ROWS_FILE
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    again = Results(tmp_path)
    assert again.has("style", "one")
    again.add([row("two", error=2.0)])
    assert [r.clip for r in Results(tmp_path).rows] == ["one", "two"]


def test_the_same_run_gives_the_same_table_in_one_go_or_two(tmp_path: Path):
    rows = [
        row(f"clip {i}", subject, error=value)
        for i, value in enumerate([0.1, 0.7, 0.4, math.nan])
        for subject in ("output", "chance")
    ]
    whole = Results(tmp_path / "whole")
    for made in rows:
        whole.add([made])
    parts = Results(tmp_path / "parts")
    parts.add(rows[:4])
    parts = Results(tmp_path / "parts")
    parts.add(rows[4:])
    assert whole.table("style") == Results(tmp_path / "parts").table("style")
    assert whole.table("style")["error"]["output"].count == 3


def test_a_table_keeps_modes_and_subjects_apart(tmp_path: Path):
    results = Results(tmp_path)
    results.add([row("one", error=1.0), row("one", "chance", error=3.0, lag=9.0)])
    results.add([row("one", mode="silent audio", error=100.0)])
    table = results.table("style")
    assert table["error"]["output"].mean == 1 and table["error"]["chance"].mean == 3
    assert set(table["lag"]) == {"chance"}
    assert results.table("reconstruction") == {}
