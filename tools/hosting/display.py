"""One line of progress per stage on the terminal, and the commands' own words in a log file."""

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path


class StageFailed(RuntimeError):
    """A command of a stage did not succeed; the message says which one and how it ended."""


class StageDisplay:
    """Numbers the stages, shows that they move, and keeps the output of their commands."""

    def __init__(self, stage_count: int, log: Path):
        self.stage_count = stage_count
        self.log = log
        self._stage = 0
        self._title = ""
        self._started = 0.0

    @contextmanager
    def stage(self, title: str) -> Iterator[None]:
        """The block is one stage; prints its title before and its seconds after."""
        self._stage += 1
        self._title = f"[{self._stage}/{self.stage_count}] {title}"
        self._started = time.monotonic()
        live = sys.stdout.isatty()
        print(self._title, end="" if live else " ...\n", flush=True)
        try:
            yield
        except BaseException:
            print(flush=True)
            raise
        print(f"{self._line_start()}{self._title}: {self._seconds():.0f} s{'':20}", flush=True)

    def run(
        self, command: Sequence[str | Path], variables: Mapping[str, str] | None = None
    ) -> None:
        """Runs a command of the current stage with its output in the log.

        `variables` is its process environment, by default the one of this process.

        Raises StageFailed with the last lines of the log when it does not succeed.
        """
        with self.log.open("a", encoding="utf-8", errors="replace") as log:
            log.write(f"\n$ {' '.join(map(str, command))}\n")
            log.flush()
            process = subprocess.Popen(
                list(map(str, command)), env=variables, stdout=log, stderr=subprocess.STDOUT
            )
            try:
                while process.poll() is None:
                    self._tick()
                    time.sleep(0.1)
            finally:
                if process.poll() is None:
                    process.terminate()
                    process.wait()
        if process.returncode:
            raise StageFailed(
                f"{self._title} failed: {Path(command[0]).name} ended with code "
                f"{process.returncode}\n{tail(self.log)}\nThe whole log: {self.log}"
            )

    def _tick(self) -> None:
        if sys.stdout.isatty():
            print(f"\r{self._title} ... {self._seconds():.0f} s", end="", flush=True)

    def _line_start(self) -> str:
        return "\r" if sys.stdout.isatty() else ""

    def _seconds(self) -> float:
        return time.monotonic() - self._started


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a text file, indented; empty when there is no such file."""
    if not path.exists():
        return ""
    text = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join("    " + line for line in text[-lines:])
