"""``flip retry``: try again at once what a running node has given up for a while."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from flip.cli.arguments import add_config, load_config


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "retry",
        help="let a running node try failed hooks again, now",
        description="Let a running node run its failed hooks again now, and be eligible again"
        " for the systems that it gave up.",
    )
    add_config(parser, required=False)
    parser.add_argument(
        "--socket", type=Path, metavar="PATH", help="the node's control socket, instead of -c"
    )
    parser.add_argument("system", nargs="?", metavar="SYSTEM", help="only this one (default: all)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.control.client import request

    arguments = {} if args.system is None else {"system": args.system}
    request(args.socket or load_config(args).control, "retry", **arguments)
    print("The node tries again; flip status shows what comes of it.")
    return 0
