"""No clip is evaluated that a weight was trained on; people that it has seen are named."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..checkpoint import Header
from ..errors import EvaluationError
from .clips import NO_SPLIT, EvaluationClip

_SHOWN = 5


@dataclass(frozen=True)
class Overlap:
    """What the headers of the weights say of the clips, as far as it is no reason to refuse."""

    seen: dict[str, list[str]] = field(default_factory=dict)
    """person -> weights that saw other clips of the person in training."""
    unknown: dict[str, str] = field(default_factory=dict)
    """weight -> why it is not known whether it was trained on the clips."""


def refuse_overlap(headers: Mapping[str, Header], clips: Sequence[EvaluationClip]) -> Overlap:
    """EvaluationError when a weight was trained on one of `clips`; else what else is known.

    headers: file name of a weight -> its header. A clip is known again by its fingerprint or,
    where a header lists none, by its name within the splits that the header names.
    """
    seen: dict[str, list[str]] = {}
    unknown: dict[str, str] = {}
    for weight, header in headers.items():
        sources = list(_sources(header.provenance))
        trained_on = [clip.name for clip in clips if any(_has(data, clip) for data in sources)]
        if trained_on:
            raise EvaluationError(
                f"{weight} was trained on {len(trained_on)} of the {len(clips)} clips "
                f"({_listed(trained_on)}): figures on them say nothing; evaluate another split or "
                "clips that it has not seen"
            )
        if why := _why_unknown(sources):
            unknown[weight] = why
        people = {name.casefold() for data in sources for name in data.get("people_names", [])}
        for person in sorted({clip.person for clip in clips}):
            if person.casefold() in people:
                seen.setdefault(person, []).append(weight)
    return Overlap(seen, unknown)


def _sources(provenance: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The entries that training.prepared.describe writes, however deep: a weight may carry those
    of the weights that it was built on."""
    for key, value in provenance.items():
        if key == "data" and isinstance(value, dict):
            yield from (entry for entry in value.values() if isinstance(entry, dict))
        elif isinstance(value, dict):
            yield from _sources(value)


def _has(data: Mapping[str, Any], clip: EvaluationClip) -> bool:
    fingerprints = data.get("fingerprints", [])
    if clip.fingerprint in fingerprints:
        return True
    if fingerprints and len(fingerprints) == data.get("clips"):
        return False  # another clip of the same name
    fits = clip.split == NO_SPLIT or clip.split in data.get("split", [clip.split])
    return fits and clip.name in data.get("names", [])


def _why_unknown(sources: Sequence[Mapping[str, Any]]) -> str:
    if not sources:
        return "its header does not say what it was trained on"
    vague = [data for data in sources if not data.get("fingerprints") and not data.get("names")]
    if not vague:
        return ""
    splits = sorted({split for data in vague for split in data.get("split", [])})
    counted = sum(data.get("clips", 0) for data in vague)
    return f"its header counts {counted} clips of split {_listed(splits)} without naming them"


def _listed(names: Iterable[str]) -> str:
    known = list(names)
    if len(known) <= _SHOWN:
        return ", ".join(known) or "unnamed"
    return ", ".join(known[:_SHOWN]) + f" and {len(known) - _SHOWN} more"
