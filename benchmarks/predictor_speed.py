"""How quickly an hour of speech becomes lip motion, in how much memory, and whether cuts show.

    python benchmarks/predictor_speed.py [--minutes 60] [--threads 2] [--audio speech.wav]

Each row runs in a process of its own, with the shipped predictor. `x` is seconds of speech per
second of the clock; where the machine has other work, `x alone` is what the processor time says,
spread over the threads. The speech is the given file again and again, or else made up: its content
changes neither speed nor memory. Styles are cut from the shipped demo style, repeated.

The hour in one piece would need attention maps of 90000 x 90000 steps, 194 GB for six heads. So
the whole is compared with its windows on the first four minutes, and on the hour windows are
compared with windows of other sizes.
"""

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from lipsync_core import weights
from lipsync_core.audio.encoder import load_speech_encoder
from lipsync_core.audio.features import encode_speech
from lipsync_core.audio.streaming import stream_speech
from lipsync_core.checkpoint import load_model
from lipsync_core.media.audio_file import read_audio, resample
from lipsync_core.motion import prediction
from lipsync_core.motion.prediction import predict_lip_motion
from lipsync_core.motion.predictor import MotionPredictor
from lipsync_core.motion.streaming import stream_lip_motion
from lipsync_core.motion.style_file import load_style
from lipsync_core.types import MOTION_RATE, Audio, LipMotion, SpeechFeatures, StyleReference

RATE = 16_000
PIECE_SECONDS = 64
"""Of sound that is heard once and repeated where only the predictor is measured."""
WHOLE_SECONDS = 240
CUTS = (97, 1000)


@dataclass(frozen=True)
class Measured:
    """One row: what it took."""

    seconds: float
    """Of speech."""
    wall: float
    processor: float
    mebibytes: float
    """Above the loaded models, at the highest."""


