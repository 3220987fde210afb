"""`evaluate`: real clips re-spoken and measured, beside what chance and the real clip score."""

import argparse
import hashlib
import json
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from ..checkpoint import Header, load_model, read_header
from ..errors import EvaluationError
from ..evaluation.bench import REFERENCE_CLIPS, Bench, style_pool
from ..evaluation.blocks import markdown
from ..evaluation.clips import (
    SPLITS_FILE,
    EvaluationClip,
    evaluated_clips,
    find_clips,
    read_people,
    read_splits,
)
from ..evaluation.common_steps import MINIMUM_STEPS
from ..evaluation.feature_distances import JudgingNetworks
from ..evaluation.modes import CROSS, RECONSTRUCTION, SILENT
from ..evaluation.overlap import Overlap, refuse_overlap
from ..evaluation.renderer_mode import RENDERER as RENDERER_MODE
from ..evaluation.report import HTML_FILE, mode_blocks, write_report
from ..evaluation.results import Results
from ..evaluation.running import Timing, evaluate, open_results
from ..evaluation.style_report import style_blocks, style_machine, style_rows
from ..evaluation.sync_measures import JUDGE
from ..evaluation.table import ModeTable, machine_table
from ..media.fingerprint import file_sha256
from ..pipeline import LipSyncSettings, load_models
from ..sync.expert import SyncExpert
from ..weights import SHIPPED
from .evaluate_style import add_style_arguments, evaluate_style, ridge_header, rivals
from .progress import progress_bar
from .sync import PREDICTOR, RENDERER

