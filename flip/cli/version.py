"""``flip version``: which flip this is, and what it runs on."""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import version
from typing import Any

import flip

LIBRARIES = ("Twisted", "cryptography", "msgspec", "jsonschema")


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "version",
        help="print flip's version and those of what it runs on",
        description="Print the version of flip, of its protocol, and of what it runs on.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.wire.seal import PROTOCOL_VERSION

    versions: dict[str, Any] = {
        "flip": flip.__version__,
        "protocol": PROTOCOL_VERSION,
        "Python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
    }
    if args.json:
        print(json.dumps(versions, indent=2))
    else:
        first, *others = (f"{name} {number}" for name, number in versions.items())
        print(f"{first} ({', '.join(others)})")
    return 0
