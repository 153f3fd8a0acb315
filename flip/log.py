"""Twisted's logger with one threshold for all of flip.

twistd owns the observers (``--logfile``, ``--syslog``, ``--logger``); a level
set there would also silence other people's events, so the threshold sits where
flip's own events are emitted.
"""

from __future__ import annotations

from typing import Any

from constantly import NamedConstant
from twisted.logger import Logger as TwistedLogger
from twisted.logger import LogLevel

LEVELS = {
    "debug": LogLevel.debug,
    "info": LogLevel.info,
    "warning": LogLevel.warn,
    "error": LogLevel.error,
    "fatal": LogLevel.critical,
}

_threshold: NamedConstant = LogLevel.info


def set_level(name: str) -> None:
    """Emit only events of at least this level: one of the keys of `LEVELS`."""
    global _threshold
    _threshold = LEVELS[name]


class Logger(TwistedLogger):
    """A `twisted.logger.Logger` that is silent below flip's ``log_level``."""

    def emit(self, level: NamedConstant, format: str | None = None, **kwargs: Any) -> None:
        if level >= _threshold:
            super().emit(level, format, **kwargs)
