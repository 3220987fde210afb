#!/usr/bin/env python3
"""Makes an environment with a real ComfyUI around this checkout, and works in it.

    python3 tools/host.py run [WORKFLOW] [--video F] [--audio F] [--style F] [--seed N]
    python3 tools/host.py serve [--port N]
    python3 tools/host.py test [arguments of pytest]
    python3 tools/host.py python [arguments of python]

`run` runs workflows/lip_sync.json, or the workflow named, and prints the path of the finished
video; `serve` opens the same ComfyUI for a browser; `test` runs the tests; `python` runs anything
else, from the root of the checkout. The environment is made at the first call (minutes, from the
package registries, under .host/); later calls start in a second. COMFYUI_PATH names another
ComfyUI checkout to use instead of the one that is installed.
"""

import argparse
import signal
import subprocess
import sys
from pathlib import Path

if sys.version_info < (3, 10):  # noqa: UP036  an older Python should read this, not a traceback
    sys.exit("tools/host.py needs Python 3.10 or newer; this is " + sys.version.split()[0])

from hosting.client import ExecutionFailed, GraphRefused
from hosting.demo import ensure_demo_inputs
from hosting.display import StageFailed
from hosting.environment import PACK, Environment
from hosting.installation import ensure
from hosting.own_files import OwnFiles, UnusableFile
from hosting.running import run_workflow
from hosting.server import ServerFailed, port_taken, running_server
from hosting.ui_workflow import UnreadableWorkflow

EXPECTED_FAILURES = (
    ExecutionFailed,
    FileNotFoundError,
    GraphRefused,
    ServerFailed,
    StageFailed,
    UnreadableWorkflow,
    UnusableFile,
)
"""These say in their message what went wrong and what to do: no traceback."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended too
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["python"]:
            return in_environment(arguments[1:])
        if arguments[:1] == ["test"]:
            return test(arguments[1:])
        return command_line(arguments)
    except EXPECTED_FAILURES as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def command_line(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    run = commands.add_parser("run", help="run a workflow, print where the video is")
    run.add_argument("workflow", type=Path, nargs="?", default=PACK / "workflows/lip_sync.json")
    run.add_argument("--video", type=Path, help="the video whose lips are to move")
    run.add_argument("--audio", type=Path, help="the new speech")
    run.add_argument("--style", type=Path, help="a style file, or a clip of the person")
    run.add_argument("--seed", type=int, help="the seed of every node that takes one")
    serve = commands.add_parser("serve", help="open ComfyUI for a browser")
    serve.add_argument("--port", type=int, default=8188)
    commands.add_parser("test", help="run the tests; further arguments go to pytest")
    commands.add_parser("python", help="run Python in the environment with further arguments")
    given = parser.parse_args(arguments)
    if given.command == "run":
        own = OwnFiles(given.video, given.audio, given.style, given.seed)
        return run_in_comfyui(given.workflow, own)
    return serve_for_browser(given.port)


def run_in_comfyui(workflow: Path, own: OwnFiles) -> int:
    if not workflow.is_file():
        raise FileNotFoundError(f"There is no workflow {workflow}.")
    own.check()
    environment = Environment.chosen()
    ensure(environment)
    ensure_demo_inputs(environment)
    for path in run_workflow(environment, workflow, own):
        print(path)
    return 0


def serve_for_browser(port: int) -> int:
    if port_taken(port):
        raise ServerFailed(f"Port {port} is taken: name another one with --port.")
    environment = Environment.chosen()
    ensure(environment)
    ensure_demo_inputs(environment)
    print("Starting ComfyUI ...", flush=True)
    with running_server(environment, environment.base, port) as server:
        if error := server.loading_error():
            print(f"The pack was not loaded:\n{error}", file=sys.stderr)
        print(f"ComfyUI is at {server.url} (its log: {server.log}); Ctrl+C ends it.", flush=True)
        return server.process.wait()


def test(arguments: list[str]) -> int:
    ensure_demo_inputs(made_environment())
    return in_environment(["-m", "pytest", *arguments])


def in_environment(arguments: list[str]) -> int:
    environment = made_environment()
    command = [str(environment.python), *arguments]
    return subprocess.run(command, cwd=PACK, env=environment.variables()).returncode


def made_environment() -> Environment:
    environment = Environment.chosen()
    ensure(environment)
    return environment


if __name__ == "__main__":
    sys.exit(main())
