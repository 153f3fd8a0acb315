"""The options that name a configuration, shared by the commands."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from flip.config import Config, load
from flip.errors import ConfigError

BAD_CONFIGURATION = 2  # the exit code


def add_config(parser: argparse.ArgumentParser, required: bool = True) -> None:
    """Add ``-c FILE`` and ``--id ID``."""
    parser.add_argument(
        "-c", "--config", required=required, metavar="FILE", help="the cluster's configuration"
    )
    parser.add_argument(
        "--id", metavar="ID", help="which of its servers (default: FLIP_ID, then the file's id)"
    )


def add_node(parser: argparse.ArgumentParser) -> None:
    """Add what names a running node: its configuration, or its control socket."""
    add_config(parser, required=False)
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="the node's control socket, instead of -c"
    )


def control_socket(args: argparse.Namespace) -> Path:
    """The control socket of the node that the options of `add_node` name.

    :raises SystemExit: nothing does; the reason is printed.
    """
    if args.socket is not None:
        socket: Path = args.socket
        return socket
    if args.config is None:
        print("Name the node: -c FILE, perhaps with --id ID, or --socket PATH.", file=sys.stderr)
        raise SystemExit(BAD_CONFIGURATION)
    return load_config(args).control


def load_config(args: argparse.Namespace) -> Config:
    """The configuration that the options name.

    :raises SystemExit: it cannot be used; the report is printed.
    """
    try:
        return load(args.config, id=args.id)
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise SystemExit(BAD_CONFIGURATION) from None
