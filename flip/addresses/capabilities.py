"""What this process lacks to keep addresses."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from flip.hooks.failure import CAPABILITIES

STATUS = "/proc/self/status"
NEEDED = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13}  # and their bits, <linux/capability.h>


def effective(status: str) -> int:
    """The effective capabilities, as bits, in the content of a `STATUS`.

    :raises ValueError: it does not name them.
    """
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value, 16)
    raise ValueError("no CapEff")


def missing() -> tuple[str, ...]:
    """The names of the capabilities that this process should have and has not.

    Both, where nothing can be said: not on Linux, or without /proc.
    """
    try:
        with open(STATUS, encoding="ascii", errors="replace") as file:
            bits = effective(file.read())
    except (OSError, ValueError):
        bits = 0
    return tuple(name for name, bit in NEEDED.items() if not bits >> bit & 1)


def complaint(lacking: Iterable[str]) -> str | None:
    """What to tell the operator about capabilities that are missing, None when none is."""
    if sys.platform != "linux":
        return "addresses are kept by Linux only; elsewhere use the hooks ip_up and ip_down"
    names = " and ".join(lacking)
    return f"{names} missing: {CAPABILITIES}" if names else None
