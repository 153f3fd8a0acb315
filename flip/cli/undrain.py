"""``flip undrain``: let a node have data again."""

from __future__ import annotations

import argparse
from typing import Any

from flip.cli.arguments import add_node, control_socket


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "undrain",
        help="give data to a node that was drained, or was away (failback)",
        description="Let a running node have data again that was drained by 'flip drain', or that"
        " was down or unfit and waits for this because of the setting failback.",
    )
    add_node(parser)
    parser.add_argument("system", nargs="?", metavar="SYSTEM", help="only this one (default: all)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.control.client import request

    arguments = {} if args.system is None else {"system": args.system}
    request(control_socket(args), "undrain", **arguments)
    print("The node is drained no more; flip status shows what it gets.")
    return 0
