"""Pieces joined without encoding again: every frame, in order, at its time, with sound."""

from fractions import Fraction
from itertools import pairwise

import pytest
import torch
from synthetic_media import clicks, first_click, numbered_frames, read_numbers

from lipsync_core.errors import MediaError
from lipsync_core.media.audio_file import read_audio
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.joining import join_clips
from lipsync_core.media.piece_store import PieceStore
from lipsync_core.media.writing import write_clip

JOB = "0123456789abcdef"


@pytest.mark.parametrize("fps", [Fraction(25), Fraction(30000, 1001), Fraction(24)], ids=str)
def test_joined_pieces_are_the_whole(tmp_path, fps):
    frames, edges = numbered_frames(40), (0, 17, 18, 40)
    pieces = []
    for start, stop in pairwise(edges):
        pieces.append(tmp_path / f"{start}.mp4")
        write_clip(pieces[-1], [frames[start:stop]], fps, *frames.shape[1:3])
    sound = clicks([0.5], float(40 / fps))
    join_clips(tmp_path / "whole.mp4", pieces, fps, sound, {"comment": "joined"})
    whole = open_clip(tmp_path / "whole.mp4")
    assert (whole.fps, whole.frame_count) == (fps, 40)
    assert read_numbers(whole.frames(0, 40)) == list(range(40))
    counts = (17, 1, 22)
    apart = [open_clip(p).frames(0, n) for p, n in zip(pieces, counts, strict=True)]
    assert torch.equal(whole.frames(0, 40), torch.cat(apart))
    assert torch.allclose(whole.times(), torch.arange(40).double() / float(fps), atol=1e-4)
    assert first_click(read_audio(tmp_path / "whole.mp4")) == pytest.approx(0.5, abs=2e-3)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_a_broken_piece_leaves_what_was_there(tmp_path):
    (tmp_path / "out.mp4").write_bytes(b"before")
    (tmp_path / "piece.mp4").write_bytes(b"no video")
    with pytest.raises(MediaError, match="cannot be written"):
        join_clips(tmp_path / "out.mp4", [tmp_path / "piece.mp4"], Fraction(25))
    assert (tmp_path / "out.mp4").read_bytes() == b"before"
    assert len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError, match="at least one"):
        join_clips(tmp_path / "out.mp4", [], Fraction(25))


def add(store: PieceStore, name: str, size: int = 10) -> None:
    with store.adding(name) as part:
        part.write_bytes(bytes(size))


def test_a_piece_is_found_only_once_it_is_finished(tmp_path):
    store = PieceStore(tmp_path / "pieces")
    assert store.find(f"{JOB}-0") is None
    with pytest.raises(RuntimeError), store.adding(f"{JOB}-0") as part:
        part.write_bytes(b"half")
        raise RuntimeError
    assert store.find(f"{JOB}-0") is None
    assert list(store.folder.iterdir()) == []
    add(store, f"{JOB}-0")
    assert store.find(f"{JOB}-0") is not None


def test_the_pieces_unused_for_longest_make_room(tmp_path):
    store = PieceStore(tmp_path, capacity=35)
    for number in range(3):
        add(store, f"{JOB}-{number}")
    assert store.find(f"{JOB}-0") is not None
    add(store, f"{JOB}-3")
    assert [store.find(f"{JOB}-{n}") is not None for n in range(4)] == [True, False, True, True]
    add(store, f"{JOB}-4", size=100)
    assert [path.stem for path in tmp_path.iterdir()] == [f"{JOB}-4"]


def test_discarding_a_job_leaves_the_others(tmp_path):
    store, other = PieceStore(tmp_path), "f" * 16
    for name in (f"{JOB}-0", f"{JOB}-1", f"{other}-0"):
        add(store, name)
    store.discard(JOB)
    assert [path.stem for path in tmp_path.iterdir()] == [f"{other}-0"]


@pytest.mark.parametrize("name", ["../outside-0", "abc", f"{JOB}-0/../x", "", f"{JOB}-0.mp4"])
def test_a_name_cannot_lead_out_of_the_folder(tmp_path, name):
    with pytest.raises(ValueError, match="no name of a piece"):
        PieceStore(tmp_path).find(name)
