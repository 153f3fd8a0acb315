"""Tests for `flip.holdings.grants.timers`."""

from __future__ import annotations

from hamcrest import assert_that, empty, equal_to
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.grants.timers import Timers


class TimersTests(SynchronousTestCase):
    """When they ring."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100)
        self.timers = Timers(self.clock)
        self.rang: list[float] = []

    def at(self, time: float, name: str = "one") -> None:
        self.timers.at(name, time, lambda: self.rang.append(self.clock.seconds()))

    def test_earliest(self) -> None:
        """A timer that is set twice rings once, at the earlier time."""
        for time in (103.0, 101.0, 102.0):
            self.at(time)
        self.clock.pump([0.5] * 10)
        assert_that(self.rang, equal_to([101.0]))

    def test_again(self) -> None:
        """After it rang it can be set again; whether it is can be asked."""
        assert_that(self.timers.is_set("one"), equal_to(False))
        self.at(101)
        assert_that(self.timers.is_set("one"), equal_to(True))
        self.clock.advance(1)
        assert_that(self.timers.is_set("one"), equal_to(False))
        self.at(102)
        self.clock.advance(1)
        assert_that(self.rang, equal_to([101.0, 102.0]))

    def test_names(self) -> None:
        """Two names are two timers."""
        self.at(101, "one")
        self.at(102, "two")
        self.clock.pump([1, 1])
        assert_that(self.rang, equal_to([101.0, 102.0]))

    def test_past(self) -> None:
        """A time in the past is now, in the next round of the event loop."""
        self.at(5)
        assert_that(self.rang, empty())
        self.clock.advance(0)
        assert_that(self.rang, equal_to([100.0]))

    def test_stop(self) -> None:
        """After the stop none rings, and none can be set."""
        self.at(101)
        self.timers.stop()
        self.at(101, "two")
        self.clock.advance(5)
        assert_that([self.rang, self.clock.getDelayedCalls()], equal_to([[], []]))
