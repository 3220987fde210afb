"""What ComfyUI's registry and its Manager want of a pack: metadata, what is shipped, plain code.

`comfy node validate` and `comfy-test lint` look at more; these are the rules that can break here.
"""

import ast
import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
SHIPPED = {
    "CHANGELOG.md", "LICENSE", "README.md", "__init__.py", "docs", "install.py", "lipsync_core",
    "locales", "nodes", "pyproject.toml", "requirements.txt", "web", "weights", "workflows",
}  # fmt: skip


def entry(name: str) -> str:
    """The text of an entry of pyproject.toml; tomllib is not in Python 3.10."""
    found = re.search(rf'^{re.escape(name)} = (?:{{ file = )?"(.*)"', PROJECT, re.MULTILINE)
    assert found, name
    return found[1]


def sources() -> Iterator[tuple[Path, str]]:
    """Our Python files and what is in them; the host in `.host` is not ours."""
    for place in sorted(ROOT.iterdir()):
        if place.suffix == ".py":
            yield place, place.read_text("utf-8")
        elif place.is_dir() and not place.name.startswith("."):
            for path in sorted(place.rglob("*.py")):
                yield path, path.read_text("utf-8")


def test_the_name_is_allowed_and_the_same_for_ever():
    """It becomes the folder's name and cannot be changed."""
    assert entry("name") == "lipstyle"


def test_the_metadata_are_complete():
    assert re.fullmatch(r"\d+\.\d+\.\d+", entry("version"))
    assert (ROOT / entry("license")).is_file()
    assert entry("Repository").startswith("https://github.com/")
    assert all(entry(field) for field in ("description", "PublisherId", "DisplayName"))
    assert re.fullmatch(r">=\d+\.\d+\.\d+", entry("requires-comfyui"))


def test_the_frontend_is_asked_for_in_the_registrys_form_and_not_pinned():
    """Other packs need other versions."""
    (asked,) = re.findall(r'"comfyui-frontend-package(.*)"', PROJECT)
    assert re.fullmatch(r">=\d+\.\d+\.\d+", asked)


def test_requirements_suit_the_manager():
    """It installs line by line, and never torch."""
    for line in (ROOT / "requirements.txt").read_text().splitlines():
        assert re.fullmatch(r"[a-z0-9-]+>=\d+(\.\d+)*", line), line
        assert not line.startswith(("torch", "opencv-python-headless", "comfyui-manager"))


def test_what_is_shipped_is_what_the_pack_needs():
    """git reads .comfyignore as the registry's tool does."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if tracked.returncode:
        pytest.fail("this test needs the repository")
    ignore = ["git", "ls-files", "--cached", "--ignored", "--exclude-from=.comfyignore"]
    left_out = subprocess.run(ignore, cwd=ROOT, capture_output=True, text=True, check=True)
    kept = set(tracked.stdout.splitlines()) - set(left_out.stdout.splitlines())
    assert {path.split("/")[0] for path in kept} == SHIPPED
    assert "web/docs/LipStyleLipSync.md" in kept and "locales/zh/nodeDefs.json" in kept


def test_the_code_is_in_letters_that_every_console_has():
    """Windows reads and prints in its code page 1252."""
    for path, text in sources():
        assert text.encode("cp1252"), path


@pytest.mark.parametrize("folder", ["nodes", "lipsync_core"])
def test_no_device_is_named_and_nothing_is_installed_while_it_runs(folder):
    forbidden = r'\.cuda\(|\.to\(\s*["\']cuda|torch\.cuda\.|\bpip\b.*install.*\]|os\.system'
    for path in (ROOT / folder).rglob("*.py"):
        assert not re.search(forbidden, path.read_text("utf-8")), path


def test_layers_and_precision_are_the_hosts_to_choose():
    """Layers come from `operations`; those that are torch's on purpose are imported by name."""
    layers = "Linear|Conv[123]d|ConvTranspose[12]d|LayerNorm|GroupNorm|Embedding"
    forbidden = (
        rf"(?<![\w.])(?:torch\.)?nn\.(?:{layers})\s*\(|torch\.(?:cuda\.)?(?:amp\.)?autocast\b"
    )
    for path, text in sources():
        found = [line for line in text.splitlines() if re.search(forbidden, line)]
        assert not found, path


def test_nothing_is_evaluated_and_each_statement_has_its_line():
    """What the registry warns of and is about to refuse: rules S102, S307 and E702 of ruff."""
    for path, text in sources():
        for node in ast.walk(ast.parse(text)):
            where = f"{path}, line {getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec"}, where
            for part in ("body", "orelse", "finalbody"):
                if isinstance(statements := getattr(node, part, None), list):
                    for one, other in pairwise(statements):
                        assert one.end_lineno < other.lineno, where
