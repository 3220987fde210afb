"""The command line: `python -m lipsync_core COMMAND`; `--help` lists the commands."""

import argparse
import sys

from .commands import evaluate, prepare, style_sheet, sync, synthesise, train
from .errors import LipStyleError

COMMANDS = {
    "sync": (sync, "re-speak a video"),
    "evaluate": (evaluate, "re-speak real clips and measure them beside chance and the real clip"),
    "style-sheet": (style_sheet, "draw one sentence in several styles"),
    "prepare": (prepare, "track, crop and hear clips once, for training"),
    "train": (train, "train codec, predictor, renderer or sync expert; the same command resumes"),
    "synthesise": (synthesise, "3-D heads that say timed speech in known styles"),
}


def main(argv: list[str] | None = None) -> int:
    """Runs one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="lipsync_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (command, description) in COMMANDS.items():
        command.add_arguments(commands.add_parser(name, help=description, description=description))
    arguments = parser.parse_args(argv)
    try:
        print(COMMANDS[arguments.command][0].run(arguments))
    except LipStyleError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("cancelled", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
