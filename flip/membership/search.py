"""Notices soon that the network is whole again.

Between the tries of its probes, and from one round of them to the next, a node that
is cut off may be silent for most of an interval. A neighbour that waits for the
last word on an address (R6) would wait with it.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from flip.membership.repeat import repeating

PERIOD = 0.05  # seconds; 20 small datagrams a second, by nodes that can do nothing else


class Search:
    """Asks one member after the other for as long as this node is out of touch.

    :param ask: sends one question to somebody who has not answered of late.
    """

    def __init__(self, clock: IReactorTime, ask: Callable[[], None]) -> None:
        self._loop = repeating(clock, ask, "the search for other members")

    def follow(self, *, in_touch: bool) -> None:
        """Begin when this node is out of touch, end when it is not."""
        if in_touch:
            self.stop()
        elif not self._loop.running:
            self._loop.start(PERIOD, now=False)

    def stop(self) -> None:
        """Ask no more."""
        if self._loop.running:
            self._loop.stop()