def sound(seconds: int, file: Path | None) -> torch.Tensor:
    if file is not None:
        heard = resample(read_audio(file), RATE).waveform
        return heard.repeat(seconds * RATE // len(heard) + 1)[: seconds * RATE]
    time_ = torch.arange(PIECE_SECONDS * RATE) / RATE
    hum = torch.sin(2 * torch.pi * (140 * time_ + 9 * torch.sin(2.3 * time_)))
    hum = hum * 0.3 * torch.sin(9 * time_).abs() * torch.sin(0.9 * time_)
    return hum.repeat(seconds // PIECE_SECONDS + 1)[: seconds * RATE]


def shipped_predictor() -> MotionPredictor:
    return load_model(weights.SHIPPED / "motion_predictor.safetensors", MotionPredictor)


def style_of(seconds: int) -> StyleReference | None:
    if seconds == 0:
        return None
    demo = load_style(weights.SHIPPED / "demo_style.safetensors")
    steps = torch.arange(seconds * MOTION_RATE)
    at, clip = steps % len(demo.weight), steps // len(demo.weight)
    speech = replace(demo.speech, features=demo.speech.features[at])
    motion = LipMotion(demo.motion.coefficients[at], demo.motion.valid[at], demo.motion.basis)
    clips = int(demo.clip.max()) + 1
    return StyleReference(speech, motion, demo.clip[at] + clip * clips, demo.weight[at])


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(seconds: float, work: Callable[[], object]) -> Measured:
    before, wall, processor = peak(), time.perf_counter(), time.process_time()
    work()
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return Measured(seconds, wall, processor, peak() - before)


def features_of(seconds: int, file: Path | None) -> SpeechFeatures:
    encoder = load_speech_encoder(weights.find(weights.SPEECH_ENCODER))
    heard = encode_speech(encoder, Audio(sound(min(seconds, PIECE_SECONDS), file), RATE))
    steps = torch.arange(seconds * MOTION_RATE) % len(heard.features)
    return replace(heard, features=heard.features[steps])


def hear(seconds: int, file: Path | None) -> Measured:
    encoder = load_speech_encoder(weights.find(weights.SPEECH_ENCODER))
    audio = Audio(sound(seconds, file), RATE)
    return measured(seconds, lambda: encode_speech(encoder, audio))


def predict(seconds: int, file: Path | None, style_seconds: int, strength: float) -> Measured:
    speech, predictor = features_of(seconds, file), shipped_predictor()
    style = style_of(style_seconds)
    return measured(seconds, lambda: predict_lip_motion(predictor, speech, style, strength))


def stream(seconds: int, file: Path | None, style_seconds: int) -> Measured:
    """All of it, the sound coming a second at a time."""
    encoder = load_speech_encoder(weights.find(weights.SPEECH_ENCODER))
    predictor, style = shipped_predictor(), style_of(style_seconds)
    second = sound(PIECE_SECONDS, file).split(RATE)

    def work() -> None:
        heard = stream_speech(encoder, (second[i % len(second)].clone() for i in range(seconds)))
        steps = sum(len(m.coefficients) for m in stream_lip_motion(predictor, heard, style))
        assert steps == seconds * MOTION_RATE

    return measured(seconds, work)


def largest_difference(seconds: int, file: Path | None, cuts: tuple[int, ...]) -> float:
    """Between the usual windows and windows of `cuts` steps: points of the lips, eye distances."""
    speech, predictor, style = features_of(seconds, file), shipped_predictor(), style_of(9)

    def points() -> torch.Tensor:
        motion = predict_lip_motion(predictor, speech, style).coefficients
        return predictor.basis.displacement(motion)

    usual, largest = points(), 0.0
    for cut in cuts:
        prediction.CHUNK = cut
        largest = max(largest, float((points() - usual).norm(dim=-1).max()))
    return largest


def rows(minutes: int) -> Iterator[tuple[str, Callable, tuple]]:
    seconds = 60 * minutes
    yield "speech encoding", hear, (seconds,)
    for style_seconds, strength in ((0, 1.0), (9, 1.0), (30, 1.0), (30, 1.5)):
        name = f"{style_seconds} s of style" if style_seconds else "no style"
        yield (
            f"prediction, {name}, strength {strength}",
            predict,
            (seconds, style_seconds, strength),
        )
    yield "both as a stream, 30 s of style", stream, (seconds, 30)
    for style_seconds in (0, 9):
        name = f"both as a stream, {style_seconds} s of style, {minutes / 6:.0f} min"
        yield name, stream, (seconds // 6, style_seconds)


def _run(answer, threads: int, work: Callable, file: Path | None, given: tuple) -> None:
    torch.set_num_threads(threads)
    answer.send(work(given[0], file, *given[1:]))


def alone(threads: int, work: Callable, file: Path | None, given: tuple):
    """The result of `work` in a new process."""
    context = multiprocessing.get_context("spawn")
    mine, other = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(other, threads, work, file, given))
    process.start()
    other.close()
    try:
        return mine.recv()
    finally:
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--audio", type=Path)
    arguments = parser.parse_args()
    for name, work, given in rows(arguments.minutes):
        took = alone(arguments.threads, work, arguments.audio, given)
        quiet = took.seconds / (took.processor / arguments.threads)
        print(
            f"{name}: {took.seconds / took.wall:.0f} x, {quiet:.0f} x alone, "
            f"+{took.mebibytes:.0f} MiB",
            flush=True,
        )
    whole = min(WHOLE_SECONDS, 60 * arguments.minutes)
    for name, seconds, cuts in (
        (f"whole of {whole} s against windows", whole, (whole * MOTION_RATE,)),
        (f"windows of {CUTS} steps against the usual", 60 * arguments.minutes, CUTS),
    ):
        largest = alone(arguments.threads, largest_difference, arguments.audio, (seconds, cuts))
        print(f"{name}: at most {largest:.1e} eye distances", flush=True)


if __name__ == "__main__":
    main()
