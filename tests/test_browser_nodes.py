"""The nodes in a real browser: a clip is uploaded and played, help pages show their pictures."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from test_browser import browser_script
from tiny_models import write_talking_face

from tools.hosting.server import ComfyServer

pytestmark = [pytest.mark.browser, pytest.mark.server]

__all__ = ["browser_script"]
TESTS = Path(__file__).parent


def told(browser_script: list[str], script: str, *arguments: str | Path) -> dict[str, Any]:
    """The report of one of the scripts beside this file."""
    command = [browser_script[0], str(TESTS / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_clip_is_uploaded_with_the_button_and_played_on_the_node(
    browser_script: list[str], comfyui: ComfyServer, tmp_path: Path
):
    write_talking_face(tmp_path / "from_my_disk.mp4", 25)
    report = told(browser_script, "upload_clip.mjs", comfyui.url, tmp_path / "from_my_disk.mp4")
    assert report["file"] == "from_my_disk.mp4"
    uploaded = comfyui.input / "from_my_disk.mp4"
    assert uploaded.read_bytes() == (tmp_path / "from_my_disk.mp4").read_bytes()
    assert (report["width"], report["height"]) == (320, 240)
    assert report["seconds"] == pytest.approx(1.0, abs=0.1)
    assert report["played"] > 0 and report["controls"]
    assert report["errors"] == []


def test_a_help_page_opens_with_its_picture_and_tables(
    browser_script: list[str], comfyui: ComfyServer
):
    report = told(browser_script, "open_help.mjs", comfyui.url, "LipStyleTrackFace")
    assert report["node"]["title"] == "Track Face"
    assert report["node"]["outputs"] == ["face_track", "preview"]
    ((address, width, shown),) = report["shown"]["pictures"]
    assert address == "/extensions/lipstyle/docs/pictures/LipStyleTrackFace.webp"
    assert width > 300 and shown > 200, "the picture is there, and large enough to be read"
    assert report["shown"]["tables"] == 3
    assert "When something goes wrong" in report["shown"]["text"]
    assert report["errors"] == []
