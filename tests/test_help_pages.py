"""The help pages: one per node, complete, with a picture, and true about what errors say."""

import ast
import json
import re
from pathlib import Path

import pytest
from test_nodes import NODE_CLASSES

ROOT = Path(__file__).parents[1]
PAGES = ROOT / "web" / "docs"
TEXTS = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text("utf-8"))
HEADINGS = ["Inputs", "Outputs", "Example", "Good to know", "When something goes wrong"]
GAP = "…"
"""Stands in a quoted message for what differs from case to case."""
LARGEST_PICTURE = 60_000

each_node = pytest.mark.parametrize("node_id", sorted(NODE_CLASSES))


def page(node_id: str) -> str:
    return (PAGES / f"{node_id}.md").read_text("utf-8")


def sections(node_id: str) -> dict[str, str]:
    """What stands below each heading of a page."""
    parts = re.split(r"^## (.*)\n", page(node_id), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def rows(table: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(table: str) -> list[str]:
    """The first column of a table, marks such as (optional) left out."""
    cells = [row[0].split("(")[0] for row in rows(table)]
    return [name.strip() for cell in cells for name in cell.split(",")]


def messages() -> list[str]:
    """Every text in the pack's code, with GAP for the values put in."""
    found = []
    for folder in ("lipsync_core", "nodes"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
                elif isinstance(node, ast.JoinedStr):
                    found.append("".join(map(text_of, node.values)))
    return found


def text_of(part: ast.expr) -> str:
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else GAP


MESSAGES = messages()


def test_no_page_and_no_picture_is_of_a_node_that_is_gone():
    assert {path.stem for path in PAGES.glob("*.md")} == set(NODE_CLASSES)
    assert {path.stem for path in (PAGES / "pictures").iterdir()} == set(NODE_CLASSES)


@each_node
def test_a_page_has_its_parts_in_order(node_id):
    assert page(node_id).startswith(f"# {TEXTS[node_id]['display_name']}\n")
    assert list(sections(node_id)) == HEADINGS
    assert len(page(node_id).split("## ")[0]) > 60, "what the node does"
    assert all(text.strip() for text in sections(node_id).values())


@each_node
def test_a_page_tells_of_every_input_and_of_no_other(node_id):
    assert sorted(names(sections(node_id)["Inputs"])) == sorted(TEXTS[node_id]["inputs"])


@each_node
def test_a_page_tells_of_every_output_in_order(node_id):
    outputs = [output["name"] for output in TEXTS[node_id]["outputs"].values()]
    assert names(sections(node_id)["Outputs"]) == outputs


@each_node
def test_a_page_has_a_small_picture_that_lies_where_the_browser_looks(node_id):
    """Relative paths are relative to the folder of the pages."""
    places = re.findall(r"!\[.+\]\((.+)\)", page(node_id))
    assert places == [f"pictures/{node_id}.webp"]
    picture = (PAGES / places[0]).read_bytes()
    assert picture[:4] == b"RIFF" and picture[8:12] == b"WEBP"
    assert len(picture) < LARGEST_PICTURE


@each_node
def test_an_example_names_nodes_that_exist(node_id):
    """Names of nodes are written *so*."""
    known = {text["display_name"] for text in TEXTS.values()} | {
        "Load Video", "Load Audio", "Save Video", "Create Video", "Preview Any", "Preview Image",
        "Upscale Image (using Model)",
    }  # fmt: skip
    said = re.findall(r"(?<!\*)\*([A-Z][^*]+)\*(?!\*)", sections(node_id)["Example"])
    assert {" ".join(name.split()) for name in said} <= known


@each_node
def test_quoted_messages_are_those_of_the_code(node_id):
    table = rows(sections(node_id)["When something goes wrong"])
    assert table
    for seen, remedy in table:
        assert len(remedy) > 20
        for quoted in re.findall(r"`([^`]+)`", seen):
            assert any(quoted in message for message in MESSAGES), quoted
