"""Ctrl-C and SIGTERM end a lab in order: once, and not again while it is taken down."""

from __future__ import annotations

import signal
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def end_in_order() -> None:
    """Let the first of these signals raise KeyboardInterrupt, and ignore all others."""
    for number in SIGNALS:
        signal.signal(number, _end)


def _end(number: int, frame: object) -> NoReturn:
    for other in SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt
