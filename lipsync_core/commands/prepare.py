"""`prepare`: folders of clips into prepared clips."""

import argparse
import json
from multiprocessing import get_context
from pathlib import Path

import torch

from ..face.landmarking import FaceLandmarker
from ..training.preparation import PreparationRecipe, find_videos, prepare_folder
from ..training.silence import SILENCE_FILE, SOUND_PIECES, prepare_silence
from ..weights import FACE_LANDMARKER, find
from .progress import progress_bar
from .speech_encoders import add_speech_encoder, named_speech_encoder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="clips, each with one person and sound")
    parser.add_argument("--out", type=Path, required=True, help="where prepared clips go")
    parser.add_argument("--source", required=True, help="data set and licence, for the records")
    parser.add_argument("--person", help="who is shown; left out: every file is another person")
    parser.add_argument(
        "--splits", type=Path, help='JSON: {"train": [names], "validation": [...], "test": [...]}'
    )
    parser.add_argument("--crop-size", type=int, default=128, help="pixels (default 128)")
    parser.add_argument("--speech-variants", type=int, default=3)
    parser.add_argument("--voice-variants", type=int, default=3, help="heard in other voices")
    parser.add_argument(
        "--sounds",
        type=int,
        default=SOUND_PIECES,
        help=f"pieces of music, noise and laughter to keep still in (default {SOUND_PIECES})",
    )
    add_speech_encoder(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1, help="processes that share the clips")


def run(arguments: argparse.Namespace) -> str:
    splits = json.loads(arguments.splits.read_text()) if arguments.splits else None
    recipe = PreparationRecipe(
        source=arguments.source,
        person=arguments.person,
        splits=splits,
        crop_size=arguments.crop_size,
        speech_variants=arguments.speech_variants,
        voice_variants=arguments.voice_variants,
        seed=arguments.seed,
    )
    videos = find_videos(arguments.folder)
    if arguments.workers == 1:
        left_out = _share((videos, 0, 1, arguments.out, recipe, arguments.speech_encoder))
    else:
        shares = [
            (videos, i, arguments.workers, arguments.out, recipe, arguments.speech_encoder)
            for i in range(arguments.workers)
        ]
        with get_context("spawn").Pool(arguments.workers) as pool:
            left_out = {k: v for part in pool.map(_share, shares) for k, v in part.items()}
    if not (arguments.out / SILENCE_FILE).is_file():
        encoder = named_speech_encoder(arguments.speech_encoder)
        prepared = [video for video in videos if video.stem not in left_out]
        prepare_silence(prepared, arguments.out, encoder, arguments.seed, sounds=arguments.sounds)
    lines = [f"{len(videos) - len(left_out)} clips prepared in {arguments.out}"]
    return "\n".join(lines + [f"left out {name}: {why}" for name, why in left_out.items()])


def _share(share: tuple[list[Path], int, int, Path, PreparationRecipe, str]) -> dict[str, str]:
    """Prepares every `workers`-th clip, counted from `worker`."""
    videos, worker, workers, out, recipe, encoder_name = share
    torch.set_num_threads(1)
    landmarker = FaceLandmarker.load(find(FACE_LANDMARKER))
    encoder = named_speech_encoder(encoder_name)
    with progress_bar(f"prepare {worker + 1}/{workers}", "clip") as on_progress:
        return prepare_folder(
            videos[worker::workers],
            out,
            recipe,
            landmarker,
            encoder,
            on_progress,
            same_person=videos if recipe.person else None,
        )
