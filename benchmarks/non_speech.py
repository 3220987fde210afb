"""Does the mouth shut in silence, and keep still in music, noise and laughter?

    python3 tools/host.py python benchmarks/non_speech.py --prepared prepared/grid_s1 \
        --clips ../shared/data/grid_s1/clips --alignments ../shared/data/grid_s1/alignments

Motion alone, no pictures: the predictor with no style, and with the style of three of the person's
validation clips. Sounds are made by procedure with seeds that training never draws. --recordings
adds real ones, a folder of sound files per kind. Speech is the clips of the test split.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from lipsync_core import weights
from lipsync_core.audio.encoder import SpeechEncoder, load_speech_encoder
from lipsync_core.audio.features import encode_speech
from lipsync_core.checkpoint import load_model
from lipsync_core.evaluation.non_speech import (
    NEUTRAL_GAP,
    SOUND_SECONDS,
    Speak,
    SpokenClip,
    babble,
    cut_short,
    make_pause,
    make_scene,
    motion_figures,
    pause_figures,
    pieces,
    real_closures,
    real_pause_figures,
    spoken_clip,
)
from lipsync_core.evaluation.statistics import estimate
from lipsync_core.evaluation.style_clips import as_reference, read_style_clips
from lipsync_core.media.audio_file import read_audio, resample
from lipsync_core.motion.prediction import predict_lip_motion
from lipsync_core.motion.predictor import MotionPredictor
from lipsync_core.training.motion_clips import lip_gap
from lipsync_core.training.sounds import KINDS, draw_sound
from lipsync_core.training.sounds.waveforms import RATE
from lipsync_core.types import Audio, SpeechFeatures, StyleReference

FRESH = 7_700_000
"""Seeds from here on; training's are small."""
NOISES = {"digital silence": 0.0, "noise 1e-4": 1e-4, "noise 1e-3": 1e-3}
SUFFIXES = {".wav", ".flac", ".ogg", ".oga", ".mp3"}
LONGEST = 20
REAL = "real lips"
SPEECH = "speech itself"

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    shipped = weights.SHIPPED / "motion_predictor.safetensors"
    parser.add_argument("--predictor", type=Path, default=shipped)
    parser.add_argument(
        "--against", nargs="+", default=[], metavar="NAME=FILE", help="predictors to set beside it"
    )
    parser.add_argument("--prepared", type=Path, required=True, help="with a test split")
    parser.add_argument("--clips", type=Path, required=True, help="the videos, for their sound")
    parser.add_argument("--alignments", type=Path, required=True)
    parser.add_argument("--recordings", type=Path, help="a folder of sound files for each kind")
    parser.add_argument("--limit", type=int, default=20, help="test clips")
    parser.add_argument("--seeds", type=int, default=4, help="sounds of each kind")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    test = read_style_clips(arguments.prepared, "test")
    spoken = [
        spoken_clip(clip, sound_of(arguments.clips / f"{clip.name}.mp4"))
        for clip in test[: arguments.limit]
    ]
    against = (named.split("=", 1) for named in arguments.against)
    files = {"": arguments.predictor, **{f"{name}, ": Path(file) for name, file in against}}
    references = read_style_clips(arguments.prepared, "validation")[:3]
    hear = hearing(load_speech_encoder(weights.find(weights.SPEECH_ENCODER)))
    speakers = {}
    for name, file in files.items():
        predictor = load_model(file, MotionPredictor)
        style = as_reference(references, predictor.basis)
        speakers[f"{name}no style"] = speak_as(predictor, hear, None)
        speakers[f"{name}own style"] = speak_as(predictor, hear, style)
    thresholds = {
        f"{NEUTRAL_GAP} above neutral": NEUTRAL_GAP,
        "real p b m": real_closures(test, arguments.alignments),
    }
    sounds = made_up(arguments.seeds)
    if arguments.recordings is not None:
        sounds |= recorded(arguments.recordings)
    found = {
        "thresholds": thresholds,
        "silence": in_pauses(speakers, spoken, thresholds),
        "sounds": in_sounds(speakers, spoken, sounds),
    }
    print(json.dumps(found, indent=1) if arguments.json else tables(found))


def sound_of(path: Path) -> Audio:
    """The first LONGEST seconds."""
    audio = read_audio(path)
    cut = audio.waveform[: LONGEST * audio.sample_rate]
    return resample(Audio(cut, audio.sample_rate), RATE)


