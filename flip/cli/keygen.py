"""``flip keygen``: a new secret for a cluster."""

from __future__ import annotations

import argparse
import base64
import secrets
from typing import Any


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "keygen",
        help="print a new random key for the configuration",
        description='Print 32 random bytes in base64, for "key" in the configuration.',
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    print(base64.b64encode(secrets.token_bytes(32)).decode())
    return 0
