"""Graphs that nobody would draw: ordinary ones with one thing in each made hostile, from a seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node_graphs import (
    PREDICTOR,
    Graph,
    Link,
    clip,
    lip_sync,
    output,
    predictor,
    renderer,
    save_video,
    speech,
    track,
)

SHORT_SPEECH, STYLE = "hostile_speech.wav", "hostile_style.safetensors"
SECONDS = 0.12
"""Of video and speech: many graphs are run."""
MANY = 10_000
WIDE = 500
"""Nodes of a graph that is run: the host alone takes 2 ms for each to see whether it changed."""
OPTIONAL = {
    ("LipStyleStyleReference", "audio"), ("LipStylePlotLipMotion", "audio"),
    ("LipStylePlotLipMotion", "other"), ("LipStyleScoreLipSync", "audio"),
    ("LipStyleCompositeFace", "audio"), ("LipStylePredictLipMotion", "style"),
    ("LipStyleLipSync", "style"),
}  # fmt: skip
"""Inputs of the graphs here that may be left out."""

HUGE = 10**400
NUMBERS = (
    HUGE, -HUGE, 2**63, -(2**63), 2**64, -1, 1e308, -1e308, 5e-324, -0.0, float("nan"),
    float("inf"), -float("inf"), "nan", "inf", "-inf", "1e999", "9" * 5000, "0x10", "1_000",
    "\N{ARABIC-INDIC DIGIT THREE}",
)  # fmt: skip
WRONG_TYPES = (
    None, True, "", "text", "\0", "\ud800", "\N{PILE OF POO}" * 50, "x" * 100_000, {}, [],
    [1, 2, 3], {"a": {"b": 1}}, {"__value__": [1, 2]}, {"__value__": {"__value__": 1}},
    [[["1", 0]]],
)  # fmt: skip
LINKS = (
    ["none", 0], ["1", 99], ["1", -99], ["1", "0"], ["1", None], ["1", 0.5], [1, 0], [None, None],
    [["1"], 0], [{}, 0], ["", 0], ["1", 2**70], ["\0", 0],
)  # fmt: skip


def paths(guard: Path) -> tuple[Any, ...]:
    """Names that lead to `guard`, a folder beside ComfyUI's, or would on some system."""
    name = guard.name
    return (
        f"../../{name}/secret", f"../{name}/secret", str(guard / "secret"),
        f"file://{guard}/secret",
        f"../../../../../../../../..{guard}/secret", f"./.././../{name}/secret",
        f"a/../../../{name}/secret", f"..\\..\\{name}\\secret", f"\\\\server\\share\\{name}",
        "//server/share/secret", f"C:\\{name}\\secret", "C:secret", "\\\\?\\C:\\secret",
        "\\\\.\\NUL",
        "/dev/zero", "/dev/stdin", "/proc/self/environ", "/etc/passwd\0.mp4", f"{guard}/secret\0",
        "CON", "NUL.mp4", "~/secret", "$HOME/secret", "%USERPROFILE%\\secret", "|touch secret",
        "; touch secret", "`touch secret`", "concat:a|b", "http://127.0.0.1:9/a.mp4",
        "https://127.0.0.1:9/a.mp4", "rtsp://127.0.0.1:9/", "subfile,,start,0,end,9,,:/etc/passwd",
        "x" * 300, "x" * 100_000, "a/" * 5000, ".", "..", "/", "", " ", "\n", "\ud800", "\0",
        "a\u202egpm.exe", f"../../{name}/secret [output]", f"../../{name}/secret [temp]",
        f"{guard}/secret [input]", "secret [nowhere]", "[output]", f"linked/../../../{name}/secret",
        f"%date:{'y' * 999}%", "%year%/%nothing%", f"%1.text%/../../../{name}/made",
    )  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A graph and what is hostile in it."""

    name: str
    graph: dict[str, Any]


Build = Callable[[Graph], Link]


def short_clip(graph: Graph) -> Link:
    return clip(graph, duration=SECONDS)


def motion(graph: Graph, loaded: Link) -> Link:
    heard = graph.add("LipStyleEncodeSpeech", predictor=loaded, audio=speech(graph, SHORT_SPEECH))
    return graph.add(
        "LipStylePredictLipMotion", predictor=loaded, speech=heard, strength=1.0,
        style=load_style(graph),
    )  # fmt: skip


def load_style(graph: Graph) -> Link:
    return graph.add("LipStyleLoadStyle", file=STYLE)


def shown(graph: Graph, source: Link) -> None:
    graph.add("PreviewAny", source=source)


def reference(graph: Graph) -> Link:
    return graph.add(
        "LipStyleStyleReference", predictor=predictor(graph), video=short_clip(graph),
        audio=speech(graph, SHORT_SPEECH),
    )  # fmt: skip


def road() -> Graph:
    """The nodes from clip and speech to the composite, in the order of the method."""
    graph = Graph()
    loaded, drawing, target = predictor(graph), renderer(graph), short_clip(graph)
    said = speech(graph, SHORT_SPEECH)
    fitted = graph.add("LipStyleFitClipToSpeech", video=target, audio=said, policy="ping-pong")
    face = track(graph, fitted)
    moved = motion(graph, loaded)
    latent = graph.add(
        "LipStyleSampleLipRenderer", renderer=drawing, video=fitted, face_track=face,
        motion=moved, seed=0, steps=1, start_frame=0, frame_count=0,
    )  # fmt: skip
    crops = graph.add(
        "LipStyleDecodeLipLatents", renderer=drawing, latent=latent, face_track=face, video=fitted
    )
    composed = graph.add(
        "LipStyleCompositeFace", video=fitted, face_track=face, crops=crops, audio=said
    )
    return save_video(graph, composed)


def plotted() -> Graph:
    """A motion and its picture."""
    graph = Graph()
    loaded = predictor(graph)
    graph.add(
        "LipStylePlotLipMotion", predictor=loaded, motion=motion(graph, loaded), start=0.0,
        duration=8.0, other=motion(graph, loaded), audio=speech(graph, SHORT_SPEECH),
    )  # fmt: skip
    return graph


def styles() -> Graph:
    """Measured, blended and saved."""
    graph = Graph()
    blended = graph.add(
        "LipStyleBlendStyles", first=reference(graph), second=load_style(graph), share=0.5
    )
    graph.add("LipStyleSaveStyle", style=blended, filename_prefix="lipstyle/hostile")
    return graph


def whole() -> Graph:
    """Lip Sync."""
    graph = Graph()
    spoken = lip_sync(
        graph, short_clip(graph), speech(graph, SHORT_SPEECH), style=load_style(graph)
    )
    return save_video(graph, spoken)


def scored() -> Graph:
    """Judged, with a sound as long as the judge needs."""
    graph = Graph()
    seen = clip(graph, duration=1.2)
    score = graph.add(
        "LipStyleScoreLipSync", video=seen, face="largest", face_index=0, point_x=0, point_y=0,
        audio=output(seen, 1),
    )  # fmt: skip
    shown(graph, score)
    return graph


GRAPHS: tuple[Callable[[], Graph], ...] = (styles, plotted, whole, scored, road)


def inputs_of_ours() -> Iterator[tuple[Callable[[], Graph], str, str]]:
    """Every input of every node of ours, once: a graph, the node's number in it, the input."""
    met: set[tuple[str, str]] = set()
    for build in GRAPHS:
        for number, node in build().items():
            for name in node["inputs"]:
                here = node["class_type"], name
                if here[0].startswith("LipStyle") and here not in met:
                    met.add(here)
                    yield build, number, name


