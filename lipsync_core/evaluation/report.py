"""The page of a run, as Markdown and as HTML: what was run, the tables, every clip, the pictures.

The page is put together once, as blocks, and written in both ways. The HTML needs nothing but the
folder it lies in: no script, no style sheet, no font from elsewhere.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from .modes import MEANINGS, OUTPUT, OWN_SPEECH
from .results import ROWS_FILE, Results, Row
from .running import EXCLUDED
from .table import ModeTable, measure_of, mode_table, number, tell

MARKDOWN_FILE, HTML_FILE = "report.md", "report.html"
SHORT = (
    "sync offset", "sync confidence", OWN_SPEECH, "lip vertex error", "opening r", "width r",
    "opening lag", "opening spread ratio", "closure share", "lip leak", "closing time",
    "PSNR mouth", "SSIM mouth", "sharpness", "picture motion energy, blurred",
)  # fmt: skip
"""Columns of the table of clips; ROWS_FILE has all."""


@dataclass(frozen=True)
class Heading:
    text: str
    level: int


@dataclass(frozen=True)
class Paragraph:
    text: str


@dataclass(frozen=True)
class Items:
    texts: list[str]


@dataclass(frozen=True)
class Table:
    head: list[str]
    lines: list[list[str]]


@dataclass(frozen=True)
class Picture:
    file: str
    text: str


@dataclass(frozen=True)
class Videos:
    files: dict[str, str] = field(default_factory=dict)
    """What it shows -> file."""


Block = Heading | Paragraph | Items | Table | Picture | Videos


def write_report(results: Results, record: Mapping[str, Any]) -> list[ModeTable]:
    """Writes both pages into the run's folder and gives the tables that are in them."""
    modes = dict.fromkeys(row.mode for row in results.rows)
    tables = [mode_table(results, mode) for mode in modes]
    blocks = [*_introduction(record)]
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
        "Means over clips with bootstrap 95 % intervals. Every figure is measured on the written "
        "file, read back. An output is to be judged between its chance and its ceiling."
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
        measure = measure_of(name)
        unit = f"{name} ({measure.unit})" if measure.unit else name
        cells = [tell(found.get(subject)) for subject in table.subjects]
        lines.append([unit, *cells, measure.better, measure.meaning])
    return Table(["measure", *table.subjects, "better", "what it tells"], lines)


def _clip_blocks(rows: Sequence[Row]) -> Iterator[Block]:
    names = [name for name in SHORT if any(name in row.figures for row in rows)]
    if names:
        yield Heading("Clip by clip", 3)
        yield Paragraph(f"The output's main figures; {ROWS_FILE} has all figures of all subjects.")
        lines = [_clip_line(row, names) for row in rows if row.subject == OUTPUT]
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


def markdown(blocks: Sequence[Block]) -> str:
    """The blocks as Markdown."""
    return "\n\n".join(part for block in blocks if (part := _as_markdown(block))) + "\n"


def _as_markdown(block: Block) -> str:
    if isinstance(block, Heading):
        return f"{'#' * block.level} {block.text}"
    if isinstance(block, Items):
        return "\n".join(f"- {text}" for text in block.texts)
    if isinstance(block, Table):
        lines = [block.head, ["---"] * len(block.head), *block.lines]
        return "\n".join(
            f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines
        )
    if isinstance(block, Picture):
        return f"![{block.text}]({block.file})"
    if isinstance(block, Videos):
        return ", ".join(f"[{what}]({file})" for what, file in block.files.items())
    return block.text


def html_page(title: str, blocks: Sequence[Block]) -> str:
    """The blocks as one HTML page."""
    body = "\n".join(part for block in blocks if (part := _as_html(block)))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title>\n<style>{_CSS}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _as_html(block: Block) -> str:
    if isinstance(block, Heading):
        return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
    if isinstance(block, Items):
        return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in block.texts)}</ul>"
    if isinstance(block, Table):
        head = "".join(f"<th>{escape(cell)}</th>" for cell in block.head)
        lines = "\n".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>"
            for line in block.lines
        )
        return f'<div class="wide"><table>\n<tr>{head}</tr>\n{lines}\n</table></div>'
    if isinstance(block, Picture):
        return f'<img src="{escape(block.file)}" alt="{escape(block.text)}">'
    if isinstance(block, Videos):
        shown = "".join(
            f'<figure><video src="{escape(file)}" controls preload="none"></video>'
            f"<figcaption>{escape(what)}</figcaption></figure>"
            for what, file in block.files.items()
        )
        return f'<div class="videos">{shown}</div>' if shown else ""
    return f"<p>{escape(block.text)}</p>"


def _write(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


_CSS = """
body { font: 15px/1.45 system-ui, sans-serif; color: #222; margin: 2em auto; max-width: 1350px;
  padding: 0 1em; }
h1, h2, h3 { line-height: 1.2; } h2 { border-bottom: 2px solid #ddd; padding-bottom: .2em;
  margin-top: 2em; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .25em .7em; text-align: left; border-bottom: 1px solid #e4e4e4;
  vertical-align: top; }
th { background: #f4f4f4; } tr:hover td { background: #fafaf2; }
img { max-width: 100%; display: block; margin: .4em 0; }
.videos { display: flex; gap: 1em; flex-wrap: wrap; } figure { margin: 0; }
video { height: 200px; background: #000; } figcaption { font-size: 13px; color: #666; }
"""
