"""After a crash the finished pieces of a re-spoken video are not made again."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from test_pipeline import models, speech, talking_clip

from lipsync_core import resuming
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.piece_store import PieceStore
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.pipeline import LipSync, LipSyncSettings, lip_sync
from lipsync_core.resuming import job_of, write_resumably
from lipsync_core.types import PictureCoding

COUNT = 25


@cache
def work(seed: int = 0) -> LipSync:
    return lip_sync(models(), talking_clip(), speech(1.0), LipSyncSettings(seed=seed))


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch):
    monkeypatch.setattr(resuming, "PIECE_SECONDS", 0.4)


class Crash(Exception):
    pass


def crash_at(frame: int):
    def watch(frames, before: int):
        for chunk in frames:
            for picture in chunk.split(1):
                if before == frame:
                    raise Crash
                before += 1
                yield picture

    return watch


def counting(made: list[int]):
    def watch(frames, before: int):
        for chunk in frames:
            made.extend(range(before, before + len(chunk)))
            before += len(chunk)
            yield chunk

    return watch


def test_only_what_was_not_finished_is_made_again(tmp_path):
    store, out, made = PieceStore(tmp_path / "pieces"), tmp_path / "out.mp4", []
    with pytest.raises(Crash):
        write_resumably(out, work(), store, job_of(work(), "a"), crash_at(14))
    assert not out.exists()
    write_resumably(out, work(), store, job_of(work(), "a"), counting(made))
    assert made == list(range(10, COUNT))
    whole, truth = open_clip(out), torch.cat(list(work().frames()))
    assert (whole.frame_count, whole.fps) == (COUNT, work().clip.fps)
    assert (whole.frames(0, COUNT) - truth).abs().mean() < 0.02
    assert whole.audio() is not None
    # The whole is there: its pieces are not needed any more.
    assert list(store.folder.iterdir()) == []


def test_whatever_decides_the_pictures_decides_the_job():
    same = job_of(work(), "a")
    assert same == job_of(lip_sync(models(), talking_clip(), speech(1.0), LipSyncSettings()), "a")
    changed = replace(work().motion, coefficients=work().motion.coefficients + 1e-3)
    others = [
        job_of(work(), "b"),
        job_of(work(seed=1), "a"),
        job_of(replace(work(), motion=changed), "a"),
    ]
    assert len({same, *others}) == 4


@pytest.mark.parametrize("coding", [PictureCoding(5, 6, 6), PictureCoding(9, 9, 18, True, True)])
def test_joined_pieces_are_coded_as_the_video_was(tmp_path, coding):
    clip = TensorClip(work().clip.frames(0, COUNT), work().clip.fps)
    clip.coding = coding
    coded = replace(work(), clip=clip)
    assert job_of(coded, "a") != job_of(work(), "a")
    write_resumably(tmp_path / "out.mp4", coded, PieceStore(tmp_path / "p"), job_of(coded, "a"))
    whole = open_clip(tmp_path / "out.mp4")
    assert (whole.coding, whole.frame_count) == (coding, COUNT)