def hearing(encoder: SpeechEncoder) -> Callable[[Audio], SpeechFeatures]:
    """What the encoder hears; the same sound is not heard again."""
    heard: dict[int, tuple[Audio, SpeechFeatures]] = {}

    def hear(audio: Audio) -> SpeechFeatures:
        if id(audio) not in heard:
            # The sound is kept beside its features, so that no other one takes its id.
            heard[id(audio)] = (audio, encode_speech(encoder, audio))
        return heard[id(audio)][1]

    return hear


def speak_as(
    predictor: MotionPredictor,
    hear: Callable[[Audio], SpeechFeatures],
    style: StyleReference | None,
) -> Speak:
    return lambda audio: predictor.basis.displacement(
        predict_lip_motion(predictor, hear(audio), style).coefficients
    )


def made_up(seeds: int) -> dict[str, list[Audio]]:
    found = {}
    for place, kind in enumerate(KINDS):
        generator = torch.Generator().manual_seed(FRESH + place)
        found[kind] = [draw_sound(kind, SOUND_SECONDS, generator) for _ in range(seeds)]
    return found


def recorded(folder: Path) -> dict[str, list[Audio]]:
    found = {}
    for kind in sorted(path for path in folder.iterdir() if path.is_dir()):
        files = sorted(p for p in kind.iterdir() if p.suffix.lower() in SUFFIXES)
        found[f"real {kind.name}"] = pieces([sound_of(path) for path in files])
    return found


def in_pauses(
    speakers: Mapping[str, Speak], spoken: list[SpokenClip], thresholds: Mapping[str, float]
) -> dict[str, dict[str, dict[str, Figures]]]:
    """threshold -> who -> what is heard -> mean figures."""
    rows = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    generator = torch.Generator().manual_seed(FRESH)
    for first, second in zip(spoken, [*spoken[1:], spoken[0]], strict=True):
        for meaning, closed in thresholds.items():
            rows[meaning][REAL]["the room"].append(real_pause_figures(first, second, closed))
        pauses = {
            name: make_pause(first, second, noise, generator) for name, noise in NOISES.items()
        }
        pauses["cut in a word"] = make_pause(cut_short(first), second, 0.0, generator)
        for (name, pause), (who, speak) in product(pauses.items(), speakers.items()):
            gap = lip_gap(speak(pause.audio))
            for meaning, closed in thresholds.items():
                figures = pause_figures(gap, pause.start, pause.stop, closed)
                rows[meaning][who][name].append(figures)
    return {
        meaning: {who: {name: summary(r) for name, r in kinds.items()} for who, kinds in by.items()}
        for meaning, by in rows.items()
    }


def summary(rows: list[Figures]) -> Figures:
    """Means, and the closing time and the lead that 90 % stay below."""
    found = means(rows)
    for name in ("closing", "opens early"):
        values = torch.tensor([row[name] for row in rows], dtype=torch.float64)
        found[f"{name}, 90 %"] = float(values[values.isfinite()].quantile(0.9))
    return found


def means(rows: list[Figures]) -> Figures:
    return {name: estimate([row[name] for row in rows]).mean for name in rows[0]}


def in_sounds(
    speakers: Mapping[str, Speak], spoken: list[SpokenClip], sounds: Mapping[str, list[Audio]]
) -> dict[str, dict[str, Figures]]:
    """who -> kind -> mean figures."""
    scenes = {
        kind: [make_scene(s, spoken[i % len(spoken)]) for i, s in enumerate(own)]
        for kind, own in sounds.items()
    }
    found: dict[str, dict[str, Figures]] = {}
    for who, speak in speakers.items():
        speech = means([motion_figures(speak(clip.voice)) for clip in spoken])
        rows = {
            kind: means([babble(speak, scene, speech) for scene in own])
            for kind, own in scenes.items()
        }
        found[who] = {SPEECH: speech, **rows}
    return found


def tables(found: dict) -> str:
    lines = [
        f"closed: {name} {value:.4f} eye distances" for name, value in found["thresholds"].items()
    ]
    for meaning, by in found["silence"].items():
        rows = {f"{who}, {kind}": f for who, kinds in by.items() for kind, f in kinds.items()}
        lines += ["", f"closed as {meaning}", "", *table(rows)]
    for who, kinds in found["sounds"].items():
        speech = kinds.pop(SPEECH)
        lines += ["", f"{who}: of its speech (gap spread {speech['spread']:.4f}, energy "]
        lines[-1] += f"{speech['energy']:.4f}, parted {speech['parted']:.2f})"
        lines += ["", *table(kinds)]
    return "\n".join(lines)


def table(rows: Mapping[str, Figures]) -> list[str]:
    names = list(next(iter(rows.values())))
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for name, figures in rows.items():
        lines.append(f"| {name} | " + " | ".join(f"{figures[n]:.2f}" for n in names) + " |")
    return lines


if __name__ == "__main__":
    main()
