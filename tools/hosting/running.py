"""A workflow from its file to the finished video, with a line on the terminal that moves."""

import json
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from .client import ApiGraph
from .environment import Environment
from .own_files import OwnFiles, put_in
from .server import ComfyServer, running_server
from .ui_workflow import UnreadableWorkflow, api_graph

QUIET_SECONDS = 5
"""Without a terminal a line is printed this often, at most."""


def run_workflow(environment: Environment, workflow: Path, own: OwnFiles) -> list[Path]:
    """Runs a workflow file in a server of its own; returns the files it wrote.

    Raises UnreadableWorkflow, GraphRefused, ExecutionFailed or ServerFailed.
    """
    content = _read(workflow)
    print("Starting ComfyUI ...", flush=True)
    with running_server(environment, environment.base) as server:
        if error := server.loading_error():
            raise UnreadableWorkflow(f"The pack was not loaded:\n{error}")
        object_info = server.object_info()
        graph = put_in(api_graph(content, object_info), own, server.base, object_info)
        outputs = _follow(server, graph)
        return server.output_files(outputs)


def _read(workflow: Path) -> dict[str, Any]:
    try:
        content = json.loads(workflow.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UnreadableWorkflow(f"{workflow} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise UnreadableWorkflow(f"{workflow} holds no ComfyUI workflow.")
    return content


def _follow(server: ComfyServer, graph: ApiGraph) -> dict[str, Any]:
    """Runs the graph and shows how it goes; returns what each output node made."""
    client_id = uuid.uuid4().hex
    line = _ProgressLine(graph)
    with server.events(client_id) as events:
        run = server.submit(graph, client_id)
        events.set_timeout(None)
        for event in events:
            if isinstance(event, dict) and _ends(event, run, line):
                break
    line.close()
    return server.outputs(server.wait(run, timeout=60))


def _ends(event: dict[str, Any], run: str, line: "_ProgressLine") -> bool:
    data = event.get("data", {})
    if data.get("prompt_id") != run:
        return False
    if event["type"] == "executing" and data["node"] is not None:
        line.show(data["node"])
    elif event["type"] == "progress":
        line.show(data["node"], data["value"], data["max"])
    return event["type"] in ("execution_success", "execution_error", "execution_interrupted")


class _ProgressLine:
    """Which node works, and how far it is."""

    def __init__(self, graph: ApiGraph):
        self._graph = graph
        self._started = time.monotonic()
        self._printed = -QUIET_SECONDS
        self._width = 0

    def show(self, node: str, done: float = 0, total: float = 0) -> None:
        described = self._graph.get(node, {})
        title = described.get("_meta", {}).get("title") or described.get("class_type", node)
        seconds = time.monotonic() - self._started
        part = f" {done:.0f}/{total:.0f}" if total else ""
        text = f"{seconds:5.0f} s  {title}{part}"
        if sys.stdout.isatty():
            print(f"\r{text:{self._width}}", end="", flush=True)
            self._width = len(text)
        elif seconds - self._printed >= QUIET_SECONDS:
            print(text, flush=True)
            self._printed = seconds

    def close(self) -> None:
        seconds = time.monotonic() - self._started
        text = f"{seconds:5.0f} s  finished"
        print(f"\r{text:{self._width}}" if sys.stdout.isatty() else text, flush=True)
