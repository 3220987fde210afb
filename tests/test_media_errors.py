"""Files that are no video, or only a part of one: a clear sentence each."""

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import pytest
from synthetic_media import clicks, mux_sound, read_numbers, write_numbered_video, write_sound

from lipsync_core.errors import MediaError
from lipsync_core.media.file_clip import open_clip


def cut_off(path: Path, share: float) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MediaError, match=r"no file at .*nothing\.mp4"):
        open_clip(tmp_path / "nothing.mp4")
    with pytest.raises(MediaError, match="no file"):
        open_clip(tmp_path)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.txt", "notes.m3u8"])
@pytest.mark.parametrize(
    "content", [b"", b"just some words\n" * 40, bytes(range(256)) * 20, b"#EXTM3U\nclip.mp4\n"]
)
def test_a_file_that_is_no_video_is_named(tmp_path, name, content):
    write_numbered_video(tmp_path / "clip.mp4", 5)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MediaError, match=name):
        open_clip(tmp_path / name)


def test_bytes_that_are_no_video_are_refused():
    with pytest.raises(MediaError, match="in memory"):
        open_clip(BytesIO(b"just some words" * 100))


def test_sound_alone_is_no_video(tmp_path):
    with pytest.raises(MediaError, match="no video track"):
        open_clip(write_sound(tmp_path / "speech.m4a", clicks([0.1], 0.5), "aac"))


def test_the_cover_of_a_song_is_no_video(tmp_path):
    path = tmp_path / "song.mp3"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=16000, layout="mono")
        cover = container.add_stream("png", rate=25)
        cover.width = cover.height = 16
        cover.pix_fmt = "rgb24"
        container.mux(cover.encode(av.VideoFrame(16, 16, "rgb24")))
        container.mux(cover.encode(None))
        mux_sound(container, sound, clicks([0.01], 0.2, 16000))
    with pytest.raises(MediaError, match="no video track"):
        open_clip(path)


def test_an_mp4_without_its_index_says_so(tmp_path):
    path = cut_off(write_numbered_video(tmp_path / "clip.mp4", 50), 0.6)
    with pytest.raises(MediaError, match="moov"):
        open_clip(path)
    with pytest.raises(MediaError, match="moov"):
        open_clip(BytesIO(path.read_bytes()))


def test_an_mp4_that_is_cut_off_counts_what_is_left(tmp_path):
    path = cut_off(write_numbered_video(tmp_path / "clip.mp4", 50, faststart=True), 0.7)
    with pytest.raises(MediaError, match=r"clip\.mp4 is cut off or damaged: \d+ of 50 frames"):
        open_clip(path)


def test_a_track_without_frames_is_refused(tmp_path):
    path = tmp_path / "empty.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
    with pytest.raises(MediaError, match=r"empty\.mkv"):
        open_clip(path)


def test_a_bare_stream_is_told_what_it_lacks(tmp_path):
    with pytest.raises(MediaError, match="time stamps"):
        open_clip(write_numbered_video(tmp_path / "clip.h264", 5))


def test_a_damaged_stretch_is_bridged_or_named_never_a_crash(tmp_path):
    path = write_numbered_video(tmp_path / "clip.mp4", 60, gop=10, b_frames=0)
    data = bytearray(path.read_bytes())
    begin = data.index(b"mdat") + 4
    middle = begin + (data.index(b"moov") - begin) // 2
    data[middle : middle + 60] = bytes(60)
    path.write_bytes(data)
    clip = open_clip(path)
    numbers = read_numbers(clip.frames(0, 60))
    assert numbers[:20] == list(range(20)) and numbers[-10:] == list(range(50, 60))


def test_pictures_that_cannot_be_decoded_are_named_by_their_time(tmp_path):
    path = write_numbered_video(tmp_path / "clip.mp4", 100, gop=1, b_frames=0)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for position, size in packets[40:]:
        assert position is not None
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
    clip = open_clip(path)
    assert read_numbers(clip.frames(0, 40)) == list(range(40))
    with pytest.raises(MediaError, match=r"from 1\.60 to"):
        clip.frames(90, 100)


def test_nonsense_arguments_are_refused(tmp_path):
    path = write_numbered_video(tmp_path / "clip.mp4", 5)
    for start, duration in ((-1.0, None), (0.0, 0.0), (0.0, -2.0)):
        with pytest.raises(ValueError):
            open_clip(path, start, duration)


def test_names_with_colons_and_percents_are_only_names(tmp_path):
    path = write_numbered_video(tmp_path / "plain.mp4", 5)
    odd = path.rename(tmp_path / "file:take %03d, 100%.mp4")
    assert open_clip(odd).frame_count == 5


def test_a_clip_of_one_frame_is_a_clip(tmp_path):
    clip = open_clip(write_numbered_video(tmp_path / "clip.mp4", 1, Fraction(30)))
    assert (clip.frame_count, clip.fps) == (1, 30)
