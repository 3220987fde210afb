"""The tables of the mode "style": families by speaker, people by speaker, who beats whom."""

from collections.abc import Iterator, Sequence
from typing import Any

from .blocks import Block, Heading, Items, Paragraph, Table
from .drawn_styles import MODE as DRAWN
from .held_out_styles import MODE as HELD_OUT
from .held_out_styles import NEVER_TRAINED
from .neutral_shapes import MODE as NEUTRAL
from .neutral_shapes import summarise_neutral_shapes
from .own_speech import MODE as OWN_SPEECH
from .own_speech import summarise_own_speech
from .people_benchmark import MODE as PEOPLE
from .people_benchmark import summarise_people, wins
from .results import Results, Row
from .running import EXCLUDED
from .seeds import pooled, seeds_of
from .statistics import Estimate
from .style_benchmark import compare_relatively, compare_styles, summarise_styles
from .table import number, tell

STYLE_MODES = (HELD_OUT, DRAWN, OWN_SPEECH, PEOPLE, NEUTRAL)
_INTRODUCTIONS = {
    HELD_OUT: f"Families that training never drew: {', '.join(NEVER_TRAINED)}.",
    DRAWN: "Families that training never drew: those that begin with P.",
}


def style_rows(results: Results) -> dict[str, list[Row]]:
    """The rows of STYLE_MODES, of each mode that has any."""
    found = {mode: [row for row in results.rows if row.mode == mode] for mode in STYLE_MODES}
    return {mode: rows for mode, rows in found.items() if rows}


def style_blocks(mode: str, rows: Sequence[Row]) -> Iterator[Block]:
    """What the page says of one of STYLE_MODES."""
    kept = [row for row in rows if row.subject != EXCLUDED]
    if kept and mode == PEOPLE:
        yield from _people_blocks(kept)
    elif kept and mode == NEUTRAL:
        yield from _neutral_blocks(kept)
    elif kept and mode == OWN_SPEECH:
        yield from _own_speech_blocks(kept)
    elif kept:
        yield from _list_blocks(mode, kept)
    if left_out := [row for row in rows if row.subject == EXCLUDED]:
        yield Items([f"excluded: {row.clip}: {row.notes['reason']}" for row in left_out])


def style_machine(mode: str, rows: Sequence[Row]) -> dict[str, Any]:
    """The same figures for programs."""
    rows = [row for row in rows if row.subject != EXCLUDED]
    if mode == PEOPLE:
        return {"figures": _plain(summarise_people(list(rows)))}
    if mode == NEUTRAL:
        return {"figures": _plain(summarise_neutral_shapes(rows))}
    by_seed = {
        subject: [row for row in rows if row.subject == subject]
        for own in seeds_of(rows).values()
        for subject in own
    }
    rows = pooled(rows)
    summarise = summarise_own_speech if mode == OWN_SPEECH else summarise_styles
    told: dict[str, Any] = {"figures": _plain(summarise(rows))}
    if by_seed:
        told["figures by seed"] = _plain({s: summarise(own) for s, own in by_seed.items()})
    if mode != OWN_SPEECH:
        subjects = list(dict.fromkeys(row.subject for row in rows))
        for subject in subjects[:1]:
            told[f"error minus that of {subject}"] = _plain(compare_styles(rows, subject))
        told["relative error"] = {s: _plain(compare_relatively(rows, s)) for s in subjects}
    return told


def _plain(table: Any) -> Any:
    if isinstance(table, Estimate):
        named = {"mean": table.mean, "low": table.low, "high": table.high}
        known = {k: v if v == v else None for k, v in named.items()}  # nan is not itself
        return known | {"count": table.count}
    return {key: _plain(inner) for key, inner in table.items()}


