"""Who hears of news at once: nobody waits for the next interval."""

from __future__ import annotations

import random
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.membership.roster import Roster

FANOUT = 3  # members, beside those concerned, that hear of a change at once
RELAY_PAUSE = 0.05  # seconds between two pushes of what other members found out
SMALL = 8  # up to this many others, everybody hears of it at once


class Push:
    """Gathers what is new within one turn of the event loop, and tells it once.

    :param gossip: sends the news to one member.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rng: random.Random,
        roster: Roster,
        gossip: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._roster = roster
        self._gossip = gossip
        self._concerned: set[str] = set()
        self._last = float("-inf")
        self._next: IDelayedCall | None = None

    def soon(self, concerned: frozenset[str], *, relayed: bool = False) -> None:
        """Tell the members whom it concerns, and some others.

        :param relayed: it is news of others, who tell it too: a death among many
            must not make everybody tell everybody once per vote.
        """
        self._concerned |= concerned
        pause = RELAY_PAUSE if relayed else 0.0
        wait = max(0.0, self._last + pause - self._clock.seconds())
        if self._next is None:
            self._next = self._clock.callLater(wait, self._tell)
        elif self._next.getTime() - self._clock.seconds() > wait:
            self._next.reset(wait)

    def stop(self) -> None:
        """Tell nothing more."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _tell(self) -> None:
        self._next = None
        self._last = self._clock.seconds()
        others = self._roster.others
        chosen = set(others)
        if len(others) > SMALL:
            concerned = {id for id in self._concerned if id in self._roster}
            chosen = concerned - {self._roster.me} | set(self._rng.sample(others, FANOUT))
        self._concerned.clear()
        for peer in sorted(chosen - self._roster.left):
            self._gossip(peer)
