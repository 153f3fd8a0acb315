"""The command line of `ip_up` and `ip_down`."""

from __future__ import annotations

import sys
from importlib import import_module

from flip.hooks.failure import Failure
from flip.hooks.request import read_request


def main(event: str, arguments: list[str], platform: str = sys.platform) -> int:
    """Do what is asked; returns the exit status, and complains in one line on standard error.

    :param event: "up" or "down".
    :param platform: "linux" is served with `ip`, everything else with `ifconfig`.
    """
    try:
        address, interface = read_request(arguments)
        system = import_module("flip.hooks.linux" if platform == "linux" else "flip.hooks.bsd")
        warnings = {"up": system.up, "down": system.down}[event](address, interface)
    except Failure as failure:
        print(f"ip_{event}: {failure}", file=sys.stderr)
        return failure.status
    for warning in warnings:
        print(f"ip_{event}: {warning}", file=sys.stderr)
    return 0
