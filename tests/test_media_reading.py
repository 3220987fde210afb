"""Video files as clips: which frame, which way up, which colour, how much memory."""

import os
import random
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from synthetic_media import (
    QUARTER_TURNS,
    RATES,
    clicks,
    first_click,
    numbered_frames,
    read_numbers,
    set_display_matrix,
    set_edit,
    write_numbered_video,
)

from lipsync_core.errors import MediaError
from lipsync_core.media import decoding
from lipsync_core.media.decoding import PictureDecoder
from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.fitting import fit_clip

THREADS = Path("/proc/self/task")


@pytest.fixture
def starts(monkeypatch) -> list[int]:
    """The keyframes at which decoding was begun anew."""
    begun: list[int] = []
    seek = PictureDecoder._seek
    monkeypatch.setattr(
        PictureDecoder,
        "_seek",
        lambda self, keyframe: (begun.append(keyframe), seek(self, keyframe)),
    )
    return begun


@pytest.mark.parametrize(
    ("fps", "suffix"),
    [*((fps, "mp4") for fps in RATES), *((fps, "mkv") for fps in RATES), (RATES[2], "ts"),
     (RATES[0], "mov")],
    ids=str,
)  # fmt: skip
def test_every_frame_of_a_constant_rate_comes_once_and_in_order(tmp_path, fps, suffix):
    clip = open_clip(write_numbered_video(tmp_path / f"clip.{suffix}", 40, fps))
    assert (clip.fps, clip.frame_count, clip.height, clip.width) == (fps, 40, 48, 80)
    assert read_numbers(clip.frames(0, 40)) == list(range(40))
    assert clip.audio() is None


def test_frames_in_any_order_are_the_frames_of_one_pass(tmp_path, monkeypatch):
    monkeypatch.setattr(decoding, "_REMEMBERED_BYTES", 0)
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 60))
    whole = clip.frames(0, 60)
    places = list(range(60))
    random.Random(0).shuffle(places)
    for start in places[:25]:
        stop = min(60, start + 5)
        assert torch.equal(clip.frames(start, stop), whole[start:stop])


def test_reading_on_never_seeks_and_going_back_decodes_in_blocks(tmp_path, starts, monkeypatch):
    monkeypatch.setattr(decoding, "_REMEMBERED_BYTES", 40 * 48 * 128 * 1.5)
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 112, gop=28))
    for start in range(0, 112, 16):
        clip.frames(start, start + 16)
    assert starts == [0]
    for start in range(104, -1, -8):
        clip.frames(start, start + 8)
    assert 2 <= len(starts) <= 6  # 14 blocks, and room for about 40 pictures


def test_overlapping_windows_are_remembered(tmp_path, starts):
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 60))
    for start in range(0, 44, 4):
        assert read_numbers(clip.frames(start, start + 16)) == list(range(start, start + 16))
    assert starts == [0]


def test_opening_decodes_one_picture_only(tmp_path, monkeypatch):
    path = write_numbered_video(tmp_path / "clip.mp4", 100)
    asked = []
    picture = PictureDecoder.picture
    monkeypatch.setattr(
        PictureDecoder, "picture", lambda self, k: (asked.append(k), picture(self, k))[1]
    )
    open_clip(path)
    assert asked == [0]


def test_a_file_in_memory_reads_like_one_on_disk(tmp_path):
    path = write_numbered_video(tmp_path / "clip.mp4", 20, audio=clicks([0.3], 0.8))
    held = open_clip(BytesIO(path.read_bytes()))
    clip = open_clip(path)
    assert torch.equal(held.frames(3, 9), clip.frames(3, 9))
    sound, expected = held.audio(), clip.audio()
    assert sound and expected and torch.equal(sound.waveform, expected.waveform)
    assert torch.equal(held.frames(9, 12), clip.frames(9, 12))


def test_a_closed_clip_opens_again(tmp_path):
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 20))
    clip.close()
    assert read_numbers(clip.frames(5, 8)) == [5, 6, 7]


def test_frames_outside_are_refused(tmp_path):
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 10))
    for start, stop in ((-1, 3), (0, 11), (5, 4)):
        with pytest.raises(ValueError):
            clip.frames(start, stop)
    assert clip.frames(4, 4).shape == (0, 48, 80, 3)


