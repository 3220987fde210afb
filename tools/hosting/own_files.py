"""The user's video, speech and way of speaking, put into a graph in place of the demo's."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .client import ApiGraph
from .ui_workflow import ObjectInfo, input_specs, is_widget, options

LOAD_VIDEO, LOAD_AUDIO = "LoadVideo", "LoadAudio"
LOAD_CLIP, MAKE_STYLE, LOAD_STYLE = (
    "LipStyleLoadReferenceClip",
    "LipStyleStyleReference",
    "LipStyleLoadStyle",
)
MAIN = {LOAD_VIDEO: "your video", LOAD_AUDIO: "new speech"}
"""What the title says of the node that is meant, where a workflow loads several files."""
STYLE_FILE = ".safetensors"
SEEDS = ("seed", "noise_seed")


class UnusableFile(ValueError):
    """A file of the user's that is not there, or for which the workflow has no place."""


@dataclass(frozen=True)
class OwnFiles:
    """What replaces the workflow's own inputs; None leaves them."""

    video: Path | None = None
    audio: Path | None = None
    style: Path | None = None
    """A style file, or a clip of the person speaking."""
    seed: int | None = None

    def check(self) -> None:
        """Raises UnusableFile for a file that does not exist."""
        for path in (self.video, self.audio, self.style):
            if path is not None and not path.is_file():
                raise UnusableFile(f"There is no file {path}.")


def put_in(graph: ApiGraph, own: OwnFiles, base: Path, object_info: ObjectInfo) -> ApiGraph:
    """The graph with the user's files in place; they are copied into ComfyUI's folders.

    Raises UnusableFile if the workflow has no node for one of them.
    """
    graph = {number: {**node, "inputs": dict(node["inputs"])} for number, node in graph.items()}
    if own.video:
        _set_file(graph, LOAD_VIDEO, _copied("video", own.video, base / "input"), object_info)
    if own.audio:
        _set_file(graph, LOAD_AUDIO, _copied("audio", own.audio, base / "input"), object_info)
    if own.style:
        _set_style(graph, own.style, base, object_info)
    if own.seed is not None:
        for node in graph.values():
            node["inputs"].update({name: own.seed for name in SEEDS if name in node["inputs"]})
    return graph


def _set_file(graph: ApiGraph, class_type: str, name: str, object_info: ObjectInfo) -> None:
    nodes = [node for node in graph.values() if node["class_type"] == class_type]
    if len(nodes) > 1:
        nodes = [n for n in nodes if MAIN[class_type] in _title(n).lower()] or nodes
    if len(nodes) != 1:
        raise UnusableFile(
            f"The workflow has {len(nodes)} {class_type} nodes, so there is no telling where "
            f"{name} belongs: it needs exactly one, or one titled '{MAIN[class_type]}'."
        )
    nodes[0]["inputs"][_file_input(object_info[class_type])] = name


def _title(node: dict[str, Any]) -> str:
    return node.get("_meta", {}).get("title", "")


def _set_style(graph: ApiGraph, path: Path, base: Path, object_info: ObjectInfo) -> None:
    needed = [LOAD_STYLE] if path.suffix == STYLE_FILE else [LOAD_CLIP, MAKE_STYLE]
    if missing := [name for name in needed if name not in object_info]:
        raise UnusableFile(f"This ComfyUI has no node {missing[0]}: was the pack loaded?")
    style_type = object_info[needed[-1]]["output"][0]
    users = _users(graph, style_type, object_info)
    if not users:
        raise UnusableFile(f"No node of the workflow takes a style, so {path} has no place in it.")
    if path.suffix == STYLE_FILE:
        file = _copied("style", path, base / "models" / "lipstyle")
        style = _added(graph, LOAD_STYLE, object_info, file=file)
    else:
        clip = _added(graph, LOAD_CLIP, object_info, file=_copied("style", path, base / "input"))
        predictor = _predictor_of(graph, users, path)
        style = _added(graph, MAKE_STYLE, object_info, predictor=predictor, video=[clip, 0])
    for number, name in users:
        graph[number]["inputs"][name] = [style, 0]
    for number in [n for n, node in graph.items() if node["class_type"] == LOAD_STYLE]:
        if not _is_used(graph, number):
            del graph[number]


def _users(graph: ApiGraph, wire_type: str, object_info: ObjectInfo) -> list[tuple[str, str]]:
    """Node number and input name of what is given this type; if nothing is, of all that take it."""
    takers = [
        (number, name)
        for number, node in graph.items()
        if node["class_type"] in object_info and node["class_type"] != MAKE_STYLE
        for name, spec in input_specs(object_info[node["class_type"]]).items()
        if spec[0] == wire_type
    ]
    return [(number, name) for number, name in takers if name in graph[number]["inputs"]] or takers


def _predictor_of(graph: ApiGraph, users: list[tuple[str, str]], path: Path) -> Any:
    """The link to the predictor of a node that takes a style: the style is made with the same."""
    for number, _ in users:
        if predictor := graph[number]["inputs"].get("predictor"):
            return predictor
    raise UnusableFile(f"The nodes that take a style have no predictor to make one of {path} with.")


def _is_used(graph: ApiGraph, number: str) -> bool:
    inputs = [value for node in graph.values() for value in node["inputs"].values()]
    return any(isinstance(value, list) and value[:1] == [number] for value in inputs)


def _added(
    graph: ApiGraph, class_type: str, object_info: ObjectInfo, file: str | None = None, **links: Any
) -> str:
    """Adds a node with its inputs at their defaults; returns its number."""
    info = object_info[class_type]
    required = info["input"].get("required", {})
    inputs = {name: _default(spec) for name, spec in required.items() if is_widget(spec)}
    if file is not None:
        inputs[_file_input(info)] = file
    number = f"own-{class_type}"
    graph[number] = {"class_type": class_type, "inputs": {**inputs, **links}}
    return number


def _default(spec: list[Any]) -> Any:
    choices = spec[0] if isinstance(spec[0], list) else options(spec).get("options", [])
    return options(spec).get("default", choices[0] if choices else None)


def _file_input(info: ObjectInfo) -> str:
    """The name of the input in which a loader takes its file: its only list of choices."""
    for name, spec in input_specs(info).items():
        if isinstance(spec[0], list) or spec[0] == "COMBO":
            return name
    raise UnusableFile(f"{info['name']} has no list of files to choose from.")


def _copied(role: str, path: Path, folder: Path) -> str:
    """Copies a file into a folder of ComfyUI's; returns its name there.

    The role is part of the name: a video and a style may both be called clip.mp4.
    """
    target = folder / f"{role}-{path.name}"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, target)
    return target.name
