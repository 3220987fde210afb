"""`synthesise`: 3-D heads that say timed speech in known styles, as videos or as motion alone."""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ..audio.encoder import SpeechEncoder
from ..audio.features import encode_speech
from ..media.writing import write_clip
from ..synthesis.face_kit import FaceKit, load_face_kit
from ..synthesis.landmark_map import LandmarkMap, load_landmark_map
from ..synthesis.landmarker_depth import load_landmarker_depth
from ..synthesis.lip_contact import LipContact
from ..synthesis.phones import TimedSpeech, excerpt, find_timed_speech, read_timed_speech
from ..synthesis.speaking import speech_to_expressions
from ..synthesis.talking_clip import TalkingClip
from ..synthesis.talking_head import TalkingHead
from ..synthesis.talking_style import TalkingStyle
from ..synthesis.truth import measured_neutral, true_motion
from ..training.prepared import write_prepared
from ..types import MOTION_RATE
from .progress import progress_bar
from .speech_encoders import add_speech_encoder, named_speech_encoder

SOURCE = "synthetic heads: ICT-FaceKit (MIT), synthetic speech"
PEOPLE_FILE = "people.json"
_CHUNK = 8
"""Frames drawn at once."""


@dataclass(frozen=True)
class Person:
    """One head with one style, and what it says."""

    name: str
    head: TalkingHead
    style: TalkingStyle
    speech: list[Path]
    seed: int
    seconds: float | None = None
    """Of every clip; None: all that is said."""

    def clip_seed(self, number: int) -> int:
        """Of one of the person's clips: the same for its video and its motion alone."""
        return self.seed * 101 + number

    def clip_speech(self, number: int) -> TimedSpeech:
        """What is said in one of the person's clips: all, or `seconds` from a random start."""
        speech = read_timed_speech(self.speech[number])
        if self.seconds is None or self.seconds >= speech.audio.duration:
            return speech
        generator = torch.Generator().manual_seed(self.clip_seed(number) + 1_000_000_007)
        latest = speech.audio.duration - self.seconds
        start = latest * float(torch.rand((), generator=generator))
        return excerpt(speech, start, start + self.seconds)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--face-kit", type=Path, required=True, help="packed ICT-FaceKit .npz")
    parser.add_argument(
        "--speech", type=Path, required=True, help="folder made by tools/timed_speech.py"
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--heads", type=int, default=4, help="different faces")
    parser.add_argument("--styles", type=int, default=1, help="ways of talking of every face")
    parser.add_argument("--clips", type=int, default=4, help="of every face with every style")
    parser.add_argument("--strength", type=float, default=1.0, help="of the styles, 0 to 1")
    parser.add_argument("--split", default="train", choices=("train", "validation", "test"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--seconds", type=float, help="of every clip, out of the midst of its speech; default: all"
    )
    parser.add_argument("--size", type=int, default=256, help="of the videos, pixels")
    parser.add_argument(
        "--motion-only", action="store_true", help="prepared clips without pictures"
    )
    add_speech_encoder(parser)


def run(arguments: argparse.Namespace) -> str:
    kit, landmark_map = load_face_kit(arguments.face_kit), load_landmark_map()
    landmark_map.check(kit)
    speech = find_timed_speech(arguments.speech)
    people = draw_people(
        kit,
        speech,
        arguments.heads,
        arguments.styles,
        arguments.clips,
        arguments.strength,
        arguments.seed,
        arguments.seconds,
    )
    arguments.out.mkdir(parents=True, exist_ok=True)
    with progress_bar("synthesise", "person") as on_progress:
        motion_only, name = arguments.motion_only, arguments.speech_encoder
        encoder = named_speech_encoder(name) if motion_only else None
        for done, person in enumerate(people):
            if encoder is not None:
                write_motion(arguments.out, person, kit, landmark_map, encoder, arguments.split)
            else:
                write_videos(arguments.out, person, kit, landmark_map, arguments.size)
            on_progress(done + 1, len(people))
    if not arguments.motion_only:
        write_people(arguments.out, people)
    return f"{len(people) * arguments.clips} clips of {len(people)} people in {arguments.out}"


def draw_people(
    kit: FaceKit,
    speech: list[Path],
    heads: int,
    styles: int,
    clips: int,
    strength: float,
    seed: int,
    seconds: float | None = None,
) -> list[Person]:
    """`heads` faces times `styles` ways of talking; every person has one voice, as far as the
    names of the speech files (voice-number.wav) tell and that voice has enough sentences."""
    voices: dict[str, list[Path]] = {}
    for path in speech:
        voices.setdefault(path.stem.rpartition("-")[0], []).append(path)
    people = []
    for number in range(heads * styles):
        own_seed = seed * 1_000_003 + number
        face = torch.Generator().manual_seed(seed * 1_000_003 + 500_000 + number // styles)
        generator = torch.Generator().manual_seed(own_seed)
        head = TalkingHead.draw(face, kit)
        style = TalkingStyle.draw(generator, strength)
        names = sorted(voices)
        voice = names[int(torch.randint(len(names), (), generator=generator))]
        choices = voices[voice] if len(voices[voice]) >= clips else speech
        order = torch.randperm(len(choices), generator=generator).tolist()
        said = [choices[order[i % len(order)]] for i in range(clips)]
        name = f"synthetic-{seed}-{number // styles:03d}-{number % styles:02d}"
        people.append(Person(name, head, style, said, own_seed, seconds))
    return people


def write_motion(
    out: Path,
    person: Person,
    kit: FaceKit,
    landmark_map: LandmarkMap,
    encoder: SpeechEncoder,
    split: str,
) -> None:
    """The person's clips as prepared clips that hold motion and speech, but no pictures.

    All of a person's clips share the neutral that face tracking would find in them together, and
    depth is what the landmarker would report.
    """
    spoken, shapes = [], []
    lips = LipContact.of(kit, landmark_map, person.head.identity)
    for number in range(len(person.speech)):
        speech = person.clip_speech(number)
        generator = torch.Generator().manual_seed(person.clip_seed(number))
        curves = speech_to_expressions(speech, person.style, generator, lips)
        shapes.append(landmark_map.of_expressions(kit, person.head.identity, curves))
        spoken.append(speech)
    neutral = measured_neutral(torch.cat(shapes)).float()
    depth = load_landmarker_depth()
    for number, (speech, landmarks) in enumerate(zip(spoken, shapes, strict=True)):
        features = encode_speech(encoder, speech.audio).features
        steps = min(len(features), len(landmarks))
        name = f"{person.name}-{number}"
        tensors = {
            "neutral": depth.neutral(neutral),
            "canonical": depth.motion(true_motion(landmarks, neutral)[:steps]).float(),
            "valid": torch.ones(steps, dtype=torch.bool),
            "speech": features[None, :steps].half(),
        }
        write_prepared(
            out / f"{name}.safetensors",
            tensors,
            name=name,
            person=person.name,
            split=split,
            fps=MOTION_RATE,
            crop_size=0,
            frame_count=steps,
            encoder=encoder.id,
            source=SOURCE,
        )
        write_facts(out / f"{name}.json", person, number)


def write_facts(path: Path, person: Person, number: int) -> None:
    """What a clip shows, for people and for evaluation."""
    facts = {
        "person": person.name,
        "seed": person.clip_seed(number),
        "speech": person.speech[number].name,
        "head": asdict(person.head)
        | {"identity": [round(weight, 4) for weight in person.head.identity.tolist()]},
        "style": person.style.to_dict(),
    }
    _write_json(path, facts)


def write_people(out: Path, people: list[Person]) -> None:
    """PEOPLE_FILE, as `evaluate --people` reads it: clip -> person, a head in one style."""
    who = {f"{p.name}-{number}": p.name for p in people for number in range(len(p.speech))}
    _write_json(out / PEOPLE_FILE, who)


def _write_json(path: Path, content: dict) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(content, indent=1))
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_videos(
    out: Path, person: Person, kit: FaceKit, landmark_map: LandmarkMap, size: int
) -> None:
    """The person's clips as .mp4 with their sound, and what they show beside them.

    What is there already is kept: a run that was stopped goes on.
    """
    for number in range(len(person.speech)):
        name = f"{person.name}-{number}"
        if (out / f"{name}.json").is_file():
            continue
        speech = person.clip_speech(number)
        clip = TalkingClip(
            kit, landmark_map, person.head, speech, person.style, person.clip_seed(number), size
        )
        chunks = (
            clip.frames(start, min(start + _CHUNK, clip.frame_count))
            for start in range(0, clip.frame_count, _CHUNK)
        )
        write_clip(
            out / f"{name}.mp4", chunks, clip.fps, size, size, clip.audio(), {"comment": SOURCE}
        )
        write_facts(out / f"{name}.json", person, number)
