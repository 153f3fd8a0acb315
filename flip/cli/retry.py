"""``flip retry``: try again at once what a running node has given up for a while."""

from __future__ import annotations

import argparse
from typing import Any

from flip.cli.arguments import add_node, control_socket


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "retry",
        help="let a running node try failed hooks again, now",
        description="Let a running node run its failed hooks again now, and be eligible again"
        " for the systems that it gave up.",
    )
    add_node(parser)
    parser.add_argument("system", nargs="?", metavar="SYSTEM", help="only this one (default: all)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.control.client import request

    arguments = {} if args.system is None else {"system": args.system}
    request(control_socket(args), "retry", **arguments)
    print("The node tries again; flip status shows what comes of it.")
    return 0
