"""`flip.membership.witness`: when a witness counts as reached."""

from __future__ import annotations

import random

from hamcrest import assert_that, contains_string, empty, equal_to, greater_than, has_length
from twisted.logger import capturedLogs, formatEvent

from flip.membership.echo import Answered
from flip.membership.witness import PAUSE, Witness
from tests.membership.samples import ClockTestCase

INTERVAL, TIMEOUT = 0.5, 3.0
ONE, TWO = "10.0.0.253", "10.0.0.254"


class FakeEcho:
    """Notes what is asked."""

    def __init__(self) -> None:
        self.answered: Answered | None = None
        self.asked: list[tuple[str, int]] = []
        self.stopped = False
        self.trouble: str | None = None

    def start(self, answered: Answered) -> None:
        self.answered = answered

    def ask(self, address: str, nonce: int) -> None:
        self.asked.append((address, nonce))

    def stop(self) -> None:
        self.stopped = True

    def answer(self, address: str, nonce: int) -> None:
        assert self.answered is not None
        self.answered(address, nonce)


class WitnessTests(ClockTestCase):
    """Two addresses; the clock begins at 1000."""

    def setUp(self) -> None:
        super().setUp()
        self.echo = FakeEcho()
        self.changes: list[bool] = []
        self.witness = Witness(
            self.clock,
            random.Random(1),
            self.echo,
            (ONE, TWO),
            INTERVAL,
            TIMEOUT,
            lambda: self.changes.append(self.witness.reached()),
        )
        self.witness.start()
        self.addCleanup(self.witness.stop)

    def answer(self, address: str = ONE) -> None:
        """Answer the newest question."""
        found = [asked for asked in self.echo.asked if asked[0] == address]
        self.echo.answer(*found[-1])

    def test_asks(self) -> None:
        """All are asked at once, and every interval, each time with other nonces."""
        assert_that([address for address, _ in self.echo.asked], equal_to([ONE, TWO]))
        self.run_for(3 * INTERVAL + 0.1)
        assert_that(self.echo.asked, has_length(8))
        assert_that({nonce for _, nonce in self.echo.asked}, has_length(8))
        assert_that(max(nonce for _, nonce in self.echo.asked), greater_than(2**60))

    def test_any(self) -> None:
        """One that answers will do."""
        assert_that(self.witness.reached(), equal_to(False))
        self.answer(TWO)
        assert_that([self.witness.reached(), self.changes], equal_to([True, [True]]))

    def test_lost_packets(self) -> None:
        """It is reached until `timeout` after the newest question that was answered."""
        self.answer()
        self.run_for(TIMEOUT - 0.1)
        assert_that(self.witness.reached(), equal_to(True))
        self.run_for(0.2 + INTERVAL)
        assert_that(self.witness.reached(), equal_to(False))
        assert_that(self.changes, equal_to([True, False]))

    def test_age(self) -> None:
        """An answer is as old as its question: what waited in the socket proves nothing new."""
        asked = self.echo.asked[0]
        self.clock.advance(2 * TIMEOUT)  # this process stood still
        self.echo.answer(*asked)
        assert_that(self.witness.reached(), equal_to(False))
        self.answer()
        assert_that(self.witness.reached(), equal_to(True))

    def test_since(self) -> None:
        """Whether what was asked since a time was answered."""
        self.answer()
        assert_that(self.witness.reached(since=1000.0), equal_to(True))
        assert_that(self.witness.reached(since=1000.1), equal_to(False))

    def test_forged(self) -> None:
        """An answer from elsewhere, with another nonce, or once more, is none."""
        nonce = self.echo.asked[0][1]
        self.echo.answer(TWO, nonce)
        self.echo.answer(ONE, nonce ^ 1)
        self.echo.answer("192.0.2.1", nonce)
        assert_that([self.witness.reached(), self.witness.last], equal_to([False, {}]))
        self.echo.answer(ONE, nonce)
        self.run_for(TIMEOUT + INTERVAL)
        self.echo.answer(ONE, nonce)
        assert_that(self.witness.reached(), equal_to(False))

    def test_ask(self) -> None:
        """Who needs an answer asks out of turn, at a pace that a gateway bears."""
        asked = len(self.echo.asked)
        self.run_for(0.1)
        for _ in range(50):
            self.witness.ask()
        assert_that(self.echo.asked, has_length(asked + 2))
        self.run_for(PAUSE + 0.01)
        self.witness.ask()
        assert_that(self.echo.asked, has_length(asked + 4))

    def test_memory(self) -> None:
        """Questions that nobody answers are forgotten."""
        self.run_for(20 * TIMEOUT)
        asked = self.echo.asked[: -2 * round(TIMEOUT / INTERVAL) - 4]
        for address, nonce in asked:
            self.echo.answer(address, nonce)
        assert_that(self.witness.last, empty())

    def test_told(self) -> None:
        """A line says that none answers, and why as far as is known; another that one does."""
        self.echo.trouble = f"{ONE}: Network is unreachable"
        with capturedLogs() as logs:
            self.run_for(TIMEOUT - 0.1)
            assert_that([self.witness.missing, logs], equal_to([False, []]))
            self.run_for(10)
            assert_that(self.witness.missing, equal_to(True))
            self.answer()
        lines = [formatEvent(event) for event in logs]
        assert_that(lines, has_length(2))
        assert_that(lines[0], contains_string("Network is unreachable"))
        assert_that(lines[1], equal_to(f"a witness answers: {ONE}"))

    def test_stop(self) -> None:
        """Then nothing more is asked, by nobody."""
        self.witness.stop()
        asked = len(self.echo.asked)
        self.run_for(5)
        self.witness.ask()
        assert_that([len(self.echo.asked), self.echo.stopped], equal_to([asked, True]))
