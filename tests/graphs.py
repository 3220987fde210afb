"""Graphs in the server's format, put together node by node."""

from typing import Any

Link = list[Any]


class Graph(dict[str, dict[str, Any]]):
    """What the server runs; `graph.add(type, name=value or link)` gives the node's first output."""

    def add(self, class_type: str, **inputs: Any) -> Link:
        number = str(len(self) + 1)
        self[number] = {"class_type": class_type, "inputs": inputs}
        return [number, 0]


def output(link: Link, index: int) -> Link:
    """Another output of the node that `link` comes from."""
    return [link[0], index]
