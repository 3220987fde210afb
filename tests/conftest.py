"""What tests share: the real ComfyUI with this pack in it, and the clips beside the checkout."""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.hosting.demo import demo_files
from tools.hosting.environment import PACK, Environment
from tools.hosting.server import ComfyServer, running_server

SHARED = PACK.parent / "shared"
NEWER_FRONTEND = PACK / ".host" / "browser" / "frontend-1.58.1"
"""Made by `pip install --no-deps --target <this folder> comfyui-frontend-package==1.58.1`."""


@pytest.fixture(scope="session")
def host_environment() -> Environment:
    """The environment that these tests run in, if tools/host.py made it; skips elsewhere."""
    environment = Environment.chosen()
    if Path(sys.prefix).resolve() != environment.venv.resolve():
        pytest.skip("not in the host's environment: run python3 tools/host.py test")
    return environment


@pytest.fixture(scope="session")
def comfyui(
    host_environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A real ComfyUI with the pack loaded and the demo's files in its input folder.

    One for all tests: its queue, history and folders are shared.
    """
    base = tmp_path_factory.mktemp("comfyui")
    with running_server(host_environment, base) as server:
        for path in demo_files(host_environment.base / "input"):
            shutil.copy(path, server.input)
        yield server


@pytest.fixture(scope="session")
def neighbours(
    host_environment: Environment, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ComfyServer]:
    """A ComfyUI with nodes of other packs and, where it is installed, a newer frontend."""
    base = tmp_path_factory.mktemp("neighbours")
    nodes = Path(__file__).parent / "neighbour_nodes"
    shutil.copytree(nodes, base / "custom_nodes" / nodes.name)
    frontend = NEWER_FRONTEND / "comfyui_frontend_package" / "static"
    arguments = [f"--front-end-root={frontend}"] if frontend.is_dir() else []
    with running_server(host_environment, base, arguments=arguments) as server:
        yield server


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips beside the checkout; skips where there is none."""
    if not SHARED.is_dir():
        pytest.skip("no folder ../shared with real clips")
    return SHARED
