"""The host's own environment: what its folder holds, and whether that is whole and up to date.

    .host/venv       Python packages
    .host/ComfyUI    a copy of ComfyUI (not there when COMFYUI_PATH names another one)
    .host/base       ComfyUI's input, output, models and custom_nodes folders
    .host/stamp.json written last: an environment without it is half made

Another ComfyUI has other requirements: each gets a folder of its own, .host/other-<hash of path>.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import integrity

PACK = Path(__file__).resolve().parents[2]
"""The root of this checkout: the node pack."""

TOOLS = PACK / "tools"

OUTDATED = "made from other requirements"
"""The one fault that is mended by installing on top, as the environment is whole otherwise."""

FORMAT = 1
"""Part of the fingerprint: raise it when the stages themselves change."""


@dataclass(frozen=True)
class Environment:
    """One environment of the host, made or not."""

    folder: Path
    other_comfyui: Path | None = None

    @classmethod
    def chosen(cls, environ: Mapping[str, str] = os.environ) -> "Environment":
        """The environment for this checkout, or for the ComfyUI that COMFYUI_PATH names.

        Raises FileNotFoundError if COMFYUI_PATH holds no ComfyUI.
        """
        named = environ.get("COMFYUI_PATH")
        if not named:
            return cls(PACK / ".host")
        comfyui = Path(named).expanduser().resolve()
        if not (comfyui / "main.py").is_file():
            raise FileNotFoundError(
                f"COMFYUI_PATH is {comfyui}, where there is no main.py: name the folder of a "
                "ComfyUI checkout, or unset it to use the one that comes with this environment"
            )
        mark = hashlib.sha256(str(comfyui).encode()).hexdigest()[:8]
        return cls(PACK / ".host" / f"other-{mark}", comfyui)

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        windows = os.name == "nt"
        return self.venv / ("Scripts/python.exe" if windows else "bin/python")

    @property
    def comfyui(self) -> Path:
        """The folder with ComfyUI's main.py."""
        return self.other_comfyui or self.folder / "ComfyUI"

    @property
    def base(self) -> Path:
        """ComfyUI's base directory."""
        return self.folder / "base"

    @property
    def stamp(self) -> Path:
        return self.folder / "stamp.json"

    @property
    def log(self) -> Path:
        """What the commands of the set-up said."""
        return self.folder / "setup.log"

    def variables(self) -> dict[str, str]:
        """The process environment in which Python of this environment is to run."""
        return {
            **os.environ,
            "PYTHONPATH": str(TOOLS / "shims"),
            "PYTHONUNBUFFERED": "1",
            "VIRTUAL_ENV": str(self.venv),
            "PATH": os.pathsep.join([str(self.python.parent), os.environ.get("PATH", "")]),
        }

    def requirement_files(self) -> list[Path]:
        """Every file whose change makes the environment out of date."""
        files = [PACK / "requirements.txt", *sorted(TOOLS.glob("requirements-*.txt"))]
        if self.other_comfyui and (self.other_comfyui / "requirements.txt").exists():
            files.append(self.other_comfyui / "requirements.txt")
        return files

    def fingerprint(self) -> str:
        """A hash of all that the environment is made from."""
        return fingerprint(self.requirement_files())

    def fault(self) -> str | None:
        """Why the environment cannot be used as it is, in a few words; None when it can.

        Takes less than a second: no package is imported.
        """
        if not self.stamp.exists():
            return "half made" if self.venv.exists() else "not made yet"
        stamp = _read_stamp(self.stamp)
        if stamp is None:
            return "its stamp cannot be read"
        if not _runs(self.python):
            return "its Python does not run"
        if _python_release(self.venv) != sys.version_info[:2]:
            return "made for another Python"
        site = integrity.site_packages(self.venv)
        if site is None:
            return "its packages are gone"
        if gone := integrity.missing_distributions(site, stamp["distributions"]):
            return f"packages are missing ({gone[0].removesuffix('.dist-info')})"
        if damaged := set(integrity.damaged_files(site)) - set(stamp["accepted_damage"]):
            return f"{len(damaged)} installed files are missing or damaged ({min(damaged)})"
        if not self.other_comfyui and integrity.tree_digest(self.comfyui) != stamp["comfyui"]:
            return "the copy of ComfyUI is damaged"
        if stamp["fingerprint"] != self.fingerprint():
            return OUTDATED
        return None

    def write_stamp(self) -> None:
        """Declares the environment whole, as it is now."""
        site = integrity.site_packages(self.venv)
        if site is None:
            raise RuntimeError(f"{self.venv} has no site-packages")
        content = {
            "fingerprint": self.fingerprint(),
            "distributions": integrity.distributions(site),
            # two packages may bring the same file: the later one's is right
            "accepted_damage": integrity.damaged_files(site),
            "comfyui": None if self.other_comfyui else integrity.tree_digest(self.comfyui),
        }
        part = self.stamp.with_suffix(".part")
        part.write_text(json.dumps(content))
        part.replace(self.stamp)


def fingerprint(files: list[Path], python_version: tuple[int, ...] = sys.version_info[:2]) -> str:
    """A hash of the format, the Python release and the names and contents of the files."""
    digest = hashlib.sha256(f"{FORMAT} {python_version}".encode())
    for path in files:
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def nvidia_gpu_present() -> bool:
    """Is there a driver for an NVIDIA GPU? Asks nothing of torch."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def cuda_usable(venv: Path) -> bool:
    """Has the machine a GPU for which the environment's torch was built?"""
    site = integrity.site_packages(venv)
    if site is None or not nvidia_gpu_present():
        return False
    version = site / "torch" / "version.py"
    return version.exists() and "cuda: Optional[str] = None" not in version.read_text()


def _read_stamp(path: Path) -> dict | None:
    try:
        stamp = json.loads(path.read_text())
    except ValueError:
        return None
    keys = {"fingerprint", "distributions", "accepted_damage", "comfyui"}
    return stamp if isinstance(stamp, dict) and keys <= stamp.keys() else None


def _python_release(venv: Path) -> tuple[int, ...]:
    """The Python that a virtual environment was made with, such as (3, 11)."""
    for line in (venv / "pyvenv.cfg").read_text().splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "version":
            return tuple(int(part) for part in value.strip().split(".")[:2])
    return ()


def _runs(python: Path) -> bool:
    try:
        return subprocess.run([str(python), "-I", "-c", ""], timeout=60).returncode == 0
    except OSError:
        return False
