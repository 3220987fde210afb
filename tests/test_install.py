"""install.py, as ComfyUI-Manager runs it: harmless, repeatable, honest."""

import importlib.util
import re
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

from lipsync_core import weights
from lipsync_core.weights import WEIGHTS, find

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "install.py"


@pytest.fixture(scope="module")
def install():
    """The script as a module; running it is guarded by __main__."""
    spec = importlib.util.spec_from_file_location("install", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def nowhere(monkeypatch):
    """No installed package carries the weights, and the network is down."""
    asked: list[str] = []

    def urlopen(url: str, timeout: float):
        asked.append(url)
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(weights.urllib.request, "urlopen", urlopen)
    return asked


def test_it_runs_alone_says_where_the_weights_are_and_exits_0(tmp_path):
    """From another folder, and with nothing of ComfyUI importable."""
    command = [sys.executable, str(SCRIPT), "--offline", "--folder", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0
    assert not ended.stderr or "Traceback" not in ended.stderr
    for weight in WEIGHTS:
        assert re.search(rf"{re.escape(weight.name)}", ended.stdout)
    assert list(tmp_path.iterdir()) == []


def test_offline_asks_no_server(install, nowhere, tmp_path, capsys):
    install.provide_weights(tmp_path, offline=True)
    assert nowhere == []
    said = capsys.readouterr().out
    assert all(weight.url in said for weight in WEIGHTS), "it must say where to get them by hand"


def test_a_failed_fetch_is_one_line_for_each_file_and_leaves_nothing(
    install, nowhere, tmp_path, capsys
):
    install.provide_weights(tmp_path, offline=False)
    assert len(nowhere) == len(WEIGHTS)
    failures = [line for line in capsys.readouterr().out.splitlines() if "could not" in line]
    assert len(failures) == len(WEIGHTS)
    assert list(tmp_path.iterdir()) == []


def test_outside_of_comfyui_it_fetches_nothing(install, nowhere, capsys):
    install.provide_weights(None, offline=False)
    assert nowhere == []


def test_what_is_there_is_not_fetched_again(install, tmp_path, monkeypatch, capsys):
    def urlopen(url: str, timeout: float):
        raise AssertionError(f"{url} was asked for")

    if any(importlib.util.find_spec(weight.package) is None for weight in WEIGHTS):
        pytest.skip("the packages that carry the weights are not installed")
    monkeypatch.setattr(weights.urllib.request, "urlopen", urlopen)
    install.provide_weights(tmp_path, offline=False)
    said = capsys.readouterr().out
    assert all(str(find(weight)) in said for weight in WEIGHTS)


@pytest.mark.parametrize(
    ("requirement", "fault"),
    [
        ("torch>=1.0", None),
        ("torch>=99.0", "newer is needed"),
        ("no-such-library>=1.0", "not installed"),
        ("opencv-python>=4.0", None),
    ],
)
def test_libraries_are_checked_with_their_versions(install, requirement, fault):
    """The headless build of OpenCV counts as OpenCV."""
    found = install.missing_library(requirement)
    assert found is None if fault is None else fault in found


@pytest.mark.parametrize(
    ("older", "newer"), [("4.9", "4.10"), ("2.13.0+cpu", "2.13.1"), ("1.0", "1.0.1")]
)
def test_versions_are_compared_as_numbers(install, older, newer):
    assert install.release(older) < install.release(newer)


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("ComfyUI/custom_nodes/lipstyle", "ComfyUI/models/lipstyle"),
        ("somewhere/lipstyle", None),
    ],
)
def test_weights_go_to_the_comfyui_around_the_pack(install, monkeypatch, tmp_path, place, expected):
    monkeypatch.setattr(install, "ROOT", tmp_path / place)
    assert install.models_folder() == (tmp_path / expected if expected else None)
