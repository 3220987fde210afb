"""Word times to phones to mouth shapes: nothing lost, nothing moved, silence about it."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lipsync_core.errors import MediaError
from lipsync_core.evaluation.alignments import (
    MOUTH_SHAPES,
    SHAPE_NAMES,
    SILENCE,
    TimedPhone,
    TimedWord,
    phone_track,
    phones_of,
    read_alignment,
    speech_span,
    times_of,
)
from lipsync_core.evaluation.grid_pronunciations import GRID_PRONUNCIATIONS

TEXT = "0 23750 sil\r\n23750 29500 bin\r\n29500 34000 blue\r\n34000 35000 sp\n35000 74500 sil\n\n"

quick = settings(max_examples=15, deadline=None)
words = st.lists(
    st.tuples(st.sampled_from([*GRID_PRONUNCIATIONS, "sil", "sp"]), st.floats(0.02, 1.0)),
    min_size=1,
    max_size=8,
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These tensors are so small that sharing them out takes longer than the sums."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def timed(drawn: list[tuple[str, float]]) -> list[TimedWord]:
    """Words end to end from .2 s."""
    made, now = [], 0.2
    for word, length in drawn:
        made.append(TimedWord(word, now, now + length))
        now += length
    return made


def write(folder: Path, text: str) -> Path:
    path = folder / "a.align"
    path.write_bytes(text.encode())
    return path


def test_read_alignment(tmp_path: Path):
    read = read_alignment(write(tmp_path, TEXT))
    assert [word.word for word in read] == ["sil", "bin", "blue", "sp", "sil"]
    assert read[1] == TimedWord("bin", 0.95, 1.18)
    assert speech_span(read) == (0.95, 1.36)
    assert read[-1].end == 2.98


@pytest.mark.parametrize(
    "text",
    ["0 10", "0 ten bin", "0 10 bin twice", "10 5 bin", "0 100 bin\n50 200 blue"],
)
def test_a_damaged_alignment_names_its_file_and_line(tmp_path: Path, text: str):
    with pytest.raises(MediaError, match=r"a\.align, line [12]"):
        read_alignment(write(tmp_path, text))


def test_the_vocabulary_is_whole_and_every_phone_has_one_shape():
    assert len(GRID_PRONUNCIATIONS) == 51
    letters = {word for word in GRID_PRONUNCIATIONS if len(word) == 1}
    assert letters == set("abcdefghijklmnopqrstuvxyz")
    listed = [phone for phones in MOUTH_SHAPES.values() for phone in phones]
    assert len(listed) == len(set(listed))
    assert {phone for phones in GRID_PRONUNCIATIONS.values() for phone in phones} <= set(listed)
    with_lips = {
        word
        for word, phones in GRID_PRONUNCIATIONS.items()
        if set(phones) & set(MOUTH_SHAPES["bilabial"])
    }
    assert with_lips == {"bin", "place", "blue", "by", "please", "b", "p", "m"}


@quick
@given(words)
def test_phones_fill_their_words_in_order(drawn):
    said = timed(drawn)
    phones = phones_of(said)
    assert phones[0].start == said[0].start and phones[-1].end == said[-1].end
    for before, after in pairwise(phones):
        assert before.end == pytest.approx(after.start)
        assert before.start < before.end
    for word in said:
        inside = [p for p in phones if word.start - 1e-9 <= p.start and p.end <= word.end + 1e-9]
        expected = (SILENCE,) if word.word in ("sil", "sp") else GRID_PRONUNCIATIONS[word.word]
        assert tuple(phone.phone for phone in inside) == expected


def test_vowels_are_longer_and_a_word_twice_as_long_has_phones_twice_as_long():
    p, iy = phones_of([TimedWord("p", 1.0, 1.4)])
    assert iy.end - iy.start > 2 * (p.end - p.start)
    twice = phones_of([TimedWord("p", 1.0, 1.8)])
    assert twice[0].end - 1.0 == pytest.approx(2 * (p.end - 1.0))
    assert times_of([p, iy]).tolist() == [pytest.approx(p.centre)]
    assert times_of([p, iy], "spread").tolist() == [pytest.approx(iy.centre)]
    assert times_of([p, iy], "rounded").shape == (0,)


def test_unknown_words_shapes_and_edges_are_refused():
    with pytest.raises(ValueError, match="colour"):
        phones_of([TimedWord("colour", 0.0, 1.0)])
    assert len(phones_of([TimedWord("colour", 0.0, 1.0)], {"colour": ("k", "ah", "l", "ah")})) == 4
    with pytest.raises(ValueError, match="no words"):
        speech_span([TimedWord("sil", 0.0, 1.0)])
    with pytest.raises(ValueError, match="edge"):
        phone_track([], 10, edge=0.0)
    with pytest.raises(ValueError):
        phone_track([], 10)["vowel"]


@quick
@given(words, st.integers(1, 120), st.floats(0.005, 0.1))
def test_posteriors_are_shares_of_the_step(drawn, steps: int, edge: float):
    track = phone_track(phones_of(timed(drawn)), steps, edge)
    assert track.posteriors.shape == (steps, len(SHAPE_NAMES))
    assert track.classes.shape == (steps,)
    assert (track.posteriors >= 0).all()
    torch.testing.assert_close(track.posteriors.sum(dim=1), torch.ones(steps))


@quick
@given(words, st.integers(-5, 5))
def test_a_shift_of_whole_steps_moves_the_track(drawn, shift: int):
    phones = phones_of(timed(drawn))
    here = phone_track(phones, 60)
    there = phone_track(phones, 60, shift=shift / 25)
    first, last = max(shift, 0), 60 + min(shift, 0)
    torch.testing.assert_close(
        there.posteriors[first:last], here.posteriors[first - shift : last - shift]
    )


def test_edges_are_soft_and_rise_through_a_half():
    track = phone_track([TimedPhone("aa", 1.0, 2.0)], 75)
    heard = track["open"]
    assert heard[25] == pytest.approx(0.5, abs=1e-6) and heard[50] == pytest.approx(0.5, abs=1e-6)
    assert heard[26] == pytest.approx(0.9772, abs=1e-3)  # two standard deviations inside
    assert heard[24] == pytest.approx(0.0228, abs=1e-3)
    assert (heard[28:48] > 0.999).all() and (heard[:22] < 0.001).all()
    assert (heard[20:30].diff() > -1e-6).all()
    assert track["silence"][0] == pytest.approx(1)
    names = [SHAPE_NAMES[number] for number in track.classes.tolist()]
    assert names[26:50] == ["open"] * 24 and names[:25] == ["silence"] * 25


def test_the_class_of_a_step_is_what_most_of_it_holds():
    phones = [TimedPhone("b", 0.39, 0.43), TimedPhone("aa", 0.43, 0.47)]
    classes = phone_track(phones, 20).classes.tolist()
    assert SHAPE_NAMES[classes[10]] == "bilabial"
    assert SHAPE_NAMES[classes[11]] == "open"
    assert SHAPE_NAMES[classes[9]] == SHAPE_NAMES[classes[13]] == "silence"


@pytest.mark.shared
def test_all_alignments_of_the_corpus_are_read(shared: Path):
    paths = sorted((shared / "data" / "grid_s1" / "alignments").glob("*.align"))[::10]
    if not paths:
        pytest.skip("no alignments in ../shared")
    for path in paths:
        said = read_alignment(path)
        start, end = speech_span(said)
        assert 0 < start < end <= 3
        bilabials = times_of(phones_of(said))
        assert ((bilabials > start) & (bilabials < end)).all()
