"""`sync`: a video and new speech in, a re-spoken video out."""

import argparse
from pathlib import Path
from typing import get_args

from ..errors import MediaError
from ..face.choice import FaceChoice
from ..media.audio_file import open_sound
from ..media.chaining import chain_clips
from ..media.file_clip import open_clip
from ..media.fingerprint import named_fingerprint
from ..media.fitting import FitPolicy
from ..motion.style import extend_style
from ..motion.style_file import load_style
from ..pipeline import LipSyncSettings, Models, lip_sync, load_models, read_style
from ..types import StyleReference
from ..weights import SHIPPED
from .progress import progress_bar

PREDICTOR, RENDERER = "motion_predictor.safetensors", "lip_renderer_256.safetensors"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = LipSyncSettings()
    parser.add_argument("--video", type=Path, required=True, help="who is to speak")
    parser.add_argument("--audio", type=Path, required=True, help="what is to be said")
    parser.add_argument("--out", type=Path, required=True, help="the finished mp4")
    parser.add_argument(
        "--style",
        type=Path,
        action="append",
        default=[],
        help="a clip of how the person talks, or a style file; may be repeated "
        "(default: the video's own speech)",
    )
    parser.add_argument(
        "--reference",
        type=Path,
        action="append",
        default=[],
        help="another clip of the face, for its teeth; may be repeated with clips of the same size",
    )
    parser.add_argument(
        "--occluder",
        type=Path,
        help="a picture, or a video of as many frames, that is white where something in front of "
        "the face must stay",
    )
    parser.add_argument("--strength", type=float, default=defaults.strength, help="of the style")
    parser.add_argument("--policy", choices=get_args(FitPolicy), default=defaults.policy)
    parser.add_argument("--face", type=int, help="which face, counted from the left from 0")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="diffusion steps")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--predictor", type=Path, default=SHIPPED / PREDICTOR)
    parser.add_argument("--renderer", type=Path, default=SHIPPED / RENDERER)


def run(arguments: argparse.Namespace) -> str:
    if arguments.out.suffix.lower() != ".mp4":
        raise MediaError(f"{arguments.out} is not an .mp4: name the output something.mp4")
    clip, speech = open_clip(arguments.video), open_sound(arguments.audio)
    models = load_models(arguments.predictor, arguments.renderer)
    settings = LipSyncSettings(
        strength=arguments.strength,
        face=FaceChoice() if arguments.face is None else FaceChoice(index=arguments.face),
        policy=arguments.policy,
        steps=arguments.steps,
        seed=arguments.seed,
    )
    style = _read_styles(models, arguments.style)
    others = [open_clip(path) for path in arguments.reference]
    reference = chain_clips(others) if others else None
    occluder = open_clip(arguments.occluder) if arguments.occluder else None
    with progress_bar("track", "frame") as on_progress:
        result = lip_sync(models, clip, speech, settings, style, reference, on_progress, occluder)
    with progress_bar("render", "frame") as on_progress:
        result.write(arguments.out, on_progress)
    return str(arguments.out)


def _read_styles(models: Models, paths: list[Path]) -> StyleReference | None:
    style: StyleReference | None = None
    for path in paths:
        if path.suffix == ".safetensors":
            style = load_style(path) if style is None else extend_style(style, load_style(path))
        else:
            with progress_bar(f"style {path.name}", "frame") as on_progress:
                style = read_style(
                    models.landmarker,
                    models.encoder,
                    models.predictor,
                    open_clip(path),
                    extend=style,
                    source=named_fingerprint(path),
                    on_progress=on_progress,
                )
    return style
