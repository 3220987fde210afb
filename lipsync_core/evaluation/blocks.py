"""A page put together once, as blocks, and written as Markdown or as HTML.

The HTML needs nothing but the folder it lies in: no script, no style sheet, no font from elsewhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape


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
