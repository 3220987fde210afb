"""ComfyUI as a child process, with this checkout as its custom node pack `lipstyle`."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .client import ComfyClient, output_files
from .display import tail
from .environment import PACK, Environment, cuda_usable

PACK_NAME = "lipstyle"
"""The pack's folder under custom_nodes, whatever the checkout is called."""

SUBFOLDERS = ("custom_nodes", "input", "output", "temp", "models/lipstyle", "user/default")


class ServerFailed(RuntimeError):
    """ComfyUI did not start, or ended while it was needed; the message has its last words."""


class ComfyServer(ComfyClient):
    """A running server: a client of it that knows its folders, its log and its process."""

    def __init__(self, url: str, base: Path, log: Path, process: subprocess.Popen):
        super().__init__(url)
        self.base = base
        self.log = log
        self.process = process

    @property
    def input(self) -> Path:
        """Files put here can be named in graphs."""
        return self.base / "input"

    @property
    def output(self) -> Path:
        return self.base / "output"

    @property
    def models(self) -> Path:
        return self.base / "models"

    def output_files(self, outputs: dict) -> list[Path]:
        """The files that the output nodes of a run wrote."""
        return output_files(outputs, self.base)

    def check_alive(self) -> None:
        """Raises ServerFailed if the process has ended."""
        if self.process.poll() is not None:
            raise ServerFailed(f"ComfyUI ended with code {self.process.returncode}\n{self.words()}")

    def words(self) -> str:
        """The end of the log."""
        return f"{tail(self.log, 30)}\nThe whole log: {self.log}"

    def loading_error(self) -> str | None:
        """What the log says about the pack if it could not be loaded; None if it was."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        failed = [
            line
            for line in text.splitlines()
            if PACK_NAME in line and ("IMPORT FAILED" in line or "Cannot import" in line)
        ]
        return text[: text.rfind(failed[-1])][-4000:] + failed[-1] if failed else None


@contextmanager
def running_server(
    environment: Environment, base: Path, port: int = 0, arguments: Sequence[str] = ()
) -> Iterator[ComfyServer]:
    """A ComfyUI that answers, for the time of the block; ended with it.

    `base` is made if need be; port 0 is any free one; `arguments` are further ones of ComfyUI's.
    Raises ServerFailed if it does not answer within ten minutes.
    """
    _lay_out(base)
    port = port or free_port()
    log = base / "comfyui.log"
    with log.open("w") as words:
        process = subprocess.Popen(
            [*_command(environment, base, port), *arguments],
            cwd=base,
            env=environment.variables(),
            stdout=words,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    server = ComfyServer(f"http://127.0.0.1:{port}", base, log, process)
    try:
        _wait_until_it_answers(server)
        yield server
    finally:
        _end(process)


def free_port() -> int:
    """A port of this machine that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def port_taken(port: int) -> bool:
    """Does anybody listen on this port of this machine?"""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _lay_out(base: Path) -> None:
    for name in SUBFOLDERS:
        (base / name).mkdir(parents=True, exist_ok=True)
    settings = base / "user/default/comfy.settings.json"
    if not settings.exists():  # the tutorial would cover the graph
        settings.write_text('{"Comfy.TutorialCompleted": true}')
    _link_folder(base / "custom_nodes" / PACK_NAME, PACK)


def _link_folder(link: Path, target: Path) -> None:
    if link.exists() and link.resolve() == target.resolve():
        return
    if link.is_symlink():
        link.unlink()
    if os.name == "nt":  # a junction, unlike a symbolic link, needs no special rights
        subprocess.run(["cmd", "/c", "mklink", "/J", str(link), str(target)], check=True)
    else:
        link.symlink_to(target, target_is_directory=True)


def _command(environment: Environment, base: Path, port: int) -> list[str]:
    command = [
        str(environment.python),
        str(environment.comfyui / "main.py"),
        "--listen=127.0.0.1",
        f"--port={port}",
        f"--base-directory={base}",
        "--database-url=sqlite:///:memory:",
        "--disable-auto-launch",
        "--disable-api-nodes",
    ]
    return command if cuda_usable(environment.venv) else [*command, "--cpu"]


def _wait_until_it_answers(server: ComfyServer, seconds: float = 600) -> None:
    """Six seconds on an idle machine; minutes from a cold disk next to other work."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        server.check_alive()
        try:
            server.call("/system_stats", timeout=5)
            return
        except (OSError, ValueError):
            time.sleep(0.1)
    raise ServerFailed(f"ComfyUI does not answer after {seconds:.0f} s\n{server.words()}")


def _end(process: subprocess.Popen) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
