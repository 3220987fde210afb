"""Graphs of the nodes, put together node by node, and the small files that they read."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
from synthetic_media import write_sound
from tiny_models import save_tiny_models, write_talking_face

from lipsync_core.media.writing import write_clip
from lipsync_core.types import Audio
from tools.hosting.server import ComfyServer

FRAMES = 40
PREDICTOR, RENDERER = "tiny_predictor.safetensors", "tiny_renderer.safetensors"
FACE, SILENT_FACE, NO_FACE = "talking.mp4", "silent.mp4", "no_face.mp4"
SPEECH, LONG_SPEECH = "speech.wav", "long_speech.wav"

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


def provide_files(server: ComfyServer) -> ComfyServer:
    """Puts tiny models and small clips into the server's folders."""
    assert save_tiny_models(server.models / "lipstyle") == (PREDICTOR, RENDERER)
    write_talking_face(server.input / FACE, FRAMES)
    write_talking_face(server.input / SILENT_FACE, 10, sound=False)
    grey = [torch.full((12, 120, 160, 3), 0.5)]
    write_clip(server.input / NO_FACE, grey, Fraction(25), 120, 160, noise(0.48))
    write_sound(server.input / SPEECH, noise(1.2), "pcm_s16le")
    write_sound(server.input / LONG_SPEECH, noise(3.0), "pcm_s16le")
    return server


def noise(seconds: float) -> Audio:
    """White: one sample off, it does not correlate with itself."""
    generator = torch.Generator().manual_seed(3)
    return Audio(0.1 * torch.randn(round(seconds * 16000), generator=generator), 16000)


def predictor(graph: Graph) -> Link:
    return graph.add("LipStyleLoadMotionPredictor", file=PREDICTOR)


def renderer(graph: Graph) -> Link:
    return graph.add("LipStyleLoadLipRenderer", file=RENDERER)


def video(graph: Graph, name: str = FACE) -> Link:
    return graph.add("LoadVideo", file=name)


def clip(graph: Graph, name: str = FACE, start: float = 0.0, duration: float = 0.0) -> Link:
    return graph.add("LipStyleLoadReferenceClip", file=name, start=start, duration=duration)


def speech(graph: Graph, name: str = SPEECH) -> Link:
    return graph.add("LoadAudio", audio=name)


def track(graph: Graph, video: Link, face: str = "largest", **point: int) -> Link:
    where = {"face_index": 0, "point_x": 0, "point_y": 0, **point}
    return graph.add("LipStyleTrackFace", video=video, face=face, **where)


def lip_sync(graph: Graph, video: Link, audio: Link, **others) -> Link:
    settings = {
        "strength": 1.0, "face": "largest", "face_index": 0, "point_x": 0, "point_y": 0,
        "policy": "ping-pong", "steps": 1, "seed": 0, **others,
    }  # fmt: skip
    return graph.add(
        "LipStyleLipSync",
        predictor=predictor(graph),
        renderer=renderer(graph),
        video=video,
        audio=audio,
        **settings,
    )


def save_video(graph: Graph, video: Link) -> Graph:
    graph.add("SaveVideo", video=video, filename_prefix="test", format="auto", codec="auto")
    return graph


def made(host: ComfyServer, graph: Graph) -> Path:
    """The one file that a graph writes."""
    (path,) = host.output_files(host.run(graph))
    return path


def drawn_crops(
    graph: Graph, drawing: Link, target: Link, face: Link, motion: Link, **span: int
) -> Link:
    part = {"start_frame": 0, "frame_count": 0, **span}
    latent = graph.add(
        "LipStyleSampleLipRenderer",
        renderer=drawing,
        video=target,
        face_track=face,
        motion=motion,
        seed=0,
        steps=1,
        **part,
    )
    return graph.add(
        "LipStyleDecodeLipLatents", renderer=drawing, latent=latent, face_track=face, video=target
    )