@pytest.mark.parametrize("size", [(47, 81), (48, 81), (47, 80)], ids=str)
def test_odd_sizes_are_kept(tmp_path, size):
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 5, size=size))
    assert clip.frames(0, 5).shape == (5, *size, 3)
    assert read_numbers(clip.frames(0, 5)) == list(range(5))


@pytest.mark.parametrize("degrees", QUARTER_TURNS)
def test_turned_pictures_come_upright(tmp_path, degrees):
    path = write_numbered_video(tmp_path / "clip.mp4", 4)
    stored = open_clip(path).frames(0, 4)
    clip = open_clip(set_display_matrix(path, *QUARTER_TURNS[degrees]))
    turned = torch.rot90(stored, -degrees // 90, (1, 2))
    assert (clip.height, clip.width) == turned.shape[1:3]
    assert torch.equal(clip.frames(0, 4), turned)


def test_mirrored_pictures_are_mirrored(tmp_path):
    path = write_numbered_video(tmp_path / "clip.mp4", 4)
    stored = open_clip(path).frames(0, 4)
    assert torch.equal(
        open_clip(set_display_matrix(path, -1, 0, 0, 1)).frames(0, 4), stored.flip(2)
    )


def test_a_variable_rate_is_laid_on_a_grid(tmp_path):
    stamps = [0, 40, 80, 120, 200, 240, 280, 360, 400, 440]  # 160 and 320 are missing
    path = write_numbered_video(
        tmp_path / "clip.mkv", 10, stamps=stamps, time_base=Fraction(1, 1000), b_frames=0
    )
    clip = open_clip(path)
    assert clip.fps == 25
    assert read_numbers(clip.frames(0, 12)) == [0, 1, 2, 3, 3, 4, 5, 6, 6, 7, 8, 9]


def test_start_and_duration_trim_by_whole_frames(tmp_path):
    path = write_numbered_video(tmp_path / "clip.mp4", 60, Fraction(30), audio=clicks([1.0], 2.0))
    clip = open_clip(path, start=0.5, duration=1.0)
    assert clip.frame_count == 30
    assert read_numbers(clip.frames(0, 3)) == [15, 16, 17]
    assert read_numbers(clip.frames(29, 30)) == [44]
    sound = clip.audio()
    assert sound and sound.duration == pytest.approx(1.0)
    assert first_click(sound) == pytest.approx(0.5, abs=5e-4)
    assert open_clip(path, start=1.5, duration=9.0).frame_count == 15
    with pytest.raises(MediaError, match=r"2\.00 s long"):
        open_clip(path, start=2.0)


def test_an_edit_list_trims_without_touching_the_data(tmp_path):
    path = write_numbered_video(tmp_path / "clip.mp4", 40, b_frames=0, gop=40)
    ticks = av.open(str(path)).streams.video[0].time_base.denominator // 25
    clip = open_clip(set_edit(path, 7 * ticks, 20 * 40))
    numbers = read_numbers(clip.frames(0, clip.frame_count))
    assert numbers == list(range(7, 27))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize(("late", "click"), [(10, 1.0), (0, 0.7)])
def test_sound_is_aligned_to_the_first_picture(tmp_path, suffix, late, click):
    stamps = [late + i for i in range(40)]
    path = write_numbered_video(
        tmp_path / f"clip.{suffix}", 40, stamps=stamps, time_base=Fraction(1, 25),
        audio=clicks([click], 2.5),
    )  # fmt: skip
    clip = open_clip(path)
    assert clip.fps == 25 and read_numbers(clip.frames(0, 3)) == [0, 1, 2]
    sound = clip.audio()
    assert sound and sound.duration == pytest.approx(1.6)
    assert first_click(sound) == pytest.approx(click - late / 25, abs=1e-3)


def test_sound_that_begins_late_is_padded(tmp_path):
    path = write_numbered_video(
        tmp_path / "clip.mp4", 40, audio=clicks([0.2], 0.6), audio_start=0.5
    )
    sound = open_clip(path).audio()
    assert sound and sound.duration == pytest.approx(1.6)
    assert first_click(sound) == pytest.approx(0.7, abs=1e-3)
    assert not sound.waveform[: int(0.45 * 48000)].any()


def test_sound_is_shared_while_it_is_held_and_let_go_after(tmp_path):
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 10, audio=clicks([0.1], 0.4)))
    first = clip.audio()
    assert clip.audio() is first
    kept = clip._audio
    del first
    assert kept and kept() is None


