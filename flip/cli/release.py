"""``flip release``: drop a claim whose `down` hook never ends well."""

from __future__ import annotations

import argparse
from typing import Any

from flip.cli.arguments import add_node, control_socket


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "release",
        help="make a running node drop a claim that its down hook cannot end",
        description="A node claims a data point until its down hook has ended well, and meanwhile"
        " nobody else may take it. When that never happens, and you made sure that nothing of it"
        " is left on the node, this drops the claim.",
    )
    add_node(parser)
    parser.add_argument(
        "--force",
        action="store_true",
        help="yes, nothing of it is left on this node (without this nothing is done)",
    )
    parser.add_argument("system", metavar="SYSTEM")
    parser.add_argument("datum", metavar="DATUM")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.control.client import request

    path = control_socket(args)
    request(path, "release", system=args.system, datum=args.datum, force=args.force)
    print(f"{args.system}: {args.datum} is no longer claimed by this node.")
    return 0
