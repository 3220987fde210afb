"""`train`: any of the pack's networks from prepared clips; the same command resumes."""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..checkpoint import load_model
from ..errors import TrainingError
from ..media.fingerprint import file_fingerprint
from ..motion.predictor import MotionPredictor
from ..render.renderer import LipRenderer
from ..sync.expert import SyncExpert
from ..training import codec, predictor, renderer, sync_expert
from ..training.loop import Task, train
from ..training.prepared import describe, read_prepared
from .progress import progress_bar

PRESETS: dict[str, Any] = codec.PRESETS | predictor.PRESETS | renderer.PRESETS | sync_expert.PRESETS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("preset", choices=sorted(PRESETS), help="the recipe to start from")
    parser.add_argument("--prepared", type=Path, required=True, help="folder of prepared clips")
    parser.add_argument("--run", type=Path, required=True, help="folder of the run")
    parser.add_argument(
        "--codec", type=Path, help="renderer only: a codec, or a renderer that has it"
    )
    parser.add_argument("--predictor", type=Path, help="renderer only: whose basis it draws")
    parser.add_argument(
        "--basis", type=Path, help="predictor only: a basis, or a predictor, to take it from"
    )
    parser.add_argument(
        "--earlier-expert",
        type=Path,
        help="predictor and sync expert: a sync expert that tells how late the clips' sound is, so "
        "that it is repaired",
    )
    parser.add_argument(
        "--teacher",
        type=Path,
        help="predictor only: a sync expert of landmarks, for a sync_weight above 0",
    )
    parser.add_argument(
        "--start",
        type=Path,
        help="trained weights to go on from; a codec may come out of a renderer",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change a field of the recipe, such as loop.steps=2000; may be repeated",
    )
    parser.add_argument("--dry-run", action="store_true", help="print the recipe and stop")


def run(arguments: argparse.Namespace) -> str:
    recipe = PRESETS[arguments.preset]
    for assignment in arguments.set:
        name, _, value = assignment.partition("=")
        recipe = changed(recipe, name.split("."), value)
    if arguments.dry_run:
        return json.dumps(asdict(recipe), indent=2)
    task = build_task(arguments, recipe)
    provenance = {
        "data": describe(read_prepared(arguments.prepared, "train")),
        "recipe": asdict(recipe),
    }
    if arguments.start is not None:
        provenance["started_from"] = f"{arguments.start.name} {file_fingerprint(arguments.start)}"
    with progress_bar(f"train {arguments.preset}", "step") as on_progress:
        path = train(task, arguments.run, recipe.loop, provenance, on_progress)
    return str(path)


def build_task(arguments: argparse.Namespace, recipe: Any) -> Task:
    """The task of a recipe; TrainingError when an input it needs was not named."""
    if isinstance(recipe, codec.CodecRecipe):
        begun = None if arguments.start is None else renderer.read_codec(arguments.start)
        return codec.build_codec_task(arguments.prepared, recipe, begun)
    path = arguments.earlier_expert
    earlier = None if path is None else load_model(path, SyncExpert)
    if isinstance(recipe, predictor.PredictorRecipe):
        given = None if arguments.basis is None else renderer.read_basis(arguments.basis)
        start = None if arguments.start is None else load_model(arguments.start, MotionPredictor)
        teacher = None if arguments.teacher is None else load_model(arguments.teacher, SyncExpert)
        return predictor.build_predictor_task(
            arguments.prepared, recipe, given, earlier, start, teacher
        )
    if isinstance(recipe, sync_expert.SyncRecipe):
        return sync_expert.build_sync_task(arguments.prepared, recipe, earlier)
    if arguments.codec is None or arguments.predictor is None:
        raise TrainingError(
            "a renderer is trained on a codec's latents and a predictor's basis: "
            "name both by --codec and --predictor"
        )
    start = None if arguments.start is None else load_model(arguments.start, LipRenderer)
    return renderer.build_renderer_task(
        arguments.prepared, arguments.codec, arguments.predictor, recipe, start
    )


def changed(recipe: Any, names: list[str], value: str) -> Any:
    """The recipe with one field changed, read by the type of its present value."""
    known = asdict(recipe)
    if names[0] not in known:
        raise TrainingError(f"the recipe has no {names[0]!r}: it has {sorted(known)}")
    present = getattr(recipe, names[0])
    if len(names) > 1:
        return replace(recipe, **{names[0]: changed(present, names[1:], value)})
    try:
        parsed = value if isinstance(present, str) else json.loads(value)
    except json.JSONDecodeError as error:
        raise TrainingError(f"{names[0]}={value} is no value: {error}") from error
    return replace(recipe, **{names[0]: tuple(parsed) if isinstance(parsed, list) else parsed})
