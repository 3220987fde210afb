"""The graph as the browser saves it, turned into what the server runs.

The browser does this itself when it queues a graph (`graphToPrompt` of ComfyUI's frontend); a
workflow file has to be turned without one. A saved graph holds, per node, its sockets with the
links on them and its widgets' values as a bare list; the server wants every input by name. Which
value belongs to which input follows from the order of the node's widgets, where some widgets of the
browser (what to do with a seed after a run, upload buttons) have values but are no inputs.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .client import ApiGraph

MUTED, BYPASSED = 2, 4
"""The `mode` of nodes that are left out, and of nodes whose inputs pass straight through."""

NOTES = ("Note", "MarkdownNote")
AFTER_RUN = ("fixed", "increment", "decrement", "randomize")
"""The values of the browser's widget that follows a seed."""

SAVING_PREFIX = "filename_prefix"
"""The input of nodes that save, whose %title.input% the browser fills in."""

WIDGET_TYPES = ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO")

Node = dict[str, Any]
ObjectInfo = dict[str, Any]


class UnreadableWorkflow(ValueError):
    """The file holds no graph that can be run here; the message says why."""


def api_graph(workflow: dict[str, Any], object_info: ObjectInfo) -> ApiGraph:
    """The server's form of a workflow; one that has it already is returned as it is.

    `object_info` is the server's description of its node types. Raises UnreadableWorkflow for
    unknown node types, for sub-graphs, and for what is no workflow.
    """
    if "nodes" not in workflow:
        if workflow and all(isinstance(n, dict) and "class_type" in n for n in workflow.values()):
            return workflow
        raise UnreadableWorkflow("This JSON is no ComfyUI workflow: it has no nodes.")
    graph = _SavedGraph(workflow)
    nodes = [n for n in graph.nodes.values() if n.get("mode", 0) not in (MUTED, BYPASSED)]
    nodes = [n for n in nodes if n["type"] not in (*NOTES, "Reroute", "PrimitiveNode")]
    _check_types(nodes, workflow, object_info)
    converted: ApiGraph = {
        str(node["id"]): {
            "class_type": node["type"],
            "inputs": _inputs(node, graph, object_info[node["type"]]),
            "_meta": {"title": node.get("title") or object_info[node["type"]]["display_name"]},
        }
        for node in nodes
    }
    for node in converted.values():
        if SAVING_PREFIX in node["inputs"]:
            node["inputs"][SAVING_PREFIX] = _filled_in(node["inputs"][SAVING_PREFIX], converted)
    return converted


def _filled_in(prefix: Any, graph: ApiGraph) -> Any:
    """A file name in which %title.input% stands for what another node's input is set to."""
    values = {
        f"{node['_meta']['title']}.{name}": value
        for node in graph.values()
        for name, value in node["inputs"].items()
        if not isinstance(value, list | dict)
    }

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1])
        return match[0] if found is None else re.sub(r'[/?<>\\:*|"\x00-\x1f\x7f]', "_", str(found))

    return re.sub(r"%([^%]+\.[^%]+)%", value, prefix) if isinstance(prefix, str) else prefix


@dataclass(frozen=True)
class _Link:
    origin: int | str
    slot: int
    type: str


class _SavedGraph:
    """Nodes by number, and where the links on their inputs come from."""

    def __init__(self, workflow: dict[str, Any]):
        self.nodes: dict[int | str, Node] = {node["id"]: node for node in workflow["nodes"]}
        # number, origin node, origin slot, target node, target slot, type
        self.links = {
            link[0]: _Link(link[1], link[2], str(link[5])) for link in workflow.get("links", [])
        }

    def source(self, link: int | None) -> list[Any] | _Link | None:
        """What a link brings: [node, slot] of the node that makes it, a primitive's link, or None.

        Follows reroutes and bypassed nodes; None when it ends at nothing that runs.
        """
        while link is not None and link in self.links:
            origin = self.links[link]
            node = self.nodes.get(origin.origin)
            if node is None or node.get("mode", 0) == MUTED:
                return None
            if node["type"] == "PrimitiveNode":
                return origin
            if node["type"] == "Reroute":
                link = node["inputs"][0].get("link")
            elif node.get("mode", 0) == BYPASSED:
                link = _passed_through(node, origin)
            else:
                return [str(origin.origin), origin.slot]
        return None


