"""The page of a run, as Markdown and as HTML: what was run, the tables, every clip, the pictures.

The page is put together once, as blocks (blocks.py), and written in both ways.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .blocks import Block, Heading, Items, Paragraph, Picture, Table, Videos, html_page, markdown
from .modes import MEANINGS as RESPEAKING_MEANINGS
from .modes import OWN_SPEECH
from .renderer_mode import MEANINGS as RENDERER_MEANINGS
from .renderer_pictures import CROP_PSNR, CROP_SHARPNESS
from .results import ROWS_FILE, Results, Row
from .running import EXCLUDED
from .style_report import STYLE_MODES, style_blocks, style_rows
from .table import ModeTable, measure_of, mode_table, number, tell

MEANINGS = RESPEAKING_MEANINGS | RENDERER_MEANINGS
"""mode -> subject -> what it is."""
MARKDOWN_FILE, HTML_FILE = "report.md", "report.html"
SHORT = (
    "sync offset", "sync confidence", OWN_SPEECH, "lip vertex error", "opening r", "width r",
    "opening lag", "opening spread ratio", "closure share", "lip leak", "closing time",
    CROP_PSNR, "PSNR mouth", "SSIM mouth", CROP_SHARPNESS, "sharpness",
    "picture motion energy, blurred",
)  # fmt: skip
"""Columns of the table of clips; ROWS_FILE has all."""


def write_report(results: Results, record: Mapping[str, Any]) -> list[ModeTable]:
    """Writes both pages into the run's folder and gives the tables that are in them."""
    modes = dict.fromkeys(row.mode for row in results.rows)
    tables = [mode_table(results, mode) for mode in modes if mode not in STYLE_MODES]
    blocks = [*_introduction(record)]
    for mode, style in style_rows(results).items():
        blocks += style_blocks(mode, style)
    for table in tables:
        rows = [row for row in results.rows if row.mode == table.mode and row.subject != EXCLUDED]
        blocks += [*mode_blocks(table), *_clip_blocks(rows)]
    _write(results.folder / MARKDOWN_FILE, markdown(blocks))
    _write(results.folder / HTML_FILE, html_page("Evaluation", blocks))
    return tables


def _introduction(record: Mapping[str, Any]) -> Iterator[Block]:
    yield Heading("Evaluation", 1)
    yield Table(["what was run", ""], [[key, text] for key, text in _flat(record)])
    yield Paragraph(
        "Means over clips with bootstrap 95 % intervals. Figures are measured on the written file, "
        "read back, unless they say otherwise. An output is to be judged between its chance and "
        "its ceiling."
    )


def _flat(record: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in record.items():
        name = f"{above} {key}".strip()
        if isinstance(value, Mapping):
            yield from _flat(value, name)
        elif value not in (None, "", []):
            yield name, ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def mode_blocks(table: ModeTable) -> Iterator[Block]:
    """The table of one mode, what its columns are, and what was left out."""
    yield Heading(table.mode.capitalize(), 2)
    clips, people = counted(table.clips, "clip"), counted(table.people, "person", "people")
    yield Paragraph(f"{clips} of {people}.")
    if meanings := MEANINGS.get(table.mode):
        yield Items([f"{name}: {what}" for name, what in meanings.items()])
    if table.figures:
        yield figure_table(table)
    notes = [f"seen in training, in other clips: {p} by {w}" for p, w in table.seen.items()]
    notes += [
        f"left out in {counted(count, 'clip')}, {what}" for what, count in table.omitted.items()
    ]
    notes += [f"excluded: {clip}: {reason}" for clip, reason in table.excluded.items()]
    if notes:
        yield Items(notes)


def counted(count: int, one: str, many: str = "") -> str:
    """ "1 clip", "2 clips"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def figure_table(table: ModeTable) -> Table:
    """Measure by subject."""
    lines = []
    for name, found in table.figures.items():
        measure = measure_of(name, table.mode)
        unit = f"{name} ({measure.unit})" if measure.unit else name
        cells = [tell(found.get(subject)) for subject in table.subjects]
        lines.append([unit, *cells, measure.better, measure.meaning])
    return Table(["measure", *table.subjects, "better", "what it tells"], lines)


def _clip_blocks(rows: Sequence[Row]) -> Iterator[Block]:
    names = [name for name in SHORT if any(name in row.figures for row in rows)]
    if names:
        yield Heading("Clip by clip", 3)
        first = {row.clip: row for row in reversed(rows)}
        subject = rows[0].subject
        yield Paragraph(f"The main figures of: {subject}. {ROWS_FILE} has all of all subjects.")
        lines = [_clip_line(row, names) for row in rows if row is first[row.clip]]
        yield Table(["clip", "person", *names, "notes"], lines)
    for row in rows:
        if row.files:
            yield Heading(row.clip, 3)
            yield from (
                Picture(file, f"{row.clip}, {row.mode}: {what}")
                for what, file in row.files.items()
                if file.endswith(".png")
            )
            yield Videos({what: file for what, file in row.files.items() if file.endswith(".mp4")})


def _clip_line(row: Row, names: Sequence[str]) -> list[str]:
    figures = [number(row.figures[name]) if name in row.figures else "" for name in names]
    notes = "; ".join(f"{key}: {text}" for key, text in row.notes.items())
    return [row.clip, row.person, *figures, notes]


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
