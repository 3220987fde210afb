"""`style-sheet`: one sentence in several styles, as a picture of curves and lips."""

import argparse
from pathlib import Path

from ..audio.encoder import load_speech_encoder
from ..audio.features import encode_speech
from ..checkpoint import load_model
from ..errors import MediaError
from ..evaluation.plots import write_picture
from ..evaluation.style_sheet import style_sheet
from ..face.landmarking import FaceLandmarker
from ..media.audio_file import read_audio
from ..media.file_clip import open_clip
from ..motion.prediction import predict_lip_motion
from ..motion.predictor import MotionPredictor
from ..motion.style import extend_style
from ..motion.style_file import load_style
from ..pipeline import read_style
from ..types import StyleReference
from ..weights import FACE_LANDMARKER, SHIPPED, SPEECH_ENCODER, find


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--speech", type=Path, required=True, help="what is to be said")
    parser.add_argument(
        "--style",
        action="append",
        required=True,
        metavar="NAME=FILE[,FILE...]",
        help="a style file, or clips of how a person talks; may be repeated",
    )
    parser.add_argument("--strength", type=float, default=1.0, help="of the styles")
    parser.add_argument("--out", type=Path, required=True, help="the picture, .png")
    parser.add_argument("--predictor", type=Path, default=SHIPPED / "motion_predictor.safetensors")


def run(arguments: argparse.Namespace) -> str:
    if arguments.out.suffix.lower() != ".png":
        raise MediaError(f"{arguments.out} is not a .png: name the picture something.png")
    named = named_styles(arguments.style)
    landmarker = FaceLandmarker.load(find(FACE_LANDMARKER))
    encoder = load_speech_encoder(find(SPEECH_ENCODER))
    predictor = load_model(arguments.predictor, MotionPredictor)
    audio = read_audio(arguments.speech)
    speech = encode_speech(encoder, audio)

    def displacement(style: StyleReference | None):
        motion = predict_lip_motion(predictor, speech, style, arguments.strength)
        return predictor.basis.displacement(motion.coefficients)

    motions = {}
    for name, files in named.items():
        styles = [_read(file, landmarker, encoder, predictor) for file in files]
        motions[name] = displacement(extend_style(*styles))
    write_picture(arguments.out, style_sheet(audio, motions, displacement(None)))
    return str(arguments.out)


def named_styles(texts: list[str]) -> dict[str, list[Path]]:
    """name -> files, as --style gives them; MediaError when they are written otherwise."""
    found: dict[str, list[Path]] = {}
    for text in texts:
        name, _, files = text.partition("=")
        if not name or not files or name in found:
            raise MediaError(f"--style {text}: needed NAME=FILE[,FILE...], each name once")
        found[name] = [Path(file) for file in files.split(",")]
    return found


def _read(path: Path, landmarker, encoder, predictor: MotionPredictor) -> StyleReference:
    if path.suffix == ".safetensors":
        return load_style(path)
    return read_style(landmarker, encoder, predictor, open_clip(path), source=path.name)
