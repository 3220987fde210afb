"""Goes through clips and modes, keeps what was found, and goes on where a run was stopped."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

from ..errors import EvaluationError
from ..types import OnProgress
from .bench import UNFIT, Bench
from .clips import EvaluationClip
from .exhibits import show
from .modes import MODES as RESPEAKING_MODES
from .modes import Finding
from .renderer_mode import RENDERER, measure_renderer
from .results import Results, Row

EXCLUDED = "excluded"
"""Subject of the row of a clip that could not be evaluated; its notes say the "reason"."""
RUN_FILE = "run.json"


@dataclass(frozen=True)
class Timing:
    """Of this part of the run; no figure, because no two runs take the same time."""

    clips: int
    seconds: float


def evaluate(
    bench: Bench,
    modes: Sequence[str],
    results: Results,
    seen: dict[str, list[str]] | None = None,
    shown: int = 0,
    on_progress: OnProgress | None = None,
) -> Timing:
    """Adds the rows of every clip and mode that `results` does not have yet.

    seen: person -> weights that know the person, which the rows then say. Pictures are made of
    `shown` clips, spread evenly. Clips that cannot be evaluated get a row with the reason.
    """
    todo = [(clip, mode) for clip in bench.clips for mode in modes]
    show_names = _spread(bench.clips, shown)
    began, done_clips = monotonic(), 0
    for done, (clip, mode) in enumerate(todo):
        if not results.has(mode, clip.name):
            rows = _find(bench, clip, mode, results.folder if clip.name in show_names else None)
            results.add([with_seen(row, seen or {}) for row in rows])
            done_clips += 1
        if on_progress is not None:
            on_progress(done + 1, len(todo))
    return Timing(done_clips, monotonic() - began)


def _find(bench: Bench, clip: EvaluationClip, mode: str, folder: Path | None) -> list[Row]:
    try:
        finding = _measure(bench, clip, mode)
    except UNFIT as error:
        return [Row(mode, clip.name, clip.person, EXCLUDED, {}, notes={"reason": str(error)})]
    return finding.rows if folder is None else _with_files(finding, folder, mode, clip.name)


def _measure(bench: Bench, clip: EvaluationClip, mode: str) -> Finding:
    if mode == RENDERER:
        return measure_renderer(bench, clip)
    return RESPEAKING_MODES[mode](bench, bench.subject(clip))


def _with_files(finding: Finding, folder: Path, mode: str, name: str) -> list[Row]:
    files = show(finding.exhibit, folder, mode, name)
    first, *rest = finding.rows
    return [replace(first, files=first.files | files), *rest]


def with_seen(row: Row, seen: Mapping[str, list[str]]) -> Row:
    """The row, saying which weights saw its person in training."""
    weights = seen.get(row.person)
    return replace(row, notes=row.notes | {"seen by": ", ".join(weights)}) if weights else row


def _spread(clips: Sequence[EvaluationClip], count: int) -> set[str]:
    count = min(count, len(clips))
    return {clips[index * len(clips) // count].name for index in range(count)}


def open_results(folder: Path, record: dict[str, Any], same: Sequence[str]) -> Results:
    """The results in `folder`, new or of the same run; EvaluationError when it holds another one.

    record: what the run is, kept as RUN_FILE. same: those of its entries that must not differ.
    """
    path = folder / RUN_FILE
    if path.is_file():
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise EvaluationError(f"{path} is damaged ({error}): choose another --out") from error
        other = [name for name in same if kept.get(name) != record[name]]
        if other:
            raise EvaluationError(
                f"{folder} holds another run (other {', '.join(other)}): choose another --out, or "
                "delete it"
            )
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(json.dumps(record, indent=1), encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return Results(folder)
