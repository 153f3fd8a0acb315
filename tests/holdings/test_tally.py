"""Tests for `flip.holdings.tally`."""

from __future__ import annotations

from hamcrest import assert_that, equal_to, has_length
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.tally import LISTED, Tally

SHOWN = (LogLevel.info, LogLevel.error)


class TallyTests(SynchronousTestCase):
    """What an operator reads about hooks."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.tally = Tally("ip", self.clock)

    def lines(self, due: int, failing: int = 0) -> list[str]:
        """The log, when so many hooks were due at once and the first ones failed."""
        with capturedLogs() as logs:
            for number in range(due):
                self.clock.advance(0.01)
                if number < failing:
                    self.tally.failed("alive", f"d{number}", 1, "no", due - number)
                else:
                    self.tally.done("alive", f"d{number}", 0.02, due - number)
            self.tally.idle()
        return [formatEvent(event) for event in logs if event["log_level"] in SHOWN]

    def test_one(self) -> None:
        """A hook is a line: what, of what, and how long it took."""
        assert_that(self.lines(1), equal_to(["ip: alive d0 done in 20 ms"]))

    def test_failed(self) -> None:
        """A failure is a line with its reason."""
        assert_that(self.lines(1, 1), equal_to(["ip: alive d0 failed (attempt 1): no"]))

    def test_few(self) -> None:
        """Up to twenty at once are a line each."""
        assert_that(self.lines(LISTED), has_length(LISTED))

    def test_many(self) -> None:
        """More are one line when the last has ended."""
        line = "ip: alive done for 500 data points in 5.0 s; the longest took 20 ms"
        assert_that(self.lines(500), equal_to([line]))

    def test_many_failures(self) -> None:
        """The first failures of many have a line of their own; the sum counts all."""
        lines = self.lines(500, failing=100)
        assert_that(lines, has_length(LISTED + 1))
        line = "ip: alive done for 400 data points and failed 100 times in 5.0 s; the longest"
        assert_that(lines[-1].startswith(line), equal_to(True), lines[-1])

    def test_afterwards(self) -> None:
        """After many, a few are a line each again."""
        self.lines(500)
        assert_that(self.lines(2), has_length(2))

    def test_two_events(self) -> None:
        """Both kinds of hooks are summed up in one line."""
        with capturedLogs() as logs:
            for number in range(30):
                self.tally.done("down" if number % 3 else "alive", str(number), 0.01, 30 - number)
            self.tally.idle()
        shown = [formatEvent(event) for event in logs if event["log_level"] in SHOWN]
        assert_that(shown, has_length(1))
        expected = "ip: alive done for 10 data points, down done for 20 data points in 0.0 s"
        assert_that(shown[0].startswith(expected), equal_to(True), shown[0])
