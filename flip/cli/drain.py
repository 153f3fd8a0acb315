"""``flip drain``: move a node's data to others before somebody works on it."""

from __future__ import annotations

import argparse
from typing import Any

from flip.cli.arguments import add_node, control_socket


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "drain",
        help="let other servers take a node's data, until undrain",
        description="Let other servers take a running node's data, one hook after the other, and"
        " give it none until 'flip undrain', over restarts too. A drained node still votes, and"
        " serves when no other server can.",
    )
    add_node(parser)
    parser.add_argument("system", nargs="?", metavar="SYSTEM", help="only this one (default: all)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.control.client import request

    arguments = {} if args.system is None else {"system": args.system}
    request(control_socket(args), "drain", **arguments)
    print("The node is drained; flip status shows what it still holds.")
    return 0
