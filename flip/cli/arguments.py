"""The options that name a configuration, shared by the commands."""

from __future__ import annotations

import argparse
import sys

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


def load_config(args: argparse.Namespace) -> Config:
    """The configuration that the options name.

    :raises SystemExit: it cannot be used; the report is printed.
    """
    if args.config is None:
        print("Name the configuration with -c FILE.", file=sys.stderr)
        raise SystemExit(BAD_CONFIGURATION)
    try:
        return load(args.config, id=args.id)
    except ConfigError as error:
        print(error, file=sys.stderr)
        raise SystemExit(BAD_CONFIGURATION) from None
