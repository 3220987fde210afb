"""Writing a clip: exact, in sync, whole or not at all."""

from fractions import Fraction
from itertools import pairwise
from os import environ
from pathlib import Path
from subprocess import run
from sys import executable

import av
import numpy as np
import pytest
import torch
from synthetic_media import (
    RATES,
    clicks,
    first_click,
    numbered_frames,
    read_numbers,
)

from lipsync_core.errors import MediaError
from lipsync_core.media.audio_file import read_audio
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.writing import ClipWriter, write_clip
from lipsync_core.types import Audio


class Cancelled(BaseException):
    """What a progress callback may raise."""


def write(path: Path, count: int = 12, fps=Fraction(25), size=(48, 80), **settings) -> Path:
    frames = numbered_frames(count, *size)
    write_clip(path, frames.split(5), fps, *size, **settings)
    return path


@pytest.mark.parametrize("fps", [*RATES, Fraction(2997, 100), Fraction(1199, 50)], ids=str)
def test_rate_count_and_order_are_exact(tmp_path, fps):
    clip = open_clip(write(tmp_path / "clip.mp4", 31, fps))
    assert (clip.fps, clip.frame_count) == (fps, 31)
    assert read_numbers(clip.frames(0, 31)) == list(range(31))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.average_rate, stream.frames) == (fps, 31)
        assert stream.time_base is not None and stream.start_time == 0
        stamps = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        assert {b - a for a, b in pairwise(stamps)} == {1 / fps / stream.time_base}


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000])
@pytest.mark.parametrize("duration", [0.4, 1.0333])
def test_sound_starts_and_ends_where_it_should(tmp_path, rate, duration):
    sound = clicks([0.0, 0.3], duration, rate)
    path = write(tmp_path / "clip.mp4", 25, audio=sound)
    heard = read_audio(path)
    assert heard.sample_rate == rate
    assert 0 <= len(heard.waveform) - len(sound.waveform) < 1024
    assert first_click(heard) <= 1e-3
    later = Audio(heard.waveform[rate // 10 :], rate)
    assert first_click(later) == pytest.approx(0.2, abs=1e-3)
    beside = open_clip(path).audio()
    assert beside and torch.equal(
        beside.waveform[: len(heard.waveform)], heard.waveform[: len(beside.waveform)]
    )


def test_sound_at_a_rate_that_aac_lacks_is_raised_to_one_it_has(tmp_path):
    heard = read_audio(write(tmp_path / "clip.mp4", audio=clicks([0.2], 0.5, 10000)))
    assert heard.sample_rate == 11025
    assert first_click(heard) == pytest.approx(0.2, abs=1e-3)


def test_pictures_and_sound_go_to_the_disk_as_they_come(tmp_path):
    """The muxer holds pictures back until sound of the same time is there."""
    generator = torch.Generator().manual_seed(0)
    with ClipWriter(tmp_path / "clip.mp4", Fraction(25), 96, 160, clicks([0.1], 10.0)) as writer:
        for _ in range(20):
            writer.write(torch.rand(10, 96, 160, 3, generator=generator))
        (part,) = tmp_path.iterdir()
        before = part.stat().st_size
    assert before > 0.4 * (tmp_path / "clip.mp4").stat().st_size


@pytest.mark.parametrize("size", [(47, 81), (48, 81), (47, 80), (2, 2), (1, 1)], ids=str)
def test_any_size_is_written_at_that_size(tmp_path, size):
    path = tmp_path / "clip.mp4"
    write_clip(path, [torch.full((3, *size, 3), 0.5)], Fraction(25), *size)
    clip = open_clip(path)
    assert (clip.height, clip.width, clip.frame_count) == (*size, 3)
    assert (clip.frames(0, 3) - 0.5).abs().max() <= 2 / 255


def test_even_sizes_are_what_every_player_shows(tmp_path):
    with av.open(str(write(tmp_path / "clip.mp4"))) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")


def test_colours_keep_their_levels_and_are_tagged(tmp_path):
    generator = np.random.default_rng(0)
    blocks = torch.from_numpy(generator.uniform(0, 1, (6, 8, 3)).astype(np.float32))
    picture = blocks.repeat_interleave(16, 0).repeat_interleave(16, 1)
    picture[:16, :16] = 0.0
    picture[:16, 16:32] = 1.0
    path = tmp_path / "clip.mp4"
    write_clip(path, [picture.expand(3, -1, -1, -1)], Fraction(25), 96, 128)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.color_range, context.colorspace) == (1, 1)
        assert (context.color_primaries, context.color_trc) == (1, 1)
    back = open_clip(path).frames(1, 2)[0]
    for row in range(6):
        for column in range(8):
            inner = (slice(16 * row + 4, 16 * row + 12), slice(16 * column + 4, 16 * column + 12))
            error = back[inner].mean((0, 1)) - picture[inner].mean((0, 1))
            assert error.abs().max() <= 2.5 / 255  # one step of Cb is 2.1 of blue


def test_copies_of_copies_neither_fade_nor_drift(tmp_path):
    generator = np.random.default_rng(0)
    coarse = torch.from_numpy(generator.uniform(0.2, 0.8, (1, 3, 8, 12)).astype(np.float32))
    smooth = torch.nn.functional.interpolate(coarse, (64, 96), mode="bicubic").clamp(0, 1)
    copies = [smooth.permute(0, 2, 3, 1).repeat(3, 1, 1, 1)]
    for generation in range(4):
        path = tmp_path / f"{generation}.mp4"
        write_clip(path, [copies[-1]], Fraction(25), 64, 96)
        copies.append(open_clip(path).frames(0, 3))
    assert (copies[4] - copies[0]).mean((0, 1, 2)).abs().max() < 0.5 / 255
    assert (copies[1] - copies[0]).square().mean().sqrt() < 4 / 255
    assert (copies[4] - copies[1]).square().mean().sqrt() < 1 / 255


def test_tags_are_in_the_file(tmp_path):
    path = write(tmp_path / "clip.mp4", tags={"comment": "AI-edited by LipStyle", "title": "Ünï"})
    with av.open(str(path)) as container:
        assert container.metadata["comment"] == "AI-edited by LipStyle"
        assert container.metadata["title"] == "Ünï"
    with pytest.raises(ValueError, match="workflow"):
        write(path, tags={"workflow": "{}"})


@pytest.mark.parametrize("when", [0, 3])
def test_cancelling_leaves_nothing_and_keeps_the_older_file(tmp_path, when):
    path = tmp_path / "clip.mp4"

    def frames():
        for chunk in range(6):
            if chunk == when:
                raise Cancelled
            yield numbered_frames(10)

    for older in (None, b"older"):
        if older:
            path.write_bytes(older)
        with pytest.raises(Cancelled):
            write_clip(path, frames(), Fraction(25), 48, 80, clicks([0.1], 3.0))
        assert [p.name for p in tmp_path.iterdir()] == (["clip.mp4"] if older else [])
    assert path.read_bytes() == b"older"


def test_a_finished_clip_replaces_the_older_file_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"older")
    write(path)
    assert list(tmp_path.iterdir()) == [path]
    assert open_clip(path).frame_count == 12


