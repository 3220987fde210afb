"""Small video and audio files whose truth is known: every picture carries its own number.

The files are made with PyAV alone, so that what reads them is tested against something else.
"""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lipsync_core.types import Audio

RATES = (
    Fraction(24000, 1001), Fraction(25), Fraction(30000, 1001), Fraction(30), Fraction(50),
    Fraction(60),
)  # fmt: skip
BITS = 10
"""A picture's number is written in this many upright bars, the lowest bit on the left."""
QUARTER_TURNS = {
    0: (1, 0, 0, 1),
    90: (0, 1, -1, 0),
    180: (-1, 0, 0, -1),
    270: (0, -1, 1, 0),
}
"""a, b, c, d of the display matrix that turns pictures clockwise by so many degrees."""

LAYOUTS = {1: "mono", 2: "stereo"}


def numbered_picture(number: int, height: int = 48, width: int = 80) -> np.ndarray:
    """uint8 h w 3: bars of dark or light grey; the upper half is darker, so up is known too."""
    bits = number >> np.minimum(np.arange(width) * BITS // width, BITS - 1) & 1
    picture = np.where(bits, 210, 60)[None, :, None].repeat(height, 0).repeat(3, 2)
    picture[: height // 2] -= 30
    return picture.astype(np.uint8)


def numbered_frames(
    count: int, height: int = 48, width: int = 80, first: int = 0
) -> Float[Tensor, "t h w 3"]:
    pictures = [numbered_picture(first + i, height, width) for i in range(count)]
    return torch.from_numpy(np.stack(pictures)).float() / 255


def read_number(picture: Float[Tensor, "h w 3"]) -> int:
    """The number of a picture as made by `numbered_picture`, after any lossy coding."""
    height, width = picture.shape[:2]
    centres = [int((bit + 0.5) * width / BITS) for bit in range(BITS)]
    bars = picture[height // 2 + 4 : height - 4].mean((0, 2))
    return sum(1 << bit for bit, x in enumerate(centres) if bars[x - 1 : x + 2].mean() > 0.5)


def read_numbers(frames: Float[Tensor, "t h w 3"]) -> list[int]:
    return [read_number(picture) for picture in frames]


def clicks(seconds: Sequence[float], duration: float, sample_rate: int = 48000) -> Audio:
    """Silence with a short burst at each of these times."""
    waveform = torch.zeros(round(duration * sample_rate))
    for second in seconds:
        at = round(second * sample_rate)
        waveform[at : at + 4] = 0.9
    return Audio(waveform, sample_rate)


def first_click(audio: Audio) -> float:
    """When the first burst of `clicks` begins, seconds."""
    heard = audio.waveform.abs() > 0.45
    return int(heard.int().argmax()) / audio.sample_rate


def tone(frequency: float, duration: float, sample_rate: int) -> Audio:
    seconds = torch.arange(round(duration * sample_rate)) / sample_rate
    return Audio(0.5 * torch.sin(2 * torch.pi * frequency * seconds), sample_rate)


def write_numbered_video(
    path: Path,
    count: int = 30,
    fps: Fraction = Fraction(25),
    stamps: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    size: tuple[int, int] = (48, 80),
    audio: Audio | None = None,
    audio_start: float = 0.0,
    gop: int = 12,
    b_frames: int = 2,
    faststart: bool = False,
) -> Path:
    """H.264 (and AAC) of numbered pictures, in the container that the path's suffix names.

    `stamps` (units of `time_base`) places the pictures freely; otherwise they are 1 / fps apart.
    """
    movflags = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=movflags) as container:
        video = container.add_stream("libx264", rate=fps)
        video.height, video.width = size
        video.pix_fmt = "yuv420p" if size[0] % 2 == size[1] % 2 == 0 else "yuv444p"
        video.options = {"crf": "18", "preset": "ultrafast", "bf": str(b_frames), "g": str(gop)}
        video.codec_context.time_base = time_base or 1 / fps
        sound = None
        if audio is not None:
            sound = container.add_stream("aac", rate=audio.sample_rate, layout="mono")
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(numbered_picture(number, *size), "rgb24")
            frame.pts = stamps[number] if stamps else number
            frame.time_base = time_base or 1 / fps
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None and sound is not None:
            mux_sound(container, sound, audio, audio_start)
    return path


def mux_sound(
    container: av.container.OutputContainer,
    stream: av.audio.stream.AudioStream,
    audio: Audio,
    start: float = 0.0,
    gains: Sequence[float] = (1.0,),
) -> None:
    """Encodes the whole sound, its first sample at `start` seconds; channel i times gain i."""
    wave = np.stack([audio.waveform.numpy() * gain for gain in gains]).astype(np.float32)
    layout, context = LAYOUTS[len(gains)], stream.codec_context
    frame = av.AudioFrame.from_ndarray(wave, "fltp", layout)
    frame.sample_rate = audio.sample_rate
    frame.pts, frame.time_base = round(start * audio.sample_rate), Fraction(1, audio.sample_rate)
    blocks = av.AudioResampler(
        context.format, layout, audio.sample_rate, context.frame_size or None
    )
    for block in (*blocks.resample(frame), *blocks.resample(None)):
        container.mux(stream.encode(block))
    container.mux(stream.encode(None))


def write_sound(path: Path, audio: Audio, codec: str, gains: Sequence[float] = (1.0,)) -> Path:
    """A sound file in the container that the suffix names; channel i is the sound times gain i."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=audio.sample_rate, layout=LAYOUTS[len(gains)])
        mux_sound(container, stream, audio, gains=gains)
    return path


def set_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> Path:
    """Writes a display matrix into an mp4's first track header (ISO/IEC 14496-12, 8.3.2)."""
    data = bytearray(path.read_bytes())
    header = data.index(b"tkhd")
    matrix = header + 4 + 4 + (32 if data[header + 4] == 1 else 20) + 8 + 8
    for place, value in ((0, a), (4, b), (12, c), (16, d)):
        word = (value << 16).to_bytes(4, "big", signed=True)
        data[matrix + place : matrix + place + 4] = word
    path.write_bytes(data)
    return path


def set_edit(path: Path, media_start: int, duration: int) -> Path:
    """Makes an mp4's first edit show the media from `media_start` (ticks of the track) on, for
    `duration` (ticks of the movie): a trim that leaves the data as it is (8.6.6)."""
    data = bytearray(path.read_bytes())
    entry = data.index(b"elst") + 4 + 4 + 4
    data[entry : entry + 4] = duration.to_bytes(4, "big")
    data[entry + 4 : entry + 8] = media_start.to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    return path
