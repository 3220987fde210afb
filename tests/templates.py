"""The workflows of the template menu, and small files in the place of those that they name."""

import json
from pathlib import Path
from typing import Any

import torch
from node_graphs import noise
from synthetic_media import write_sound
from tiny_models import (
    save_tiny_judge,
    save_tiny_models,
    save_tiny_style,
    write_talking_face,
)

from lipsync_core.evaluation.sync_measures import JUDGE
from lipsync_core.types import Audio
from tools.hosting.environment import PACK
from tools.hosting.server import ComfyServer

FOLDER = PACK / "workflows"
NAMES = (
    "lip_sync", "lip_sync_steps", "reference_take", "dub_with_background", "upscale_crops",
    "restore_crops", "interpolate_after", "blend_styles", "score_and_plots", "batch_of_lines",
)  # fmt: skip
TARGET, TAKE = "template_target.mp4", "template_take.mp4"
SPEECH, HUM, LINES = (
    "template_speech.wav",
    "template_hum.wav",
    ("template_line_1.wav", "template_line_2.wav"),
)
SMALL = {
    "lipstyle_demo.mp4": TARGET,
    "lipstyle_demo_take.mp4": TAKE,
    "lipstyle_demo.wav": SPEECH,
    "lipstyle_demo_background.wav": HUM,
    "lipstyle_demo_line_1.wav": LINES[0],
    "/demo_line/": "/template_line/",
}
"""What stands for what the demo has."""
TINY = {
    "LipStyleLoadMotionPredictor": "tiny_predictor.safetensors",
    "LipStyleLoadLipRenderer": "tiny_renderer.safetensors",
    "LipStyleLoadStyle": "tiny_style.safetensors",
}
HUM_FREQUENCY, HUM_LEVEL = 440.0, 0.2
SPEECH_SECONDS, LINE_SECONDS = 1.2, (0.8, 1.0)
TARGET_FRAMES = 25


def content(name: str) -> dict[str, Any]:
    """A workflow as it is shipped."""
    return json.loads((FOLDER / f"{name}.json").read_text())


def small(name: str) -> dict[str, Any]:
    """The workflow with tiny models and small files in it, still as the browser saves it."""
    workflow = content(name)
    for node in workflow["nodes"]:
        values = [
            SMALL.get(v, v) if isinstance(v, str) else v for v in node.get("widgets_values") or []
        ]
        if node["type"] in TINY:
            values = [TINY[node["type"]]]
        node["widgets_values"] = values
    return workflow


def provide_small_files(server: ComfyServer) -> ComfyServer:
    """Puts what `small` names into the server's folders."""
    folder = server.models / "lipstyle"
    save_tiny_models(folder)
    save_tiny_style(folder / TINY["LipStyleLoadStyle"])
    save_tiny_judge(folder / JUDGE)
    write_talking_face(server.input / TARGET, TARGET_FRAMES)
    write_talking_face(server.input / TAKE, 40, seed=1)
    write_sound(server.input / SPEECH, noise(SPEECH_SECONDS), "pcm_s16le")
    for line, seconds in zip(LINES, LINE_SECONDS, strict=True):
        write_sound(server.input / line, noise(seconds), "pcm_s16le")
    time = torch.arange(3 * 16000) / 16000
    hum = HUM_LEVEL * torch.sin(2 * torch.pi * HUM_FREQUENCY * time)
    write_sound(server.input / HUM, Audio(hum, 16000), "pcm_s16le")
    return server


def write_small(folder: Path) -> list[Path]:
    """Every workflow with small files in it, as files."""
    for name in NAMES:
        (folder / f"{name}.json").write_text(json.dumps(small(name)))
    return [folder / f"{name}.json" for name in NAMES]
