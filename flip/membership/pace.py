"""Unplanned probes, no faster than a network and its members can bear."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

RATE = 200  # a second, so that a hundred deaths at once are no storm
BURST = 20  # at once, so that small clusters never wait


class Pace:
    """A queue of members, oldest first, worked off at `RATE` after a burst of `BURST`.

    :param start: starts what is due for one member; returns whether that cost anything.
    """

    def __init__(self, clock: IReactorTime, start: Callable[[str], bool]) -> None:
        self._clock = clock
        self._start = start
        self._queue: OrderedDict[str, None] = OrderedDict()
        self._tokens = float(BURST)
        self._counted = clock.seconds()
        self._resumption: IDelayedCall | None = None

    def add(self, members: Iterable[str]) -> None:
        """Start for each of `members`, at once or as soon as the rate allows."""
        for member in members:
            self._queue.setdefault(member, None)
        self._work_off()

    def stop(self) -> None:
        """Forget the queue."""
        self._queue.clear()
        if self._resumption is not None:
            self._resumption.cancel()
            self._resumption = None

    def _work_off(self) -> None:
        now = self._clock.seconds()
        self._tokens = min(BURST, self._tokens + (now - self._counted) * RATE)
        self._counted = now
        while self._queue and self._tokens >= 1:
            member, _ = self._queue.popitem(last=False)
            self._tokens -= 1
            if not self._start(member):
                self._tokens += 1
        if self._queue and self._resumption is None:
            self._resumption = self._clock.callLater(BURST / RATE / 2, self._resume)

    def _resume(self) -> None:
        self._resumption = None
        self._work_off()