def test_a_clip_may_replace_the_file_it_is_made_of(tmp_path):
    path = write(tmp_path / "clip.mp4", 20)
    clip = open_clip(path)
    chunks = (clip.frames(at, at + 5) for at in range(0, 20, 5))
    write_clip(path, chunks, clip.fps, clip.height, clip.width)
    assert read_numbers(open_clip(path).frames(0, 20)) == list(range(20))


def test_no_frames_make_no_file(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        write_clip(tmp_path / "clip.mp4", [], Fraction(25), 48, 80)
    assert not list(tmp_path.iterdir())


def test_frames_of_another_size_are_refused(tmp_path):
    with pytest.raises(ValueError, match="80 x 50"):
        write_clip(tmp_path / "clip.mp4", [numbered_frames(3, 50, 80)], Fraction(25), 48, 80)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_said_before_any_work(tmp_path):
    with (
        pytest.raises(MediaError, match="folder"),
        ClipWriter(tmp_path / "nowhere" / "clip.mp4", Fraction(25), 48, 80),
    ):
        pytest.fail("the writer must not open")


@pytest.mark.parametrize("limit", [0, 20_000, 300_000])
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, limit):
    """A limit on the size of files stands in for the disk: writes fail the same way."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "clip.mp4"
    path.write_bytes(b"older")
    frames = (torch.rand(5, 96, 128, 3) for _ in range(16))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(MediaError, match="disk is full"):
            write_clip(path, frames, Fraction(25), 96, 128, clicks([0.1], 3.2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [p.name for p in tmp_path.iterdir()] == ["clip.mp4"]
    assert path.read_bytes() == b"older"


WRITES = """
import sys; from fractions import Fraction; from pathlib import Path; import torch
from lipsync_core.media.writing import write_clip
frames = torch.rand(30, 72, 90, 3, generator=torch.Generator().manual_seed(0))
frames = torch.nn.functional.interpolate(frames.movedim(-1, 1), (288, 360)).movedim(1, -1)
write_clip(Path(sys.argv[1]), [frames], Fraction(25), 288, 360, repeatable=True)
"""


def test_a_repeatable_file_does_not_depend_on_what_was_in_memory(tmp_path):
    """glibc fills fresh memory with a byte of our choice; elsewhere the files are merely alike."""
    for byte in ("0", "85"):
        run([executable, "-c", WRITES, tmp_path / byte], check=True, cwd=Path(__file__).parents[1],
            env=environ | {"MALLOC_PERTURB_": byte})  # fmt: skip
    first, second = (path.read_bytes() for path in tmp_path.iterdir())
    assert first == second


@pytest.mark.shared
def test_a_real_clip_written_again_stays_itself(tmp_path, shared):
    source = open_clip(min((shared / "data" / "grid_s1" / "clips").glob("*.mp4")), duration=1.0)
    frames = source.frames(0, source.frame_count)
    write_clip(tmp_path / "again.mp4", [frames], source.fps, source.height, source.width)
    again = open_clip(tmp_path / "again.mp4").frames(0, source.frame_count)
    error = (again - frames).square().mean()
    assert -10 * torch.log10(error) > 42
