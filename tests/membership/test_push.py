"""`flip.membership.push`: who hears of news at once, and how often."""

from __future__ import annotations

import random

from hamcrest import assert_that, contains_inanyorder, empty, equal_to, has_items, has_length

from flip.membership.push import FANOUT, RELAY_PAUSE, SMALL, Push
from flip.wire.messages import Status, Update
from tests.membership.samples import FIVE, ClockTestCase, record, roster

MANY = ("a", *(f"n{n}" for n in range(20)))
NOBODY: frozenset[str] = frozenset()


class PushTests(ClockTestCase):
    """Node a."""

    def push(self, servers: tuple[str, ...]) -> Push:
        self.told: list[str] = []
        self.roster = roster("a", servers)
        push = Push(self.clock, random.Random(1), self.roster, self.told.append)
        self.addCleanup(push.stop)
        return push

    def test_small(self) -> None:
        """Up to eight others all hear of it, in the same turn of the event loop."""
        self.push(FIVE).soon(NOBODY)
        assert_that(self.told, empty())
        self.clock.advance(0)
        assert_that(self.told, contains_inanyorder("b", "c", "d", "e"))

    def test_large(self) -> None:
        """Beyond that three at random, and those concerned."""
        assert_that(len(MANY) - 1 > SMALL, equal_to(True))
        self.push(MANY).soon(frozenset(("n7", "n8")))
        self.clock.advance(0)
        assert_that(self.told, has_items("n7", "n8"))
        push = self.push(MANY)
        push.soon(NOBODY)
        self.clock.advance(0)
        assert_that(self.told, has_length(FANOUT))

    def test_strangers(self) -> None:
        """Whom the configuration does not list, and who left, nobody tells."""
        push = self.push(FIVE)
        self.roster.merge((Update("b", record("b", status=Status.LEFT)),), "b")
        push.soon(frozenset(("x", "b")))
        self.clock.advance(0)
        assert_that(self.told, contains_inanyorder("c", "d", "e"))

    def test_one_turn(self) -> None:
        """Many changes in one turn are told once, to all whom any of them concerns."""
        push = self.push(MANY)
        push.soon(frozenset(("n7",)))
        push.soon(frozenset(("n8",)))
        self.clock.advance(0)
        assert_that(self.told, has_items("n7", "n8"))
        assert_that(len(self.told) <= FANOUT + 2, equal_to(True))
        self.clock.advance(1)
        assert_that(len(self.told) <= FANOUT + 2, equal_to(True))

    def test_relayed(self) -> None:
        """What others tell as well may wait a little, so that many votes are told at once."""
        push = self.push(FIVE)
        push.soon(NOBODY, relayed=True)
        self.clock.advance(0)
        assert_that(self.told, has_length(4))
        push.soon(NOBODY, relayed=True)
        push.soon(NOBODY, relayed=True)
        self.clock.advance(RELAY_PAUSE / 2)
        assert_that(self.told, has_length(4))
        self.clock.advance(RELAY_PAUSE / 2)
        assert_that(self.told, has_length(8))

    def test_own_news_overtake(self) -> None:
        """Its own news wait for nothing, and take what waits along."""
        push = self.push(FIVE)
        push.soon(NOBODY)
        self.clock.advance(0)
        push.soon(NOBODY, relayed=True)
        push.soon(NOBODY)
        self.clock.advance(0)
        assert_that(self.told, has_length(8))
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_stop(self) -> None:
        """Nothing is told after the stop."""
        push = self.push(FIVE)
        push.soon(NOBODY)
        push.stop()
        self.clock.advance(1)
        assert_that(self.told, empty())
