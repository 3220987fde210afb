"""Hears prepared clips again with another speech encoder:
`python tools/hear_again.py PREPARED --clips VIDEOS --out FOLDER --speech-encoder phonemes`.

What was seen stays as it was, but for the pictures, which a predictor does not need. Every clip is
heard in as many variants as before: alone; in the midst of a long track of all clips of the same
person, in random order, so that nothing is learned from where speech stands in the encoder's
window; and, after the first three, in other voices. Clips of synthetic heads without videos are
found by their speech. The same command goes on where it was stopped.
"""

import argparse
import json
import random
import sys
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))

from lipsync_core.audio.encoder import SAMPLE_RATE, SpeechEncoder, load_speech_encoder
from lipsync_core.audio.features import encode_speech
from lipsync_core.commands.progress import progress_bar
from lipsync_core.errors import LipStyleError, TrainingError
from lipsync_core.media.audio_file import read_audio, resample
from lipsync_core.training.preparation import VIDEO_SUFFIXES
from lipsync_core.training.prepared import PreparedClip, read_prepared, write_prepared
from lipsync_core.training.silence import SILENCE_FILE, prepare_silence
from lipsync_core.training.voices import another_voice
from lipsync_core.types import MOTION_RATE, Audio, OnProgress
from lipsync_core.weights import SPEECH_ENCODERS, find

SEEN = ("landmarks", "frame_to_crop", "visible", "neutral", "canonical", "valid")
"""What is kept of a prepared clip, as far as it is there."""
PLAIN_VARIANTS = 3
"""Further variants are in other voices."""
_STEP = SAMPLE_RATE // MOTION_RATE
_FEWEST = 3
"""A track of fewer clips is played three times, and heard in its middle."""


def sounds_of(clips: list[PreparedClip], folders: list[Path]) -> dict[str, Path]:
    """The video or recording of every clip by its name; TrainingError when one is missing or is not
    the only one of its name."""
    found = defaultdict(list)
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() in VIDEO_SUFFIXES or path.suffix == ".wav":
                found[path.stem].append(path)
    sounds = {}
    for clip in clips:
        candidates = found[_said_in(clip)]
        if len(candidates) != 1:
            raise TrainingError(
                f"{len(candidates)} videos or recordings of {clip.name} under "
                f"{', '.join(map(str, folders))}, one is needed: name the folders that the clips "
                "were prepared from"
            )
        sounds[clip.name] = candidates[0]
    return sounds


def _said_in(clip: PreparedClip) -> str:
    """The name of the clip's video, or of the recording that a synthetic head says."""
    facts = clip.path.with_suffix(".json")
    return Path(json.loads(facts.read_text())["speech"]).stem if facts.is_file() else clip.name


def hear_alone(encoder: SpeechEncoder, waveform: Float[Tensor, " n"]) -> Float[Tensor, "t d"]:
    """A clip from its first second."""
    return encode_speech(encoder, Audio(waveform, SAMPLE_RATE)).features


def hear_in_track(
    encoder: SpeechEncoder, waveforms: list[Float[Tensor, " _"]], draw: random.Random
) -> list[Float[Tensor, "_ d"]]:
    """Clips one after the other in random order, heard as one recording and cut apart again."""
    order = draw.sample(range(len(waveforms)), len(waveforms))
    turns = 1 if len(order) >= _FEWEST else 3
    # Whole steps, so that step i of a clip stays one step.
    padded = [torch.nn.functional.pad(w, (0, -len(w) % _STEP)) for w in waveforms]
    track = torch.cat([padded[i] for _ in range(turns) for i in order])
    features = hear_alone(encoder, track)
    start = turns // 2 * sum(len(w) for w in padded) // _STEP
    pieces = {}
    for i in order:
        stop = start + len(padded[i]) // _STEP
        pieces[i], start = features[start:stop], stop
    return [pieces[i] for i in range(len(waveforms))]


