"""Whose watch it is: of all guards of one node only one runs hooks.

A daemon that is restarted brings a new guard while the old one may still be letting
go; an old `down` must never hit a new `alive`. So the new one waits for the old
one's end, at most `longest` + `EVICTION` seconds, then ends it. And a `down` that
a killed guard left behind runs on: its data point is left alone until it must have
ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from flip.holdings.guard.interface import Point

POLL = 0.01  # seconds between two looks
EVICTION = 1.0  # seconds beyond the longest hook_timeout that an earlier guard may take
DENIED = 0.1  # seconds that a process may take to become a hook, which closes the lock


class Turn(Protocol):
    """A lock that its owner's death opens, and a list beside it."""

    def take(self) -> Mapping[Point, float] | None:
        """Take the lock; None: another guard has it.

        :returns: what the last guard left running if it did not end in order, until
            when at most; seconds of the node's clock.
        """

    def give_up(self) -> None:
        """Let the next one have it; nothing runs any more."""

    def extend(self, point: Point, until: float) -> None:
        """A hook runs, and does so until then at most, should this guard die."""

    def evict(self) -> None:
        """Kill the guard that has it."""


class Watch:
    """One guard's place in the line.

    :ivar longest: seconds that a hook may take, over all systems.
    """

    def __init__(self, turn: Turn) -> None:
        self.longest = 0.0
        self.ours = False
        self._turn = turn
        self._haunted: Mapping[Point, float] = {}
        self._waits: float | None = None
        self._next_look = 0.0

    def next_look(self, now: float) -> float:
        """When to look again, or to go on."""
        return now if self.ours else max(now, self._next_look)

    def take(self, now: float, note: Callable[[str], None]) -> bool:
        """Whether it is this guard's turn; takes it when it is free.

        :param note: is told of a wait, once, and of what follows.
        """
        if self.ours:
            return True
        if now < self._next_look:
            return False
        self._next_look = now + POLL
        left = self._turn.take()
        if left is not None:
            self.ours, self._waits = True, None
            # What is written there may be from before a reboot, with another clock.
            latest = now + self.longest + EVICTION
            self._haunted = {point: min(until, latest) for point, until in left.items()}
            return True
        if self._waits is None:
            self._waits = now
            note("waits until the guard of an earlier daemon has let go")
        elif now - self._waits > self.longest + EVICTION:
            self._waits = now
            note("the guard of an earlier daemon does not end: it is killed")
            self._turn.evict()
        return False

    def denied(self, now: float) -> bool:
        """Whether another guard has it, and not only a process that was about to become a hook."""
        return self._waits is not None and now - self._waits > DENIED

    def haunted(self, point: Point) -> float:
        """Until when a hook of a guard that died may run for a data point."""
        return self._haunted.get(point, 0.0)

    def extend(self, point: Point, until: float) -> None:
        """A hook starts that would survive this guard."""
        self._turn.extend(point, until)

    def give_up(self) -> None:
        """Nothing is guarded any more, and nothing runs."""
        if self.ours:
            self.ours = False
            self._haunted = {}
            self._next_look = 0.0
            self._turn.give_up()