def coded(rgb: np.ndarray, kr: float, kb: float, full: bool) -> np.ndarray:
    """3 h w uint8: R'G'B' in [0, 1] to Y'CbCr (ITU-T H.273, equations 38 to 41 and 23 to 31)."""
    red, green, blue = np.moveaxis(rgb, -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    planes = [luma, (blue - luma) / (2 - 2 * kb), (red - luma) / (2 - 2 * kr)]
    scale, offset = ((255, 255), (0, 128)) if full else ((219, 224), (16, 128))
    return np.stack(
        [np.clip(np.rint(p * scale[k > 0] + offset[k > 0]), 0, 255) for k, p in enumerate(planes)]
    ).astype(np.uint8)


BT601, BT709 = (0.299, 0.114), (0.2126, 0.0722)


@pytest.mark.parametrize(
    ("matrix", "tag", "full", "height"),
    [
        (BT601, 6, False, 64), (BT601, 5, True, 64), (BT709, 1, False, 64), (BT709, 1, True, 64),
        (BT601, 2, False, 64), (BT709, 2, False, 720),
    ],
)  # fmt: skip
def test_matrix_and_range_are_honoured(tmp_path, matrix, tag, full, height):
    generator = np.random.default_rng(1)
    blocks = generator.uniform(0.05, 0.95, (height // 16, 6, 3))
    rgb = blocks.repeat(16, 0).repeat(16, 1)
    frame = av.VideoFrame.from_ndarray(coded(rgb, *matrix, full), "yuv444p")
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = height, 96, "yuv444p"
        stream.options = {"qp": "0", "preset": "ultrafast"}
        stream.codec_context.colorspace = tag
        stream.codec_context.color_range = 2 if full else 1
        frame.colorspace, frame.color_range = tag, 2 if full else 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    picture = open_clip(path).frames(0, 1)[0].numpy()
    assert np.abs(picture - rgb).max() <= 2 / 255


def test_bytes_come_back_from_floats(tmp_path):
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 3))
    frames = clip.frames(0, 3)
    bytes_ = (frames * 255).round()
    assert frames.dtype == torch.float32
    assert torch.equal(bytes_.to(torch.uint8).float() / 255, frames)
    every = torch.arange(256, dtype=torch.uint8).numpy()
    assert (np.rint(every / np.float32(255) * 255) == every).all()


def test_more_than_eight_bits_are_kept(tmp_path):
    ramp = np.arange(400, 464, dtype=np.uint16)
    planes = np.stack([np.tile(ramp, (16, 1)), *(np.full((16, 64), 512, np.uint16),) * 2])
    frame = av.VideoFrame(64, 16, "yuv444p10le")
    for plane, values in zip(frame.planes, planes, strict=True):
        rows = np.zeros((16, plane.line_size // 2), np.uint16)
        rows[:, :64] = values
        plane.update(rows.tobytes())
    path = tmp_path / "deep.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = 16, 64, "yuv444p10le"
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    grey = open_clip(path).frames(0, 1)[0, 8, :, 1]
    expected = torch.from_numpy((ramp.astype(np.float32) - 64) / 876)
    assert (grey - expected).abs().max() < 0.25 / 876


def test_a_long_video_does_not_fill_memory(tmp_path, monkeypatch):
    if not Path("/proc/self/statm").exists():
        pytest.skip("the memory in use is read from /proc")

    def mebibytes() -> float:
        return (
            int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20
        )

    monkeypatch.setattr(decoding, "_REMEMBERED_BYTES", 4 * 2**20)
    path = write_numbered_video(tmp_path / "long.mp4", 300, size=(180, 320), gop=60)
    clip = fit_clip(open_clip(path), 24.0, "ping-pong")
    used = []
    for start in range(0, 600, 8):
        frames = clip.frames(start, start + 8)
        used.append(mebibytes())
    assert len(frames) == 8
    # All 600 frames are 415 MB as floats.
    assert max(used) - min(used[10:]) < 40


def test_numbers_survive(tmp_path):
    assert read_numbers(numbered_frames(1024)) == list(range(1024))


@pytest.mark.skipif(not THREADS.exists(), reason="threads are counted in /proc")
def test_remembered_frames_keep_no_threads(tmp_path):
    """Nor tables: what turns frames into RGB is the clip's, not each frame's."""
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 80, size=(480, 640)))
    clip.frames(0, 5)
    before = len(list(THREADS.iterdir()))
    clip.frames(5, 80)
    assert len(list(THREADS.iterdir())) < before + 8
