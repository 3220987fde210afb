"""The workflows in a real browser, on the oldest and a new frontend: all open, nothing is lost."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import NEWER_FRONTEND
from templates import LINES, NAMES, content, provide_small_files, small, write_small
from test_browser import browser_script, comparable

from tools.hosting.server import ComfyServer
from tools.hosting.ui_workflow import api_graph

pytestmark = [pytest.mark.browser, pytest.mark.server]

__all__ = ["browser_script"]
SECONDS = 900


class Opened:
    """What one browser made of all the workflows."""

    def __init__(self, script: list[str], server: ComfyServer, folder: Path, *more: str):
        self.server = server
        self.run = "--run" in more
        self.folders = {name: folder / name for name in ("small", "ui", "api", "again")}
        for path in self.folders.values():
            path.mkdir()
        files = map(str, write_small(self.folders["small"]))
        outputs = [f"--{name}={self.folders[name]}" for name in ("ui", "api", "again")]
        command = [*script, server.url, *files, *outputs, *more]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        assert done.stdout, done.stderr
        self.report: dict[str, Any] = json.loads(done.stdout)

    def read(self, kind: str, name: str) -> dict[str, Any]:
        return json.loads((self.folders[kind] / f"{name}.json").read_text())


@pytest.fixture(scope="module", params=["floor", "newer"])
def opened(request: pytest.FixtureRequest, browser_script: list[str], tmp_path_factory) -> Opened:
    """All workflows in one browser, run there on the frontend of the floor."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "floor":
        server = provide_small_files(request.getfixturevalue("comfyui"))
        return Opened(browser_script, server, folder, "--run")
    if not NEWER_FRONTEND.is_dir():
        pytest.skip(f"no newer frontend in {NEWER_FRONTEND}")
    server = provide_small_files(request.getfixturevalue("neighbours"))
    return Opened(browser_script, server, folder)


def test_all_open_without_missing_nodes_and_errors(opened: Opened):
    assert opened.report["errors"] == []
    found = opened.report["workflows"]
    assert {name: entry["missing"] for name, entry in found.items()} == {name: [] for name in NAMES}
    assert {n: e["nodes"] for n, e in found.items()} == {n: len(content(n)["nodes"]) for n in NAMES}


def test_nodes_do_not_lie_on_each_other_as_they_are_shown(opened: Opened):
    lying = {name: entry["overlapping"] for name, entry in opened.report["workflows"].items()}
    assert lying == {name: [] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_the_browser_queues_what_the_host_queues(opened: Opened, name: str):
    expected = api_graph(small(name), opened.server.object_info())
    assert comparable(opened.read("api", name)) == comparable(expected)


@pytest.mark.parametrize("name", NAMES)
def test_what_the_browser_saves_again_is_what_it_opened(opened: Opened, name: str):
    saved, given = opened.read("ui", name), small(name)
    if name == "batch_of_lines" and opened.run:  # which makes the next line the one to be run
        (line,) = [node for node in given["nodes"] if node["type"] == "PrimitiveNode"]
        assert line["widgets_values"][0] == LINES[0]
        line["widgets_values"][0] = LINES[1]
    assert described(saved) == described(given)


@pytest.mark.parametrize("name", NAMES)
def test_the_queued_form_opened_and_queued_again_is_the_same(opened: Opened, name: str):
    assert comparable(opened.read("again", name)) == comparable(opened.read("api", name))


def described(workflow: dict[str, Any]) -> dict[str, Any]:
    """What a user has put into a graph: nodes with places, titles, values, modes; wires; groups."""
    nodes = {
        node["id"]: (
            node["type"], node.get("title"), node["mode"], *map(round, node["pos"]),
            values(node),
        )
        for node in workflow["nodes"]
    }  # fmt: skip
    ends = {  # input by name: frontends count the sockets of widgets differently
        (link[1], link[2], link[3], socket(workflow, link)) for link in workflow["links"]
    }
    frames = sorted(
        (group["title"], *map(round, group["bounding"])) for group in workflow["groups"]
    )
    return {"nodes": nodes, "links": ends, "groups": frames}


def socket(workflow: dict[str, Any], link: list[Any]) -> str:
    (target,) = [node for node in workflow["nodes"] if node["id"] == link[3]]
    return target["inputs"][link[4]]["name"]


def values(node: dict[str, Any]) -> list[Any]:
    """Without those of upload buttons and players, which hold nothing of the user's."""
    found = node.get("widgets_values") or []
    if node["type"] == "LoadAudio":
        return found[:1] if node.get("title") != "Line" else []
    return [value for value in found if value not in ("image", None, "")]
