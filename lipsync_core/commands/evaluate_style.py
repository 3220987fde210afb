"""The mode "style" of `evaluate`: who reads a style from its reference, and how well."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..checkpoint import Header, load_model
from ..errors import EvaluationError
from ..evaluation.clips import EvaluationClip
from ..evaluation.drawn_styles import drawn_list
from ..evaluation.held_out_styles import held_out_list
from ..evaluation.other_encoders import also_hear
from ..evaluation.results import Results, Row
from ..evaluation.running import EXCLUDED
from ..evaluation.speakers import PredictorSpeaker, RidgeProbe, Speaker
from ..evaluation.style_mode import measure_style_clips, run_style
from ..face.landmarking import FaceLandmarker
from ..motion.predictor import MotionPredictor
from ..sync.expert import SyncExpert
from ..training.motion_clips import read_motion_clips
from ..training.prepared import describe, read_prepared
from ..weights import FACE_LANDMARKER, find
from .progress import progress_bar
from .speech_encoders import speech_encoders

RIDGE = "ridge probe"
STYLES = {
    "held-out": (held_out_list,),
    "drawn": (drawn_list,),
    "both": (held_out_list, drawn_list),
}
"""What a user types -> the lists of styles."""


def add_style_arguments(parser: argparse.ArgumentParser) -> None:
    """What only the mode "style" needs."""
    group = parser.add_argument_group("mode style")
    group.add_argument(
        "--against",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="another predictor, such as an ablation, judged beside --predictor; may be repeated; "
        "those named DESIGN@SEED are judged as one design",
    )
    group.add_argument(
        "--ridge", type=Path, help="prepared clips to fit the ridge probe on, the floor"
    )
    group.add_argument(
        "--styles",
        choices=STYLES,
        default="held-out",
        help="which of the frozen lists (default held-out)",
    )
    group.add_argument("--targets", type=int, help="styles on so many clips (default all)")


def rivals(arguments: argparse.Namespace) -> dict[str, Path]:
    """name -> predictor file, as --against gives them."""
    found = {}
    for text in arguments.against:
        name, _, file = text.partition("=")
        if not name or not file or name in found:
            raise EvaluationError(f"--against {text}: needed NAME=FILE, each name once")
        found[name] = Path(file)
    return found


def ridge_header(arguments: argparse.Namespace) -> dict[str, Header]:
    """What the ridge probe is fitted on, as the header of a weight would say it."""
    if arguments.ridge is None:
        return {}
    data = {"data": describe(read_prepared(arguments.ridge, "train"))}
    return {RIDGE: Header(kind="RidgeProbe", config={}, provenance=data)}


def evaluate_style(
    arguments: argparse.Namespace,
    clips: Sequence[EvaluationClip],
    judge: Path | None,
    seen: dict[str, list[str]],
    results: Results,
) -> None:
    """Adds what the mode finds to `results`."""
    predictors = {
        name: load_model(path, MotionPredictor)
        for name, path in {
            arguments.predictor.stem: arguments.predictor,
            **rivals(arguments),
        }.items()
    }
    speakers: dict[str, Speaker] = {
        name: PredictorSpeaker(predictor, arguments.strength)
        for name, predictor in predictors.items()
    }
    encoder, others = speech_encoders(p.config.encoder for p in predictors.values())
    if arguments.ridge is not None:
        speakers[RIDGE] = RidgeProbe.fit(read_motion_clips(arguments.ridge, "train"))
    with progress_bar("measure", "clip") as on_progress:
        measured, excluded = measure_style_clips(
            FaceLandmarker.load(find(FACE_LANDMARKER)),
            encoder,
            clips,
            results.folder,
            on_progress,
        )
    for other in others:
        with progress_bar(f"hear {other.id}", "clip") as on_progress:
            measured = also_hear(other, clips, measured, results.folder, on_progress)
    lists = [read() for read in STYLES[arguments.styles]]
    for clip in clips:
        if clip.name in excluded and not results.has(lists[0].mode, clip.name):
            notes = {"reason": excluded[clip.name]}
            results.add([Row(lists[0].mode, clip.name, clip.person, EXCLUDED, {}, notes=notes)])
    with progress_bar("style", "clip") as on_progress:
        run_style(
            speakers,
            measured,
            results,
            alignments=arguments.alignments,
            expert=None if judge is None else load_model(judge, SyncExpert),
            targets=arguments.targets,
            lists=lists,
            seen=seen,
            on_progress=on_progress,
        )
