"""The ``flip`` command: one module per command, each with `add` and `run`."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from flip.errors import FlipError

# Each is a module of this package; in the order of the help.
COMMANDS = (
    "check",
    "plan",
    "status",
    "retry",
    "drain",
    "undrain",
    "release",
    "confirm-down",
    "keygen",
    "simulate",
    "demo",
    "version",
)

FAILED = 1
INTERRUPTED = 130  # as shells have it: 128 + SIGINT
CLOSED = 141  # 128 + SIGPIPE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        code = _run(argv)
        print(end="", flush=True)  # where there is no output at all, sys.stdout is None
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read the output has seen enough
        _drop_output()
        return CLOSED
    except OSError as error:  # a full disk: what commands can expect is a FlipError
        print(f"flip: the output cannot be written: {error}", file=sys.stderr)
        _drop_output()
        return FAILED
    return code


def _drop_output() -> None:
    """Keep Python from writing what is left when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(argv: Sequence[str] | None) -> int:
    parser = _parser()
    try:
        args = parser.parse_args(argv)
        if args.run is None:
            parser.print_help()
            return 0
        code: int = args.run(args)
    except SystemExit as end:  # argparse's, and that of a bad configuration
        return end.code if isinstance(end.code, int) else 0
    except FlipError as error:
        print(f"flip {args.command}: {error}", file=sys.stderr)
        return FAILED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="flip",
        description="Keeps every data point of a cluster on exactly the node that should have it.",
        epilog="A node is run by twistd: twistd -n flip -c FILE",
    )
    parser.set_defaults(run=None)
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for name in COMMANDS:
        importlib.import_module(f"flip.cli.{name.replace('-', '_')}").add(subparsers)
    return parser
