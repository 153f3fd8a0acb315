"""How much of a turn of the reactor this layer may take."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

SLICE = 0.004  # seconds; one batch more than that may have been begun


class Pace:
    """Shared by all that the layer does: long work goes on in the next turn of the reactor.

    However many callers there are, they take about one `SLICE` of each turn together, so that
    pings are answered and leases renewed in between.
    """

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._began: float | None = None  # the first work in this turn

    @property
    def exhausted(self) -> bool:
        """Whether this turn has had its share."""
        now = self._reactor.seconds()
        if self._began is None:
            self._began = now
            self._reactor.callLater(0, self._next_turn)
        return now - self._began >= SLICE

    async def turn(self) -> None:
        """Wait until there is time for more work: not at all, or until a later turn."""
        while self.exhausted:
            await deferLater(self._reactor, 0)

    def _next_turn(self) -> None:
        self._began = None
