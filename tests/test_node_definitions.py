"""What workflows in the wild depend on, and what the host gets to know of every node."""

import importlib.util
import json
import sys
import types
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from test_help_pages import sections
from test_nodes import NODE_CLASSES, ROOT

from tools.hosting.server import ComfyServer
from tools.node_texts import texts

FROZEN = Path(__file__).with_name("node_definitions.json")
"""Ids, inputs and outputs by name and type, in order: saved workflows name these. A change here
breaks people's workflows. New inputs are optional and come last; then add them to this file."""
LISTS_OF_FILES = "file"
"""Inputs of this name list what is on the disk."""


@pytest.fixture(scope="module")
def declared(comfyui: ComfyServer) -> dict[str, dict[str, Any]]:
    return {name: info for name, info in comfyui.object_info().items() if name in NODE_CLASSES}


def inputs(info: dict[str, Any]) -> dict[str, list[Any]]:
    return {**info["input"].get("required", {}), **info["input"].get("optional", {})}


def described(info: dict[str, Any]) -> dict[str, Any]:
    """A node as it is frozen."""
    optional = info["input"].get("optional", {})
    return {
        "inputs": {
            name: kind(name, spec) + (" (optional)" if name in optional else "")
            for name, spec in inputs(info).items()
        },
        "outputs": [
            f"{name}: {wire}"
            for name, wire in zip(info["output_name"], info["output"], strict=True)
        ],
    }


def kind(name: str, spec: list[Any]) -> str:
    """The type of an input; with the choices, if these do not depend on the disk."""
    if spec[0] != "COMBO" or name == LISTS_OF_FILES:
        return spec[0]
    return f"COMBO: {', '.join(spec[1]['options'])}"


def test_ids_are_frozen():
    assert set(json.loads(FROZEN.read_text())) == set(NODE_CLASSES), FROZEN.name


@pytest.mark.server
@pytest.mark.parametrize("node_id", sorted(NODE_CLASSES))
def test_inputs_and_outputs_are_frozen(declared, node_id):
    frozen, found = json.loads(FROZEN.read_text())[node_id], described(declared[node_id])
    assert found == frozen
    assert list(found["inputs"]) == list(frozen["inputs"]), "the order is saved, not the names"


@pytest.mark.server
def test_a_rename_would_be_noticed(declared):
    info = json.loads(json.dumps(declared["LipStyleLipSync"]))
    info["input"]["required"]["speech"] = info["input"]["required"].pop("audio")
    assert described(info) != json.loads(FROZEN.read_text())["LipStyleLipSync"]


@pytest.mark.server
def test_every_input_and_output_has_a_tooltip(declared):
    for name, info in declared.items():
        tooltips = {field: spec[1].get("tooltip") or "" for field, spec in inputs(info).items()}
        tooltips |= dict(zip(info["output_name"], info.get("output_tooltips") or [], strict=True))
        assert all(len(text or "") > 10 for text in tooltips.values()), f"{name}: {tooltips}"


@pytest.mark.server
def test_every_widget_has_a_default_within_its_range(declared):
    for name, info in declared.items():
        for field, (wire, spec) in inputs(info).items():
            if wire in {"INT", "FLOAT"}:
                assert spec["min"] <= spec["default"] <= spec["max"], f"{name}.{field}"
            elif wire == "STRING":
                assert spec["default"], f"{name}.{field}"


@pytest.mark.server
def test_the_english_texts_are_those_of_the_nodes(declared):
    """tools/node_texts.py writes them anew."""
    written = json.loads((ROOT / "locales" / "en" / "nodeDefs.json").read_text("utf-8"))
    assert texts(dict(sorted(declared.items()))) == written


@pytest.mark.server
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_host_serves_the_texts(comfyui: ComfyServer, language):
    served = comfyui.call("/i18n")[language]["nodeDefs"]
    written = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text("utf-8"))
    assert {name: served[name] for name in NODE_CLASSES} == written


@pytest.mark.server
@pytest.mark.parametrize("node_id", sorted(NODE_CLASSES))
def test_the_host_serves_page_and_picture(comfyui: ComfyServer, node_id):
    for place, start in ((f"{node_id}.md", b"# "), (f"pictures/{node_id}.webp", b"RIFF")):
        address = f"{comfyui.url}/extensions/lipstyle/docs/{place}"
        with urllib.request.urlopen(address, timeout=30) as answer:
            assert answer.read().startswith(start)


@pytest.mark.server
def test_what_is_folded_away_is_marked_on_the_page(declared):
    for name, info in declared.items():
        folded = {field for field, spec in inputs(info).items() if spec[1].get("advanced")}
        cells = [line.split("|")[1] for line in sections(name)["Inputs"].splitlines()[2:] if line]
        marked = [cell.split("(")[0] for cell in cells if "(advanced)" in cell]
        assert folded == {field.strip() for cell in marked for field in cell.split(",")}, name


# Hosts old and new


@dataclass
class OldSchema:
    """As of 0.3.75, in short."""

    node_id: str
    category: str


@dataclass
class NewSchema(OldSchema):
    search_aliases: tuple[str, ...] = ()
    has_intermediate_output: bool = False


class OldInput:
    def __init__(self):
        self.extra_dict: dict[str, Any] = {}


class NewInput(OldInput):
    def __init__(self):
        super().__init__()
        self.advanced: bool | None = None


def schema_module(monkeypatch: pytest.MonkeyPatch, schema: type) -> types.ModuleType:
    """nodes/schema.py as a host with this Schema loads it."""
    api = types.ModuleType("comfy_api.latest")
    api.io = types.SimpleNamespace(Schema=schema, Input=OldInput)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "comfy_api", types.ModuleType("comfy_api"))
    monkeypatch.setitem(sys.modules, "comfy_api.latest", api)
    spec = importlib.util.spec_from_file_location("schema", ROOT / "nodes" / "schema.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_newer_fields_are_given_to_hosts_that_know_them(monkeypatch):
    given = {"node_id": "x", "search_aliases": ("a", "b"), "has_intermediate_output": True}
    new = schema_module(monkeypatch, NewSchema).Schema(**given)
    assert new.search_aliases == ("a", "b") and new.has_intermediate_output
    assert vars(schema_module(monkeypatch, OldSchema).Schema(**given)) == {
        "node_id": "x",
        "category": "LipStyle",
    }


def test_advanced_inputs_are_told_to_every_host(monkeypatch):
    advanced = schema_module(monkeypatch, OldSchema).advanced
    assert advanced(OldInput()).extra_dict == {"advanced": True}
    new = advanced(NewInput())
    assert new.advanced is True and new.extra_dict == {}
