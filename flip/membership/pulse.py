"""Notices when this node's own event loop is late."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from flip.log import Logger
from flip.membership.health import LATE

_log = Logger()


class Pulse:
    """A timer that measures its own lateness.

    :param period: seconds between two beats.
    :param late: called with the seconds by which a beat was late, when over `LATE`.
    """

    def __init__(self, clock: IReactorTime, period: float, late: Callable[[float], None]) -> None:
        self._clock = clock
        self._period = period
        self._late = late
        self._expected = 0.0
        self._loop = LoopingCall(self._beat)
        self._loop.clock = clock

    def start(self) -> None:
        self._expect()
        self._loop.start(self._period, now=False).addErrback(
            lambda failure: _log.failure("the pulse ended", failure)
        )

    def stop(self) -> None:
        if self._loop.running:
            self._loop.stop()

    def check(self) -> None:
        """Notice a stall now: after one, the socket may be read before the next beat."""
        lateness = self._clock.seconds() - self._expected
        if self._loop.running and lateness > LATE:
            self._expect()
            self._late(lateness)

    def _beat(self) -> None:
        self.check()
        self._expect()

    def _expect(self) -> None:
        # LoopingCall skips the beats it missed and keeps to the multiples of
        # its period, so the next one comes at most a period from now.
        self._expected = self._clock.seconds() + self._period
