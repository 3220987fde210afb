"""What is written says what is there: requirements, node table, weight files and their cards."""

import ast
import json
import re
from pathlib import Path

import pytest

from lipsync_core.checkpoint import read_header, read_metadata

ROOT = Path(__file__).parents[1]


def node_names() -> dict[str, str]:
    """Display names by node id, read from the sources: ComfyUI is not needed."""
    names = {}
    for path in (ROOT / "nodes").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Schema":
                words = {k.arg: k.value.value for k in node.keywords if hasattr(k.value, "value")}
                names[words["node_id"]] = words["display_name"]
    return names


def test_requirements_are_the_projects_dependencies():
    # tomllib is not in Python 3.10.
    listed = re.search(
        r"\ndependencies = (\[.*?\n\])", (ROOT / "pyproject.toml").read_text(), re.DOTALL
    )
    assert listed
    assert (ROOT / "requirements.txt").read_text().splitlines() == ast.literal_eval(listed[1])


def test_the_readme_names_every_node():
    table = re.search(r"## The nodes\n(.*?)\n## ", (ROOT / "README.md").read_text(), re.DOTALL)
    assert table and len(node_names()) >= 12
    # "Load / Save Lip Style" and "Load Motion Predictor, Load Lip Renderer" share a row.
    words = table[1].replace("Load / Save Lip Style", "Load Lip Style, Save Lip Style")
    assert not [name for name in node_names().values() if name not in words]


def test_every_node_has_a_help_page():
    pages = {path.stem for path in (ROOT / "web" / "docs").glob("*.md")}
    assert pages == set(node_names())


@pytest.mark.parametrize("path", sorted((ROOT / "weights").glob("*.safetensors")), ids=str)
def test_shipped_weights_say_where_they_come_from(path):
    if read_metadata(path)["lipstyle.kind"] == "StyleReference":
        assert "CC BY 4.0" in read_metadata(path)["source"]
        return
    provenance = read_header(path).provenance
    assert "CC BY 4.0" in provenance["licence"] and provenance["step"] > 0
    assert all(entry["split"] == ["train"] for entry in provenance["data"].values())
    assert (ROOT / provenance["card"]).is_file()


def test_documents_link_to_files_that_exist():
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if not link.startswith("http"):
                assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_workflows_name_only_what_is_shipped():
    shipped = {path.name for path in (ROOT / "weights").iterdir()}
    for path in (ROOT / "workflows").glob("*.json"):
        values = [
            value
            for node in json.loads(path.read_text())["nodes"]
            for value in node.get("widgets_values") or []
        ]
        files = {v for v in values if isinstance(v, str) and v.endswith(".safetensors")}
        assert files and files <= shipped, path.name