def hear_again(
    clips: list[PreparedClip],
    sounds: dict[str, Path],
    targets: dict[str, Path],
    encoder: SpeechEncoder,
    seed: int,
    on_progress: OnProgress | None = None,
) -> None:
    """Writes each clip to its target; clips of one person and split stand in one track."""
    groups = defaultdict(list)
    for clip in clips:
        groups[clip.person, clip.split].append(clip)
    done = 0
    for group in groups.values():
        if not all(targets[clip.name].is_file() for clip in group):
            _hear_group(group, sounds, targets, encoder, seed)
        done += len(group)
        if on_progress is not None:
            on_progress(done, len(clips))


def _hear_group(
    group: list[PreparedClip],
    sounds: dict[str, Path],
    targets: dict[str, Path],
    encoder: SpeechEncoder,
    seed: int,
) -> None:
    waveforms = [resample(read_audio(sounds[c.name]), SAMPLE_RATE).waveform for c in group]
    variants = max(len(clip.read("speech")) for clip in group)
    draw = random.Random(f"{seed} {group[0].person} {group[0].split}")
    tracks = []
    for number in range(variants - 1):
        voice = number - (PLAIN_VARIANTS - 1)
        said = waveforms if voice < 0 else in_other_voices(group, waveforms, voice, seed)
        tracks.append(hear_in_track(encoder, said, draw))
    for i, clip in enumerate(group):
        if not targets[clip.name].is_file():
            heard = [hear_alone(encoder, waveforms[i]), *(track[i] for track in tracks)]
            _write(targets[clip.name], clip, heard, encoder.id)


def in_other_voices(
    group: list[PreparedClip], waveforms: list[Float[Tensor, " _"]], number: int, seed: int
) -> list[Float[Tensor, " _"]]:
    """Each clip in the voice that `prepare` draws for its variant `number` with this seed."""
    changed = []
    for clip, waveform in zip(group, waveforms, strict=True):
        draw = random.Random(f"{seed} {clip.name} voice {number}")
        generator = torch.Generator().manual_seed(draw.getrandbits(40))
        changed.append(another_voice(Audio(waveform, SAMPLE_RATE), generator).waveform)
    return changed


def _write(path: Path, clip: PreparedClip, heard: list[Tensor], encoder: str) -> None:
    seen = {name: clip.read(name) for name in SEEN if clip.has(name)}
    steps = min(len(seen["valid"]), *(len(features) for features in heard))
    for name in ("canonical", "valid"):
        seen[name] = seen[name][:steps]
    seen["speech"] = torch.stack([features[:steps] for features in heard]).half()
    facts = {k: v for k, v in asdict(clip).items() if k != "path"}
    write_prepared(path, seen, **(facts | {"encoder": encoder}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prepared", type=Path, help="folder of prepared clips")
    parser.add_argument(
        "--clips", type=Path, nargs="+", required=True, help="folders of what they came from"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--speech-encoder", choices=SPEECH_ENCODERS, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    clips = read_prepared(arguments.prepared)
    sounds = sounds_of(clips, arguments.clips)
    targets = {c.name: arguments.out / c.path.relative_to(arguments.prepared) for c in clips}
    encoder = load_speech_encoder(find(SPEECH_ENCODERS[arguments.speech_encoder]))
    with progress_bar("hear", "clip") as on_progress:
        hear_again(clips, sounds, targets, encoder, arguments.seed, on_progress)
    if not (arguments.out / SILENCE_FILE).is_file():
        learned = [sounds[clip.name] for clip in clips if clip.split == "train"]
        prepare_silence(learned or list(sounds.values()), arguments.out, encoder, arguments.seed)
    print(f"{len(clips)} clips heard by {encoder.id} in {arguments.out}")


if __name__ == "__main__":
    try:
        main()
    except LipStyleError as error:
        sys.exit(f"error: {error}")
