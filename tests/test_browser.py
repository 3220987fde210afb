"""The script that opens workflows in a real browser: what it saves, queues and reports."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tools.hosting.environment import PACK
from tools.hosting.server import ComfyServer
from tools.hosting.ui_workflow import api_graph

pytestmark = [pytest.mark.browser, pytest.mark.server]

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSERS_OWN_INPUTS = {"audioUI", "video-preview", "preview"}
"""Players and texts on nodes: the browser queues them along, the server knows them not."""


@pytest.fixture(scope="session")
def browser_script() -> list[str]:
    """The command that opens a workflow in a browser; skips where a part of it is missing."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node")
    if not any(map(shutil.which, CHROMIUM)):
        pytest.skip("no Chromium")
    if not (PACK / ".host/browser/node_modules/playwright-core").is_dir():
        pytest.skip("no playwright-core: npm install --prefix .host/browser playwright-core")
    return [node, str(PACK / "tools/author_workflow.mjs")]


def comparable(graph: dict[str, Any]) -> dict[str, Any]:
    """Types and inputs by node number, without what only the browser knows."""
    return {
        number: (
            node["class_type"],
            {k: v for k, v in node["inputs"].items() if k not in BROWSERS_OWN_INPUTS},
        )
        for number, node in graph.items()
    }


def test_a_graph_of_the_core_survives_the_way_through_the_browser(
    browser_script: list[str], comfyui: ComfyServer, tmp_path: Path
):
    """Saved by the browser and turned back by the host: the graph that was written down."""
    written = {
        "1": {
            "class_type": "EmptyImage",
            "inputs": {"width": 64, "height": 32, "batch_size": 3, "color": 255},
        },
        "2": {"class_type": "CreateVideo", "inputs": {"images": ["1", 0], "fps": 24.0}},
        "3": {
            "class_type": "SaveVideo",
            "inputs": {
                "video": ["2", 0],
                "filename_prefix": "video/x",
                "format": "auto",
                "codec": "auto",
            },
        },
        "4": {
            "class_type": "RandomNoise",
            "inputs": {"noise_seed": 12345},
        },
    }
    source, saved = tmp_path / "written.json", tmp_path / "saved.json"
    source.write_text(json.dumps(written))
    command = [*browser_script, comfyui.url, str(source), "--ui", str(saved)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    turned = api_graph(json.loads(saved.read_text()), comfyui.object_info())
    assert comparable(turned) == comparable(written)


def test_a_missing_node_type_is_reported(
    browser_script: list[str], comfyui: ComfyServer, tmp_path: Path
):
    source = tmp_path / "unknown.json"
    source.write_text(json.dumps({"1": {"class_type": "NotInstalled", "inputs": {}}}))
    command = [*browser_script, comfyui.url, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["workflows"]["unknown"]["missing"] == ["NotInstalled"]