def with_values(seed: int, draws: int) -> Iterator[Case]:
    """One input of one node each: numbers, wrong types and broken links, drawn from `seed`."""
    generator = random.Random(seed)
    for build, number, name in inputs_of_ours():
        for value in generator.sample((*NUMBERS, *WRONG_TYPES, *LINKS), draws):
            graph = build()
            graph[number]["inputs"][name] = value
            yield Case(f"{graph[number]['class_type']}.{name} = {shortened(value)}", graph)


def with_paths(guard: Path) -> Iterator[Case]:
    """Every name of a file, in every node that takes one."""
    for build, number, name in inputs_of_ours():
        if name in {"file", "filename_prefix"}:
            for value in paths(guard):
                graph = build()
                graph[number]["inputs"][name] = value
                yield Case(f"{graph[number]['class_type']}.{name} = {shortened(value)}", graph)


def with_holes() -> Iterator[Case]:
    """Inputs left out, and inputs that no node knows."""
    for build, number, name in inputs_of_ours():
        graph = build()
        kind = graph[number]["class_type"]
        if (kind, name) not in OPTIONAL:
            del graph[number]["inputs"][name]
            yield Case(f"{kind} without {name}", graph)
    for build in (styles, plotted, whole):
        graph = build()
        for node in graph.values():
            node["inputs"] |= {"cls": 1, "self": 2, "__class__": "x", "on_progress": 3, "": 4}
        yield Case(f"{build.__name__} with inputs that are not there", graph)


