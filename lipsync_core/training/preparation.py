"""A folder of videos becomes a folder of prepared clips: tracked, cropped, measured and heard once.

Two passes over the same files: a clip already prepared is left as it is, so the same command goes
on where it was stopped.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from ..audio.encoder import SpeechEncoder
from ..audio.features import encode_speech
from ..errors import LipStyleError, TrainingError
from ..face.alignment import crop_faces
from ..face.landmarking import FaceLandmarker
from ..face.tracking import track_face
from ..media.audio_file import read_audio, resample
from ..media.file_clip import open_clip
from ..media.fingerprint import file_fingerprint
from ..motion.measuring import canonical_motion
from ..types import MOTION_RATE, Audio, Clip, FaceTrack, OnProgress
from .prepared import write_prepared
from .voices import another_voice

SPEECH_RATE = 16_000
CHUNK = 32
"""Frames held at a time."""
_LONGEST_LEAD = 100
"""Steps of silence before another voice."""
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".m4v"}


@dataclass(frozen=True)
class PreparationRecipe:
    """What the clips are and how they are prepared."""

    source: str
    """Data set and licence, for the header of every model trained on it."""
    person: str | None = None
    """Who is shown, if it is one person; else every file is a person of its own."""
    splits: dict[str, list[str]] | None = None
    """Names (without suffix) by split; what is not named is "train"."""
    crop_size: int = 128
    speech_variants: int = 3
    """Alone, and amid other clips of the person."""
    voice_variants: int = 3
    """In other voices."""
    seed: int = 0


def find_videos(folder: Path) -> list[Path]:
    """Every video under `folder`; TrainingError when there is none."""
    videos = sorted(p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES)
    if not videos:
        raise TrainingError(f"no video files under {folder}: name a folder of clips")
    return videos


def prepare_folder(
    videos: list[Path],
    out: Path,
    recipe: PreparationRecipe,
    landmarker: FaceLandmarker,
    encoder: SpeechEncoder,
    on_progress: OnProgress | None = None,
    same_person: list[Path] | None = None,
) -> dict[str, str]:
    """Prepares what is not prepared yet; returns the clips left out, with the reason.

    `same_person` are the clips whose sound may stand around a clip's own; without it, a clip has
    only itself.
    """
    left_out: dict[str, str] = {}
    splits = {name: split for split, names in (recipe.splits or {}).items() for name in names}
    for done, video in enumerate(videos):
        path = out / f"{video.stem}.safetensors"
        if not path.exists():
            around = same_person or [video]
            try:
                tensors, clip = prepare_clip(video, around, recipe, landmarker, encoder)
            except LipStyleError as error:
                left_out[video.stem] = str(error)
            else:
                write_prepared(
                    path,
                    tensors,
                    name=video.stem,
                    person=recipe.person or video.stem,
                    split=splits.get(video.stem, "train"),
                    fps=clip.fps,
                    crop_size=recipe.crop_size,
                    frame_count=clip.frame_count,
                    encoder=encoder.id,
                    source=recipe.source,
                    fingerprint=file_fingerprint(video),
                )
        if on_progress is not None:
            on_progress(done + 1, len(videos))
    return left_out


def prepare_clip(
    video: Path,
    same_person: list[Path],
    recipe: PreparationRecipe,
    landmarker: FaceLandmarker,
    encoder: SpeechEncoder,
) -> tuple[dict[str, Tensor], Clip]:
    """The tensors of one prepared clip; a LipStyleError when it shows no face or has no sound."""
    clip = open_clip(video)
    track = track_face(landmarker, clip, crop_size=recipe.crop_size)
    canonical, valid = canonical_motion(track)
    audio = resample(read_audio(video), SPEECH_RATE)
    speech = hear_in_variants(audio, same_person, len(canonical), recipe, encoder, video.stem)
    steps = min(len(canonical), speech.shape[1])
    tensors = {
        "crops": read_crops(clip, track, recipe.crop_size),
        "landmarks": track.landmarks.float(),
        "frame_to_crop": track.frame_to_crop.float(),
        "visible": track.visible,
        "neutral": track.neutral.float(),
        "canonical": canonical[:steps].float(),
        "valid": valid[:steps],
        "speech": speech[:, :steps].half(),
    }
    return tensors, clip


def read_crops(clip: Clip, track: FaceTrack, crop_size: int) -> Tensor:
    """uint8 [t s s 3]: the aligned crop of every frame."""
    matrices = track.resized(crop_size).frame_to_crop
    chunks = []
    for start in range(0, clip.frame_count, CHUNK):
        stop = min(start + CHUNK, clip.frame_count)
        crops = crop_faces(clip.frames(start, stop), matrices[start:stop], crop_size)
        chunks.append((crops * 255).round().clamp(0, 255).to(torch.uint8))
    return torch.cat(chunks)


def hear_in_variants(
    audio: Audio,
    same_person: list[Path],
    steps: int,
    recipe: PreparationRecipe,
    encoder: SpeechEncoder,
    name: str,
) -> Tensor:
    """[v steps d]: the clip's features heard alone, in the midst of other clips' sound, and in
    other voices."""
    draw = random.Random(f"{recipe.seed} {name}")
    step = SPEECH_RATE // MOTION_RATE
    heard = [encode_speech(encoder, audio).features]
    for _ in range(recipe.speech_variants - 1):
        before, after = (
            resample(read_audio(draw.choice(same_person)), SPEECH_RATE).waveform for _ in range(2)
        )
        # Whole steps, so that step i of the clip stays one step.
        before = before[-draw.randrange(step, max(len(before), step) + 1) :]
        before = before[len(before) % step :]
        embedded = Audio(torch.cat([before, audio.waveform, after]), SPEECH_RATE)
        lead = len(before) // step
        features = encode_speech(encoder, embedded).features
        heard.append(features[lead : lead + len(heard[0])])
    heard += _other_voices(audio, recipe, encoder, name)
    count = min(steps, *(len(features) for features in heard))
    return torch.stack([features[:count] for features in heard])


def _other_voices(
    audio: Audio, recipe: PreparationRecipe, encoder: SpeechEncoder, name: str
) -> list[Float[Tensor, "t d"]]:
    """Each after another stretch of silence, so that its place in the encoder's window differs."""
    found = []
    for number in range(recipe.voice_variants):
        draw = random.Random(f"{recipe.seed} {name} voice {number}")
        generator = torch.Generator().manual_seed(draw.getrandbits(40))
        lead = draw.randrange(_LONGEST_LEAD)
        voice = another_voice(audio, generator)
        silence = torch.zeros(lead * SPEECH_RATE // MOTION_RATE)
        late = Audio(torch.cat([silence, voice.waveform]), SPEECH_RATE)
        found.append(encode_speech(encoder, late).features[lead:])
    return found