def _passed_through(node: Node, origin: _Link) -> int | None:
    """The link on the input that a bypassed node hands on: of its type, best in its place."""
    inputs = node.get("inputs", [])
    same_place = inputs[origin.slot : origin.slot + 1]
    for socket in [*same_place, *inputs]:
        if socket["type"] == origin.type:
            return socket.get("link")
    return None


def _check_types(nodes: list[Node], workflow: dict[str, Any], object_info: ObjectInfo) -> None:
    subgraphs = {s["id"] for s in workflow.get("definitions", {}).get("subgraphs", [])}
    if any(node["type"] in subgraphs for node in nodes):
        raise UnreadableWorkflow(
            "The workflow has sub-graphs, which only the browser can unfold: unpack them there, or "
            "save the workflow with Export (API)."
        )
    if unknown := sorted({n["type"] for n in nodes if n["type"] not in object_info}):
        raise UnreadableWorkflow(f"This ComfyUI has no node type {', '.join(unknown)}.")


def _inputs(node: Node, graph: _SavedGraph, info: ObjectInfo) -> dict[str, Any]:
    specs = input_specs(info)
    inputs = {
        name: {"__value__": value} if isinstance(value, list) else value
        for name, value in _widget_values(node, specs)
        if name in specs
    }
    for socket in node.get("inputs", []):
        source = graph.source(socket.get("link"))
        if isinstance(source, _Link):
            inputs[socket["name"]] = graph.nodes[source.origin]["widgets_values"][0]
        elif source is not None:
            inputs[socket["name"]] = source
    return inputs


def _widget_values(node: Node, specs: dict[str, list[Any]]) -> Iterator[tuple[str, Any]]:
    """The node's widgets by name, in the order of their values."""
    values = node.get("widgets_values") or []
    if isinstance(values, dict):
        yield from values.items()
        return
    position = 0
    for name in _widget_names(node, specs):
        if position >= len(values):
            return
        yield name, values[position]
        position += 1
        if _has_after_run_widget(name, specs) and values[position : position + 1]:
            position += values[position] in AFTER_RUN


def _widget_names(node: Node, specs: dict[str, list[Any]]) -> list[str]:
    """In order; newer browsers name them on the sockets, older ones leave them to the node type."""
    named = [s["widget"]["name"] for s in node.get("inputs", []) if s.get("widget")]
    hidden = [name for name, spec in specs.items() if options(spec).get("socketless")]
    if named and not hidden:
        return named
    return [name for name, spec in specs.items() if is_widget(spec)]


def _has_after_run_widget(name: str, specs: dict[str, list[Any]]) -> bool:
    spec = specs.get(name)
    if spec is None:
        return False
    seed = spec[0] == "INT" and name in ("seed", "noise_seed")
    return seed or bool(options(spec).get("control_after_generate"))


def input_specs(info: ObjectInfo) -> dict[str, list[Any]]:
    """[type, options] of a node type's inputs by name, in order, required ones first."""
    return {**info["input"].get("required", {}), **info["input"].get("optional", {})}


def options(spec: list[Any]) -> dict[str, Any]:
    """What an input's description says beside its type."""
    return spec[1] if len(spec) > 1 and isinstance(spec[1], dict) else {}


def is_widget(spec: list[Any]) -> bool:
    """Is the input set in the browser, unless something is linked to it?"""
    chosen_from_list = isinstance(spec[0], list)
    return (chosen_from_list or spec[0] in WIDGET_TYPES) and not options(spec).get("forceInput")