def of_odd_shape() -> Iterator[Case]:
    """Cycles, and very many nodes."""
    graph = whole()
    spoken = next(n for n, node in graph.items() if node["class_type"] == "LipStyleLipSync")
    graph[spoken]["inputs"]["video"] = [spoken, 0]
    yield Case("a node that feeds itself", graph)
    graph = Graph()
    for other in ("2", "1"):
        graph.add("LipStyleBlendStyles", first=[other, 0], second=[other, 0], share=0.5)
    graph.add("LipStyleSaveStyle", style=["1", 0], filename_prefix="lipstyle/hostile")
    yield Case("two nodes that feed each other", graph)
    graph = Graph()
    style = load_style(graph)
    for _ in range(MANY):
        style = graph.add("LipStyleBlendStyles", first=style, second=style, share=0.5)
    graph.add("LipStyleSaveStyle", style=style, filename_prefix="lipstyle/hostile")
    yield Case(f"a chain of {MANY} nodes", graph)
    graph = Graph()
    style = load_style(graph)
    for _ in range(60):
        style = graph.add("LipStyleBlendStyles", first=style, second=style, share=0.5)
    graph.add("LipStyleSaveStyle", style=style, filename_prefix="lipstyle/hostile")
    yield Case("a style that doubles 60 times", graph)
    graph = Graph()
    for _ in range(MANY):
        graph.add("LipStyleBlendStyles", first=["none", 0], share=float("nan"))
    graph.add("LipStyleSaveStyle", style=["none", 0], filename_prefix="lipstyle/hostile")
    yield Case(f"{MANY} nodes that nothing needs", graph)
    graph = Graph()
    blends = [load_style(graph)]
    for number in range(WIDE):
        pair = {"first": blends[number // 2], "second": blends[0]}
        blends.append(graph.add("LipStyleBlendStyles", **pair, share=1.0))
    graph.add("LipStyleSaveStyle", style=blends[-1], filename_prefix="lipstyle/hostile")
    yield Case(f"a tree of {WIDE} nodes", graph)
    graph = Graph()
    loaded = graph.add("LipStyleLoadMotionPredictor", file=PREDICTOR)
    graph["\N{PILE OF POO}\0\ud800"] = {
        "class_type": "LipStyleEncodeSpeech",
        "inputs": {"predictor": loaded, "audio": output(short_clip(graph), 1)},
        "_meta": {"title": "\u202e" * 1000},
    }
    shown(graph, ["\N{PILE OF POO}\0\ud800", 0])
    yield Case("a node whose number is no number", graph)


def shortened(value: Any) -> str:
    text = ascii(value) if value not in (HUGE, -HUGE) else "10 ** 400"
    return text if len(text) < 60 else f"{text[:40]}... ({len(text)} letters)"