def _list_blocks(mode: str, by_seed: list[Row]) -> Iterator[Block]:
    rows = pooled(by_seed)
    found = summarise_styles(rows)
    speakers = list(dict.fromkeys(row.subject for row in rows))
    clips = len({row.clip for row in rows})
    styles = len({row.notes["style"] for row in rows})
    yield Heading(mode.capitalize(), 2)
    yield Paragraph(
        f"{clips} target clips, {styles} styles. Captured: the part of what a style changes that "
        "the reference brought back; 0 is blind, 1 is as good as knowing the style. "
        + _INTRODUCTIONS[mode]
    )
    yield _by_family(found, speakers, "captured")
    if several := seeds_of(by_seed):
        yield from _seed_blocks(by_seed, several)
    yield Paragraph("Told from 20 styles by whose change of the lips it shows; chance is .05.")
    yield _by_family(found, speakers, "retrieved")
    yield Paragraph("Told from the same 20 as the one whose lips are nearest, by lip error.")
    yield _by_family(found, speakers, "nearest")
    columns = ["error right", "error other", "error none", "error oracle"]
    for name in speakers if mode == DRAWN else speakers[:1]:
        yield Paragraph(
            f"Lip error of {name}, % of the eye distance: with the right reference, with another "
            "style's, with none, and the oracle's."
        )
        lines = [[f, *(tell(found[f][name][c]) for c in columns)] for f in found]
        yield Table(["family", *columns], lines)
    if others := speakers[1:]:
        compared = compare_styles(rows, speakers[0])
        yield Paragraph(
            f"Lip error of {speakers[0]} minus that of the others, right references both, clip by "
            "clip: below 0 it is better."
        )
        lines = [[f, *(tell(compared[f].get(name)) for name in others)] for f in compared]
        yield Table(["family", *others], lines)
        yield from _pair_blocks(rows, speakers)


def _seed_blocks(rows: list[Row], several: dict[str, list[str]]) -> Iterator[Block]:
    yield Paragraph("Captured by each seed of a design; above they are averaged clip by clip.")
    found = summarise_styles(rows)
    lines = [
        [
            f,
            *(
                ", ".join(number(table[s]["captured"].mean) for s in own)
                for own in several.values()
            ),
        ]
        for f, table in found.items()
    ]
    yield Table(["family", *several], lines)


def _pair_blocks(rows: list[Row], speakers: list[str]) -> Iterator[Block]:
    yield Paragraph(
        "Difference of the lip error, right references both, as part of the second one's: -.1 is "
        "10 % lower."
    )
    lines, families = [], list(summarise_styles(rows))
    for i, name in enumerate(speakers):
        compared = compare_relatively(rows, name)
        lines += [
            [f"{name} against {other}", *(tell(compared[f].get(other)) for f in families)]
            for other in speakers[i + 1 :]
        ]
    yield Table(["", *families], lines)


def _own_speech_blocks(by_seed: list[Row]) -> Iterator[Block]:
    rows = pooled(by_seed)
    found = summarise_own_speech(rows)
    speakers = list(dict.fromkeys(row.subject for row in rows))
    yield Heading("No style, own speech", 2)
    yield Paragraph(f"{len({row.clip for row in rows})} clips; no reference is shown.")
    lines = [[name, *(tell(table[s]) for s in speakers)] for name, table in found.items()]
    yield Table(["", *speakers], lines)
    if several := seeds_of(by_seed):
        yield Paragraph("By each seed of a design:")
        lines = [
            [n, *(", ".join(number(t[s].mean) for s in own) for own in several.values())]
            for n, t in summarise_own_speech(by_seed).items()
        ]
        yield Table(["", *several], lines)


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


def _neutral_blocks(rows: list[Row]) -> Iterator[Block]:
    found = summarise_neutral_shapes(rows)
    speakers = list(dict.fromkeys(row.subject for row in rows))
    yield Heading("Neutral shapes", 2)
    yield Paragraph(
        f"{len({row.clip for row in rows})} clips. Lip error without a reference, with all shifts, "
        "% of the eye distance, on a clip's second half; the first half tells the lips' rest: by "
        "its closed frames, by a line over the opening, or by the predictor on its own sound. "
        "Own style: the line, and that half as reference."
    )
    lines = [[name, *(tell(table.get(s)) for s in speakers)] for name, table in found.items()]
    yield Table(["", *speakers], lines)


def _with_count(found: Estimate | None) -> str:
    return f"{tell(found)} n={found.count}" if found is not None else ""
