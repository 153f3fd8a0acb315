"""Notices when this node's own event loop is late."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from flip.membership.health import LATE
from flip.membership.repeat import repeating


class Pulse:
    """A timer that measures its own lateness.

    :param period: seconds between two beats.
    :param late: called with the seconds since the last beat, the longest that this
        node can have stood still, when a beat is over `LATE` late.
    """

    def __init__(self, clock: IReactorTime, period: float, late: Callable[[float], None]) -> None:
        self._clock = clock
        self._period = period
        self._late = late
        self._last = 0.0
        self._loop = repeating(clock, self.check, "the pulse")

    def start(self) -> None:
        """Begin to beat."""
        self._last = self._clock.seconds()
        self._loop.start(self._period, now=False)

    def stop(self) -> None:
        """Beat no more."""
        if self._loop.running:
            self._loop.stop()

    def check(self) -> None:
        """Notice a stall now: after one, the socket may be read before the next beat."""
        now = self._clock.seconds()
        silence, self._last = now - self._last, now
        if self._loop.running and silence > self._period + LATE:
            self._late(silence)
