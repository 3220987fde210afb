"""The tables of the mode "style": families by speaker, people by speaker, who beats whom."""

from collections.abc import Iterator, Sequence
from typing import Any

from .blocks import Block, Heading, Items, Paragraph, Table
from .held_out_styles import NEVER_TRAINED
from .people_benchmark import MODE as PEOPLE
from .people_benchmark import summarise_people, wins
from .results import Results, Row
from .running import EXCLUDED
from .statistics import Estimate
from .style_benchmark import MODE as HELD_OUT
from .style_benchmark import compare_held_out, summarise_held_out
from .table import number, tell

STYLE_MODES = (HELD_OUT, PEOPLE)


def style_rows(results: Results) -> dict[str, list[Row]]:
    """The rows of STYLE_MODES, of each mode that has any."""
    found = {mode: [row for row in results.rows if row.mode == mode] for mode in STYLE_MODES}
    return {mode: rows for mode, rows in found.items() if rows}


def style_blocks(mode: str, rows: Sequence[Row]) -> Iterator[Block]:
    """What the page says of one of STYLE_MODES."""
    kept = [row for row in rows if row.subject != EXCLUDED]
    if kept:
        yield from _held_out_blocks(kept) if mode == HELD_OUT else _people_blocks(kept)
    if left_out := [row for row in rows if row.subject == EXCLUDED]:
        yield Items([f"excluded: {row.clip}: {row.notes['reason']}" for row in left_out])


def style_machine(mode: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The same figures for programs."""
    rows = [row for row in rows if row.subject != EXCLUDED]
    if mode == PEOPLE:
        return {"figures": _plain(summarise_people(list(rows)))}
    subject = next(iter(dict.fromkeys(row.subject for row in rows)), "")
    return {
        "figures": _plain(summarise_held_out(list(rows))),
        f"error minus that of {subject}": _plain(compare_held_out(list(rows), subject)),
    }


def _plain(table: Any) -> Any:
    if isinstance(table, Estimate):
        named = {"mean": table.mean, "low": table.low, "high": table.high}
        known = {k: v if v == v else None for k, v in named.items()}  # nan is not itself
        return known | {"count": table.count}
    return {key: _plain(inner) for key, inner in table.items()}


def _held_out_blocks(rows: list[Row]) -> Iterator[Block]:
    found = summarise_held_out(rows)
    speakers = list(dict.fromkeys(row.subject for row in rows))
    clips = len({row.clip for row in rows})
    styles = len({row.notes["style"] for row in rows})
    yield Heading("Held-out styles", 2)
    yield Paragraph(
        f"{clips} target clips, {styles} styles. Captured: the part of what a style changes that "
        "the reference brought back; 0 is blind, 1 is as good as knowing the style. Families that "
        f"training never drew: {', '.join(NEVER_TRAINED)}."
    )
    yield _by_family(found, speakers, "captured")
    yield Paragraph("Told from 20 styles by whose change of the lips it shows; chance is .05.")
    yield _by_family(found, speakers, "retrieved")
    yield Paragraph(
        f"Lip error of {speakers[0]}, % of the eye distance: with the right reference, with "
        "another style's, with none, and the oracle's."
    )
    columns = ["error right", "error other", "error none", "error oracle"]
    lines = [[f, *(tell(found[f][speakers[0]][c]) for c in columns)] for f in found]
    yield Table(["family", *columns], lines)
    compared = compare_held_out(rows, speakers[0])
    if others := speakers[1:]:
        yield Paragraph(
            f"Lip error of {speakers[0]} minus that of the others, right references both, clip by "
            "clip: below 0 it is better."
        )
        lines = [[f, *(tell(compared[f].get(name)) for name in others)] for f in compared]
        yield Table(["family", *others], lines)


def _by_family(
    found: dict[str, dict[str, dict[str, Estimate]]], speakers: list[str], figure: str
) -> Table:
    lines = [[f, *(tell(found[f][name][figure]) for name in speakers)] for f in found]
    return Table([f"family, {figure}", *speakers], lines)


def _people_blocks(rows: list[Row]) -> Iterator[Block]:
    found = summarise_people(rows)
    speakers = list(dict.fromkeys(row.subject for row in rows))
    people = len({row.person for row in rows})
    yield Heading("People", 2)
    yield Paragraph(
        f"{people} people, {len({row.clip for row in rows})} clips, sound offsets repaired, each "
        "clip's mean shape left out of errors (% of the eye distance). Means over people who have "
        "what is compared, n beside."
    )
    lines = [
        [name, *(_with_count(table.get(speaker)) for speaker in speakers)]
        for name, table in found.items()
    ]
    yield Table(["", *speakers], lines)
    told = [
        f"{name}: own clip better than another person's in {won} of {count} target clips"
        for name in speakers
        for won, count in [wins(rows, name)]
        if count
    ]
    first = [row for row in rows if row.subject == speakers[0]]
    offsets = ", ".join(f"{r.clip} {number(r.figures['sound offset'])}" for r in first)
    told.append(f"sound offsets that were repaired, steps of 40 ms: {offsets}")
    told += [
        f"seen in training, in other clips: {person} by {weights}"
        for person, weights in {
            row.person: row.notes["seen by"] for row in first if "seen by" in row.notes
        }.items()
    ]
    yield Items(told)


def _with_count(found: Estimate | None) -> str:
    return f"{tell(found)} n={found.count}" if found is not None else ""
