"""``flip confirm-down``: say that servers are off, where there is no quorum to find it out."""

from __future__ import annotations

import argparse
import os
import pwd
import sys
from typing import Any

from flip.cli.arguments import add_node, control_socket

REFUSED = 1


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "confirm-down",
        help="say that servers are off, so that the others can take over without a quorum",
        description="Tell a running node that other servers are off, and will not come back by"
        " themselves. That counts as a quorum of votes against them until they return, and in the"
        " cluster's other arithmetic as if they had answered that they hold nothing: three servers"
        " of which two have burned go on with one. If one of them is not off but cut off, it goes"
        " on serving, and so do the others.",
        epilog="At a terminal you are asked to type the ids once more; a script says --force.",
    )
    add_node(parser)
    parser.add_argument("--force", action="store_true", help="yes, they are off: do not ask again")
    parser.add_argument("ids", nargs="+", metavar="ID", help="a server that is off")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.control.client import request

    path = control_socket(args)
    ids = list(dict.fromkeys(args.ids))
    force = args.force or (sys.stdin is not None and sys.stdin.isatty())
    if force and not args.force and not _confirmed(ids):
        print("That is something else: nothing was done.", file=sys.stderr)
        return REFUSED
    request(path, "confirm-down", ids=ids, force=force, by=_who())
    print(f"{', '.join(ids)}: down until they return; flip status shows who takes over.")
    return 0


def _confirmed(ids: list[str]) -> bool:
    """Ask a person for the ids once more."""
    print(f"The others take over what {', '.join(ids)} may still serve.")
    print("If it is not off, but only cut off from here, both will serve it.")
    try:
        typed = input("Look at the machines, then type the ids again: ")
    except EOFError:
        return False
    return typed.replace(",", " ").split() == ids


def _who() -> str:
    """Whom the log names: the user, and who was that before sudo."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = f"user {os.getuid()}"
    before = os.environ.get("SUDO_USER")
    return f"{before} (as {name})" if before and before != name else name
