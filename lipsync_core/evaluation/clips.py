"""Which clips an evaluation looks at: a folder, its splits, who is in which clip."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import EvaluationError
from ..media.fingerprint import file_fingerprint
from ..training.preparation import VIDEO_SUFFIXES

SPLITS_FILE = "splits.json"
NO_SPLIT = ""
"""Of clips that no list of splits names."""


@dataclass(frozen=True)
class EvaluationClip:
    """One file with one person who talks."""

    path: Path
    name: str
    person: str
    split: str
    """"train", "validation", "test", or NO_SPLIT."""
    fingerprint: str
    """media.fingerprint of the file."""


def find_clips(
    folder: Path,
    splits: Mapping[str, Sequence[str]] | None = None,
    people: Mapping[str, str] | None = None,
    person: str | None = None,
) -> list[EvaluationClip]:
    """Every video under `folder`, by name.

    splits: split -> names without suffix. people: name -> person; without it everybody is `person`,
    or every file is a person of its own. EvaluationError when there is no video, when two have one
    name, or when a list names clips that are not there or leaves some out.
    """
    found = [p for p in folder.rglob("*") if p.suffix.lower() in VIDEO_SUFFIXES]
    paths = sorted(found, key=lambda path: (path.stem, path))
    names = [path.stem for path in paths]
    if not paths:
        raise EvaluationError(f"no video files under {folder}: name a folder of clips")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise EvaluationError(f"two files of one name under {folder}: {_some(twice)}; rename one")
    split_of = {name: split for split, members in (splits or {}).items() for name in members}
    if absent := sorted(split_of.keys() - set(names)):
        raise EvaluationError(f"the splits name clips that are not under {folder}: {_some(absent)}")
    if people is not None and (unnamed := sorted(set(names) - people.keys())):
        raise EvaluationError(f"the list of people does not say who is in {_some(unnamed)}")
    return [
        EvaluationClip(
            path,
            path.stem,
            people[path.stem] if people is not None else person or path.stem,
            split_of.get(path.stem, NO_SPLIT),
            file_fingerprint(path),
        )
        for path in paths
    ]


def evaluated_clips(
    clips: Sequence[EvaluationClip], split: str = "test", limit: int | None = None
) -> list[EvaluationClip]:
    """The clips of `split`, or all where nothing is split; of many, `limit` evenly spaced ones.

    EvaluationError when there are splits and this one is empty; ValueError for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}, at least 1 clip is needed")
    splits = {clip.split for clip in clips} - {NO_SPLIT}
    chosen = [clip for clip in clips if clip.split == split] if splits else list(clips)
    if not chosen:
        raise EvaluationError(f"no clip is of split {split!r}; there are {sorted(splits)}")
    if limit is None or limit >= len(chosen):
        return chosen
    return [chosen[index * len(chosen) // limit] for index in range(limit)]


def read_splits(path: Path) -> dict[str, list[str]]:
    """{"train": [names], "validation": [names], "test": [names]} from JSON."""
    splits = _read_json(path)
    if not all(isinstance(names, list) for names in splits.values()):
        raise EvaluationError(f'{path}: needed {{"test": [names of clips], ...}}')
    names = [name for members in splits.values() for name in members]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise EvaluationError(f"{path} has clips in two splits: {_some(twice)}; keep one of each")
    return splits


def read_people(path: Path) -> dict[str, str]:
    """{clip: person} from JSON."""
    people = _read_json(path)
    if not all(isinstance(person, str) for person in people.values()):
        raise EvaluationError(f'{path}: needed {{"name of a clip": "person", ...}}')
    return people


def _read_json(path: Path) -> dict:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EvaluationError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(found, dict):
        raise EvaluationError(f"{path} holds no JSON object: needed names and what they belong to")
    return found


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