STYLE = "style"
MODES = {
    "reconstruction": RECONSTRUCTION,
    "cross": CROSS,
    "silent": SILENT,
    RENDERER_MODE: RENDERER_MODE,
    STYLE: STYLE,
}
"""What a user types -> the mode."""
DEFAULT_MODES = ("reconstruction", "cross", "silent")
MUST_NOT_DIFFER = ("weights", "clips", "settings")
"""Entries of a run's record that a run which goes on must share."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    defaults = LipSyncSettings()
    parser.add_argument(
        "modes",
        nargs="*",
        metavar="MODE",
        help=f"of {', '.join(MODES)} (default: {', '.join(DEFAULT_MODES)})",
    )
    parser.add_argument("--clips", type=Path, required=True, help="folder of clips with sound")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; resumes")
    parser.add_argument(
        "--splits", type=Path, help=f"JSON: split -> names (default: {SPLITS_FILE} in the folder)"
    )
    parser.add_argument("--split", default="test", help="which one is evaluated (default test)")
    parser.add_argument("--limit", type=int, help="only so many clips, evenly spaced")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--person", help="who is in all clips (default: every file is a person)")
    who.add_argument("--people", type=Path, help="JSON: clip -> person")
    parser.add_argument(
        "--style-clips",
        type=Path,
        nargs="+",
        default=[],
        help="read the style of all clips there (default: of other clips of the person, up to "
        "--reference-clips of the validation split, else of the clip's own first half)",
    )
    parser.add_argument(
        "--reference-clips",
        type=int,
        default=REFERENCE_CLIPS,
        help="other clips of a person, at most, that give style and reference pictures (default 3)",
    )
    parser.add_argument("--alignments", type=Path, help="folder of GRID .align files")
    parser.add_argument("--strength", type=float, default=defaults.strength, help="of the style")
    parser.add_argument("--steps", type=int, default=defaults.steps, help="diffusion steps")
    parser.add_argument(
        "--references",
        type=int,
        default=defaults.references,
        help="frames that each rendered one looks at, 1 to 16",
    )
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--threads", type=int, default=1, help="(default 1: always the same sums)")
    parser.add_argument("--pictures", type=int, default=12, help="clips that the page shows")
    parser.add_argument("--predictor", type=Path, default=SHIPPED / PREDICTOR)
    parser.add_argument("--renderer", type=Path, default=SHIPPED / RENDERER)
    parser.add_argument(
        "--judge", type=Path, help=f"a sync expert (default: {JUDGE} if it is shipped)"
    )
    parser.add_argument(
        "--without-networks",
        action="store_true",
        help="leave perceptual, identity and Frechet distances out; they take half of the time",
    )
    renderer = parser.add_argument_group("mode renderer")
    renderer.add_argument(
        "--frames", type=int, default=40, help="of a clip's middle, rendered (default 40)"
    )
    renderer.add_argument(
        "--other-person",
        type=Path,
        help="a clip whose face the references of a control show (default: a clip in the folder of "
        "another person, if there is one)",
    )
    add_style_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the tables as JSON")


def run(arguments: argparse.Namespace) -> str:
    modes = _modes(arguments.modes)
    if arguments.limit is not None and arguments.limit < 1:
        raise EvaluationError(f"--limit {arguments.limit}: at least 1 clip is needed")
    if arguments.frames < MINIMUM_STEPS:
        raise EvaluationError(f"--frames {arguments.frames}: at least {MINIMUM_STEPS} are needed")
    if arguments.reference_clips < 1:
        raise EvaluationError(
            f"--reference-clips {arguments.reference_clips}: at least 1 clip is needed"
        )
    torch.set_num_threads(arguments.threads)
    everything = _find(arguments)
    clips = evaluated_clips(everything, arguments.split, arguments.limit)
    weights = _weights(arguments)
    overlap = refuse_overlap(headers_of(weights) | ridge_header(arguments), clips)
    record = _record(arguments, weights, clips, overlap)
    results = open_results(arguments.out, record, MUST_NOT_DIFFER)
    timing = Timing(0, 0.0)
    if respoken := [mode for mode in modes if mode != STYLE]:
        bench = _bench(arguments, weights, everything, clips)
        with progress_bar("evaluate", "clip") as on_progress:
            timing = evaluate(
                bench, respoken, results, overlap.seen, arguments.pictures, on_progress
            )
    if STYLE in modes:
        evaluate_style(arguments, clips, weights.get("judge"), overlap.seen, results)
    tables = write_report(results, record)
    if arguments.json:
        return _machine_readable(record, tables, results, timing)
    return _readable(tables, results, arguments.out / HTML_FILE)


def _modes(chosen: list[str]) -> list[str]:
    if unknown := [name for name in chosen if name not in MODES]:
        raise EvaluationError(f"there is no mode {unknown[0]!r}: choose of {', '.join(MODES)}")
    return [mode for name, mode in MODES.items() if name in (chosen or DEFAULT_MODES)]


def _find(arguments: argparse.Namespace) -> list[EvaluationClip]:
    splits = arguments.splits or arguments.clips / SPLITS_FILE
    return find_clips(
        arguments.clips,
        read_splits(splits) if arguments.splits or splits.is_file() else None,
        read_people(arguments.people) if arguments.people else None,
        arguments.person,
    )


def _weights(arguments: argparse.Namespace) -> dict[str, Path]:
    weights = {"predictor": arguments.predictor, "renderer": arguments.renderer}
    judge = arguments.judge or SHIPPED / JUDGE
    if arguments.judge or judge.is_file():
        weights["judge"] = judge
    return weights | rivals(arguments)


def headers_of(weights: dict[str, Path]) -> dict[str, Header]:
    """File name -> header of every weight; where two files have one name, what each is for tells
    them apart, so that none is left out."""
    names = Counter(path.name for path in weights.values())
    return {
        path.name if names[path.name] == 1 else f"{path.name} ({what})": read_header(path)
        for what, path in weights.items()
    }


def _bench(
    arguments: argparse.Namespace,
    weights: dict[str, Path],
    everything: list[EvaluationClip],
    clips: list[EvaluationClip],
) -> Bench:
    settings = LipSyncSettings(
        strength=arguments.strength,
        steps=arguments.steps,
        seed=arguments.seed,
        references=arguments.references,
    )
    return Bench(
        models=load_models(weights["predictor"], weights["renderer"]),
        expert=load_model(weights["judge"], SyncExpert) if "judge" in weights else None,
        settings=settings,
        folder=arguments.out,
        clips=clips,
        style_pool=style_pool(everything, clips),
        style_clips=arguments.style_clips,
        networks=None if arguments.without_networks else JudgingNetworks.load(),
        alignments=arguments.alignments,
        reference_clips=arguments.reference_clips,
        renderer_frames=arguments.frames,
        other_person=arguments.other_person,
    )


def _record(
    arguments: argparse.Namespace,
    weights: dict[str, Path],
    clips: list[EvaluationClip],
    overlap: Overlap,
) -> dict[str, Any]:
    """What the run is; two runs of one record give the same numbers."""
    digest = hashlib.sha256("".join(clip.fingerprint for clip in clips).encode()).hexdigest()
    return {
        "command": " ".join(sys.argv[1:]),
        "weights": {name: f"{path.name} {file_sha256(path)}" for name, path in weights.items()},
        "clips": {
            "folder": arguments.clips.name,
            "split": arguments.split,
            "count": len(clips),
            "sha256 of their fingerprints": digest[:16],
        },
        "settings": {
            "seed": arguments.seed,
            "steps": arguments.steps,
            "references": arguments.references,
            "strength": arguments.strength,
            "reference clips": arguments.reference_clips,
            "style clips": [path.name for path in arguments.style_clips],
            "alignments": arguments.alignments is not None,
            "picture networks": not arguments.without_networks,
            "threads": arguments.threads,
            "renderer frames": arguments.frames,
            "other person": arguments.other_person and arguments.other_person.name,
        },
        "not known what it was trained on": overlap.unknown,
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }


def _machine_readable(
    record: dict[str, Any], tables: list[ModeTable], results: Results, timing: Timing
) -> str:
    told = {key: value for key, value in record.items() if key != "command"}
    seconds = {"clips measured": timing.clips, "seconds": round(timing.seconds, 1)}
    styles = {mode: style_machine(mode, rows) for mode, rows in style_rows(results).items()}
    found = {"run": told, "modes": machine_table(tables) | styles, "timing": seconds}
    return json.dumps(found, indent=1)


def _readable(tables: list[ModeTable], results: Results, page: Path) -> str:
    blocks = [b for mode, rows in style_rows(results).items() for b in style_blocks(mode, rows)]
    told = markdown(blocks + [block for table in tables for block in mode_blocks(table)])
    return f"{told}\n{page}"
