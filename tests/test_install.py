"""install.py, as ComfyUI-Manager runs it: harmless, repeatable, honest."""

import hashlib
import importlib.util
import re
import subprocess
import sys
import urllib.error
from dataclasses import replace
from pathlib import Path

import pytest

from lipsync_core import weights
from lipsync_core.weights import WEIGHTS, Weight, find

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
    assert "--folder" in capsys.readouterr().out


def test_a_dry_run_says_what_it_would_do_and_does_nothing(install, nowhere, tmp_path, capsys):
    folder = tmp_path / "models" / "lipstyle"
    install.provide_weights(folder, offline=False, dry_run=True)
    assert nowhere == [] and list(tmp_path.iterdir()) == []
    would = [line for line in capsys.readouterr().out.splitlines() if "would fetch" in line]
    for weight, line in zip(WEIGHTS, would, strict=True):
        told = (weight.url, weight.licence, weight.size, str(folder / weight.name))
        assert weight.size and all(word in line for word in told)


def test_the_dry_run_is_offered_on_the_command_line(tmp_path):
    command = [sys.executable, str(SCRIPT), "--dry-run", "--folder", str(tmp_path)]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0 and list(tmp_path.iterdir()) == []


@pytest.fixture
def homes(monkeypatch, tmp_path) -> list[Weight]:
    """Two files with homes on this disk, which are known by their checksums alone."""
    published = tmp_path / "published"
    published.mkdir()
    known = []
    for weight in WEIGHTS:
        content = weight.name.encode() * 5000
        (published / weight.name).write_bytes(content)
        known.append(
            replace(
                weight,
                url=(published / weight.name).as_uri(),
                package="no_package_of_this_name",
                sha256=(hashlib.sha256(content).hexdigest(),),
                tensors_sha256=None,
            )
        )
    monkeypatch.setattr(weights, "WEIGHTS", tuple(known))
    return known


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_what_is_missing_is_fetched_once_with_its_checksum(install, homes, tmp_path, capsys):
    folder = tmp_path / "models" / "lipstyle"
    install.provide_weights(folder, offline=False)
    first = capsys.readouterr().out
    assert set(contents(folder)) == {weight.name for weight in homes}
    assert "100 %" in first and first.count("fetching") == len(homes)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    install.provide_weights(folder, offline=False)
    assert "fetching" not in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_damaged_file_is_fetched_again(install, homes, tmp_path, capsys):
    folder = tmp_path / "models"
    install.provide_weights(folder, offline=False)
    whole = contents(folder)
    (folder / homes[0].name).write_bytes(b"half")
    install.provide_weights(folder, offline=True)
    assert "is not the expected" in capsys.readouterr().out
    assert contents(folder)[homes[0].name] == b"half", "offline it only looks"
    install.provide_weights(folder, offline=False)
    assert contents(folder) == whole


def test_a_file_with_another_checksum_is_not_kept(install, homes, tmp_path, capsys):
    (tmp_path / "published" / homes[0].name).write_bytes(b"another file under this name")
    install.provide_weights(tmp_path / "models", offline=False)
    assert "is not the expected" in capsys.readouterr().out
    assert set(contents(tmp_path / "models")) == {homes[1].name}


def test_on_a_terminal_a_bar_moves(install, monkeypatch, capsys):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    on_progress = install.shown_progress()
    for done in (0, 1_000_000, 4_000_000):
        on_progress(done, 4_000_000)
    drawn = capsys.readouterr().out
    bars = [line.count("#") for line in drawn.split("\r")[1:]]
    assert bars == sorted(bars) and bars[0] == 0 and bars[-1] == install.BAR
    assert drawn.endswith("4.0 of 4.0 MB\n") and drawn.count("\n") == 1


def test_a_stop_leaves_nothing_and_no_traceback(install, homes, tmp_path, monkeypatch, capsys):
    def stopped(done: int, total: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(install, "shown_progress", lambda: stopped)
    assert install.main(["--folder", str(tmp_path / "models")]) == 130
    assert contents(tmp_path / "models") == {}
    assert "stopped" in capsys.readouterr().out


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
