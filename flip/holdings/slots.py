"""Runs work in order of urgency, only so much of it at a time."""

from __future__ import annotations

import enum
import heapq
from collections.abc import Callable

from twisted.internet.defer import Deferred


class Urgency(enum.IntEnum):
    """The order of hooks: what serves, then what others wait for, then what tidies up.

    What has LAPSED waits for nothing: others may be granted it from a certain moment on.
    """

    LAPSED = 0
    ALIVE = 1
    DOWN = 2
    CLEANING = 3


class Slots:
    """A priority queue with a limit on how many run at once.

    :param limit: how many run at once, lapsed ones aside.
    :param work: starts the work for a key, or returns None when there is nothing
        to do for it any more; the Deferred must not fail.
    :param idle: called when nothing runs or waits any more.
    """

    def __init__(
        self,
        limit: int,
        work: Callable[[str], Deferred[None] | None],
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self._limit = limit
        self._work = work
        self._idle = idle
        self._running = 0
        self._filling = False
        self._count = 0
        self._heap: list[tuple[Urgency, int, str]] = []
        self._queued: dict[str, Urgency] = {}

    @property
    def outstanding(self) -> int:
        """How many keys run or wait."""
        return self._running + len(self._queued)

    def add(self, key: str, urgency: Urgency) -> None:
        """Queue work; work that is queued already only becomes more urgent."""
        if self._queued.get(key, Urgency.CLEANING + 1) <= urgency:
            return
        self._queued[key] = urgency
        self._count += 1
        heapq.heappush(self._heap, (urgency, self._count, key))

    def fill(self) -> None:
        """Start what fits."""
        if self._filling:
            return  # work that ended at once; the loop below goes on
        self._filling = True
        try:
            while self._heap and (
                self._running < self._limit or self._heap[0][0] is Urgency.LAPSED
            ):
                urgency, _, key = heapq.heappop(self._heap)
                if self._queued.get(key) != urgency:
                    continue  # queued again since, more urgently
                del self._queued[key]
                done = self._work(key)
                if done is not None:
                    self._running += 1
                    done.addCallback(self._freed)
        finally:
            self._filling = False
        if not self.outstanding:
            self._idle()

    def clear(self) -> None:
        """Start nothing of what waits; what runs goes on."""
        self._heap.clear()
        self._queued.clear()

    def _freed(self, _: None) -> None:
        self._running -= 1
        self.fill()
