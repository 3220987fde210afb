"""Levels, bits and colour tags: what a file holds is read right, and written back the same."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from lipsync_core.media.file_clip import open_clip
from lipsync_core.media.fitting import fit_clip
from lipsync_core.media.tensor_clip import TensorClip
from lipsync_core.media.trimming import trim_clip
from lipsync_core.media.writing import write_clip
from lipsync_core.types import Clip, PictureCoding

HEIGHT, WIDTH = 96, 128
LUMA_WEIGHTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
"""Of red and blue: ITU-R BT.709, BT.601 and BT.2020."""
SOURCES = {
    "H.264": ("libx264", "yuv420p", ".mp4", {"crf": "2", "preset": "ultrafast"}),
    "H.264 10 bit": ("libx264", "yuv420p10le", ".mp4", {"crf": "2", "preset": "ultrafast"}),
    "HEVC 10 bit": (
        "libx265", "yuv420p10le", ".mp4",
        {"crf": "2", "preset": "ultrafast", "x265-params": "log-level=none:pools=1"},
    ),
    "AV1 10 bit": ("libsvtav1", "yuv420p10le", ".mp4", {"crf": "5", "preset": "10"}),
    "VP9": ("libvpx-vp9", "yuv420p", ".webm", {"crf": "2", "b:v": "0", "cpu-used": "8"}),
    "ProRes": ("prores_ks", "yuv422p10le", ".mov", {}),
    "FFV1 16 bit": ("ffv1", "yuv420p16le", ".mkv", {}),
}  # fmt: skip


def picture() -> Float[np.ndarray, "h w 3"]:
    """Blocks of any colour, black, white and grey among them, above a ramp."""
    blocks = np.random.default_rng(0).uniform(0.1, 0.9, (6, 8, 3))
    blocks[0, :3] = [[0.0], [1.0], [0.5]]
    rgb = blocks.repeat(16, 0).repeat(16, 1)
    rgb[80:] = np.linspace(0, 1, WIDTH)[None, :, None]
    return rgb


def inner() -> np.ndarray:
    """Away from the edges of the blocks, where chroma is mixed."""
    where = np.zeros((HEIGHT, WIDTH), bool)
    where[:80] = np.kron(np.ones((5, 8), bool), np.pad(np.ones((8, 8), bool), 4))
    where[86:90] = True
    return where


def stored(pixel_format: str, coding: PictureCoding) -> list[np.ndarray]:
    """The picture's planes by the standard's own formulas (ISO/IEC 23091-2, 8.3)."""
    bits = 16 if "16" in pixel_format else 10 if "10" in pixel_format else 8
    red, blue = LUMA_WEIGHTS[coding.matrix]
    r, g, b = np.moveaxis(picture(), -1, 0)
    luma = red * r + (1 - red - blue) * g + blue * b
    chroma = np.stack([(b - luma) / (2 - 2 * blue), (r - luma) / (2 - 2 * red)])
    chroma = chroma.reshape(2, HEIGHT, WIDTH // 2, 2).mean(-1)
    if "420" in pixel_format:
        chroma = chroma.reshape(2, HEIGHT // 2, 2, WIDTH // 2).mean(2)
    unit = 1 << (bits - 8)
    if coding.full_range:
        planes = [luma * (256 * unit - 1), *(chroma * (256 * unit - 1) + 128 * unit)]
    else:
        planes = [(16 + 219 * luma) * unit, *((128 + 224 * chroma) * unit)]
    kind = np.uint8 if bits == 8 else np.uint16
    return [np.round(plane).clip(0, 256 * unit - 1).astype(kind) for plane in planes]


def make_file(folder: Path, source: str, coding: PictureCoding, tagged: bool = True) -> Path:
    codec, pixel_format, suffix, options = SOURCES[source]
    if codec not in av.codecs_available:
        pytest.skip(f"this FFmpeg cannot write {source}")
    path = folder / f"source{suffix}"
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        stream.options = options
        context = stream.codec_context
        if tagged:
            context.colorspace, context.color_range = coding.matrix, 1 + coding.full_range
            context.color_primaries, context.color_trc = coding.primaries, coding.transfer
        for number in range(3):
            frame = av.VideoFrame(WIDTH, HEIGHT, pixel_format)
            for plane, levels in zip(frame.planes, stored(pixel_format, coding), strict=True):
                lines = np.zeros((plane.height, plane.line_size // levels.itemsize), levels.dtype)
                lines[:, : plane.width] = levels
                plane.update(lines.tobytes())
            if tagged:
                frame.colorspace, frame.color_range = coding.matrix, 1 + coding.full_range
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def rewritten(clip: Clip, path: Path) -> Clip:
    frames = clip.frames(0, clip.frame_count)
    write_clip(path, [frames], clip.fps, clip.height, clip.width, coding=clip.coding)
    return open_clip(path)


def levels_off(frames: Tensor, truth: Tensor) -> tuple[float, float]:
    """Mean error, and the largest mean of one colour: noise, and a tint; levels of 255."""
    error = 255 * (frames - truth)[torch.from_numpy(inner())]
    return float(error.abs().mean()), float(error.mean(0).abs().max())


CODINGS = {
    "709": PictureCoding(),
    "709 full": PictureCoding(full_range=True),
    "601": PictureCoding(5, 5, 6),
    "601 full": PictureCoding(6, 6, 6, full_range=True),
    "2020 PQ": PictureCoding(9, 9, 16),
}
PAIRS = [
    *(("H.264", name) for name in CODINGS),
    *(("H.264 10 bit", name) for name in CODINGS),
    *((source, "709") for source in ("VP9", "ProRes", "AV1 10 bit")),
    *(("HEVC 10 bit", name) for name in ("2020 PQ", "601 full")),
    ("FFV1 16 bit", "709 full"),
]


@pytest.mark.parametrize(("source", "name"), PAIRS)
def test_an_untouched_video_keeps_its_levels_and_its_tags(tmp_path, source, name):
    coding = replace(CODINGS[name], deep="bit" in source or source == "ProRes")
    clip = open_clip(make_file(tmp_path, source, coding))
    if source == "ProRes":  # which holds no tags of its own
        coding = replace(coding, primaries=clip.coding.primaries, transfer=clip.coding.transfer)
    assert clip.coding == coding
    read = clip.frames(1, 2)[0]
    noise, tint = levels_off(read, torch.from_numpy(picture()).float())
    assert noise < 1 and tint < 0.3
    again = rewritten(clip, tmp_path / "again.mp4")
    assert again.coding == coding
    noise, tint = levels_off(again.frames(1, 2)[0], read)
    assert noise < 1 and tint < 0.3
    with av.open(str(tmp_path / "again.mp4")) as container:
        context = container.streams.video[0].codec_context
        assert context.name == "h264"
        assert "10" in (context.pix_fmt or "") if coding.deep else "10" not in str(context.pix_fmt)


def test_ten_bits_are_more_than_eight(tmp_path):
    """A slow ramp, as in a sky, keeps steps finer than a level of 255."""
    ramp = torch.linspace(0.3, 0.34, WIDTH)[None, None, :, None].expand(3, HEIGHT, WIDTH, 3)
    counts = {}
    for deep in (False, True):
        clip = TensorClip(ramp.contiguous(), Fraction(25))
        clip.coding = PictureCoding(deep=deep)
        row = rewritten(clip, tmp_path / f"{deep}.mp4").frames(1, 2)[0, HEIGHT // 2, :, 1]
        counts[deep] = len(row.unique())
    assert counts[False] <= 13 < 30 < counts[True]


def test_a_file_that_does_not_say_is_read_as_players_do_and_then_says(tmp_path):
    coding = PictureCoding(5)
    clip = open_clip(make_file(tmp_path, "H.264", coding, tagged=False))
    assert clip.coding == PictureCoding(5, 2, 2)
    noise, tint = levels_off(clip.frames(1, 2)[0], torch.from_numpy(picture()).float())
    assert noise < 1 and tint < 0.3
    assert rewritten(clip, tmp_path / "again.mp4").coding == clip.coding


def test_views_of_a_clip_are_stored_as_it_is(tmp_path):
    coding = PictureCoding(9, 9, 18, deep=True)
    clip = open_clip(make_file(tmp_path, "H.264 10 bit", coding))
    assert clip.coding == coding
    assert fit_clip(clip, 1.0, "loop").coding == coding
    assert trim_clip(clip, 0.04).coding == coding
    assert TensorClip(clip.frames(0, 2), clip.fps).coding == PictureCoding()


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("size", [(47, 81), (2, 2), (1, 1), (48, 81)], ids=str)
def test_any_size_is_written_deep_and_in_full_range(tmp_path, size, full_range):
    clip = TensorClip(torch.full((3, *size, 3), 0.4), Fraction(25))
    clip.coding = PictureCoding(full_range=full_range, deep=True)
    again = rewritten(clip, tmp_path / "clip.mp4")
    assert (again.height, again.width, again.coding) == (*size, clip.coding)
    assert (again.frames(0, 3) - 0.4).abs().max() <= 1 / 255


def test_copies_of_deep_copies_do_not_drift(tmp_path):
    coarse = torch.from_numpy(np.random.default_rng(0).uniform(0.2, 0.8, (1, 3, 8, 12))).float()
    smooth = torch.nn.functional.interpolate(coarse, (64, 96), mode="bicubic").clamp(0, 1)
    clip: Clip = TensorClip(smooth.permute(0, 2, 3, 1).repeat(3, 1, 1, 1), Fraction(25))
    clip.coding = PictureCoding(full_range=True, deep=True)
    first = clip.frames(0, 3)
    for generation in range(4):
        clip = rewritten(clip, tmp_path / f"{generation}.mp4")
    assert (clip.frames(0, 3) - first).mean((0, 1, 2)).abs().max() < 0.5 / 255
    assert (clip.frames(0, 3) - first).square().mean().sqrt() < 4 / 255
