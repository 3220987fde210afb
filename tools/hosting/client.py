"""ComfyUI's HTTP interface: submit a graph, follow it, read what came out."""

import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from . import websocket

ApiGraph = dict[str, dict[str, Any]]
"""What the server runs: node number -> {"class_type": ..., "inputs": {name: value or link}}."""


class GraphRefused(ValueError):
    """The server found the graph not valid; the message says which node and why."""

    def __init__(self, message: str, node_errors: dict[str, Any]):
        super().__init__(message)
        self.node_errors = node_errors


class ExecutionFailed(RuntimeError):
    """A node raised, or the run was interrupted; `messages` holds the server's own account."""

    def __init__(self, message: str, messages: list[Any]):
        super().__init__(message)
        self.messages = messages


class ComfyClient:
    """Speaks to one server, for example ComfyClient("http://127.0.0.1:8188")."""

    def __init__(self, url: str):
        self.url = url

    def call(self, path: str, data: object = None, timeout: float = 60) -> Any:
        """GET, or POST when there is data; the answer's JSON, None for an empty answer."""
        body = None if data is None else json.dumps(data).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers)
        with urllib.request.urlopen(request, timeout=timeout) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    def object_info(self, class_type: str = "") -> dict[str, Any]:
        """The description of one node type, or of all, by the names of the types."""
        return self.call(f"/object_info/{class_type}" if class_type else "/object_info")

    def events(self, client_id: str) -> websocket.Events:
        """The live events of the graphs submitted under this client id; close it after use."""
        return websocket.Events(self.url, f"/ws?clientId={client_id}")

    def submit(self, graph: ApiGraph, client_id: str = "host") -> str:
        """Queues the graph and returns the number of its run.

        Raises GraphRefused when the server finds it not valid.
        """
        try:
            return self.call("/prompt", {"prompt": graph, "client_id": client_id})["prompt_id"]
        except urllib.error.HTTPError as error:
            answer = json.loads(error.read() or b"{}")
            raise _refusal(answer) from None

    def history(self, run: str) -> dict[str, Any] | None:
        """The record of a finished run; None before its end."""
        return self.call(f"/history/{run}").get(run)

    def wait(self, run: str, timeout: float = 600) -> dict[str, Any]:
        """The record of the run, as soon as it has ended, well or not.

        Raises TimeoutError after `timeout` seconds.
        """
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.check_alive()
            if record := self.history(run):
                return record
            time.sleep(0.05)
        raise TimeoutError(f"run {run} has not ended within {timeout} s")

    def outputs(self, record: dict[str, Any]) -> dict[str, Any]:
        """What each output node made, by node number.

        Raises ExecutionFailed when the run did not succeed.
        """
        status = record["status"]
        if status["status_str"] != "success":
            raise ExecutionFailed(_failure(status["messages"]), status["messages"])
        return record["outputs"]

    def run(self, graph: ApiGraph, timeout: float = 600) -> dict[str, Any]:
        """Submits, waits, and returns what each output node made, by node number."""
        return self.outputs(self.wait(self.submit(graph), timeout))

    def check_alive(self) -> None:
        """Raises if the server is known to have ended; a client alone knows nothing of that."""

    def interrupt(self) -> None:
        """Stops the graph that runs now."""
        self.call("/interrupt", {})


def output_files(outputs: dict[str, Any], base: Path) -> list[Path]:
    """The files that output nodes wrote, in the order of the nodes; previews are left out."""
    files = []
    for made in outputs.values():
        for entries in made.values():
            for entry in entries:
                if isinstance(entry, dict) and entry.get("type") == "output":
                    files.append(base / "output" / entry.get("subfolder", "") / entry["filename"])
    return files


def _refusal(answer: dict[str, Any]) -> GraphRefused:
    error = answer.get("error", {})
    lines = [error.get("message", "the server refused the graph"), error.get("details", "")]
    node_errors = answer.get("node_errors", {})
    for number, node in node_errors.items():
        for fault in node["errors"]:
            lines.append(
                f"node {number} ({node['class_type']}): {fault['message']}: {fault['details']}"
            )
    return GraphRefused("\n".join(line for line in lines if line), node_errors)


def _failure(messages: list[Any]) -> str:
    for name, content in messages:
        if name == "execution_error":
            return (
                f"{content['node_type']} (node {content['node_id']}) raised "
                f"{content['exception_type']}: {content['exception_message'].strip()}"
            )
        if name == "execution_interrupted":
            return f"interrupted in {content['node_type']} (node {content['node_id']})"
    return "the run failed without a message"
