"""`flip.membership.pulse` and `repeat`: what runs on, and notices where it did not."""

from __future__ import annotations

from hamcrest import assert_that, close_to, empty, equal_to, has_length

from flip.membership.pulse import Pulse
from flip.membership.repeat import repeating
from tests.matchers import contains_exactly
from tests.membership.samples import ClockTestCase

PERIOD = 0.25


class PulseTests(ClockTestCase):
    """A beat each quarter of a second."""

    def setUp(self) -> None:
        super().setUp()
        self.late: list[float] = []
        self.pulse = Pulse(self.clock, PERIOD, self.late.append)
        self.pulse.start()
        self.addCleanup(self.pulse.stop)

    def test_well(self) -> None:
        """Nothing is late where nothing is late."""
        self.run_for(10, 0.05)
        assert_that(self.late, empty())

    def test_a_little_late(self) -> None:
        """A hundred milliseconds are no illness."""
        for _ in range(8):
            self.clock.advance(PERIOD + 0.09)
        assert_that(self.late, empty())

    def test_just_late(self) -> None:
        """A little more than that is."""
        self.clock.advance(PERIOD + 0.11)
        assert_that(self.late, contains_exactly(close_to(PERIOD + 0.11, 0.001)))

    def test_late(self) -> None:
        """A stall is reported once, with the longest that it can have taken."""
        self.run_for(1)
        self.clock.advance(2.0)
        self.run_for(3, 0.05)
        assert_that(self.late, contains_exactly(close_to(2.0, PERIOD)))

    def test_no_shorter_than_it_was(self) -> None:
        """A stall that begins right after a beat is not taken for a shorter one."""
        self.clock.advance(PERIOD)
        self.clock.advance(1.5)
        assert_that(self.late, equal_to([1.5]))

    def test_checked_in_time(self) -> None:
        """Who acts on old knowledge can ask before the next beat; it is still reported once."""
        self.run_for(1)
        self.clock.rightNow += 5.0  # nothing ran meanwhile, and the timers come second
        self.pulse.check()
        assert_that(self.late, has_length(1))
        self.clock.advance(0)
        self.run_for(1, 0.05)
        assert_that(self.late, has_length(1))

    def test_stopped(self) -> None:
        """After the stop nobody is late."""
        self.pulse.stop()
        self.clock.advance(10)
        self.pulse.check()
        assert_that(self.late, empty())

    def test_error_while_late(self) -> None:
        """An error of whoever is told does not end the pulse."""

        def late(silence: float) -> None:
            self.late.append(silence)
            raise ZeroDivisionError

        pulse = Pulse(self.clock, PERIOD, late)
        pulse.start()
        self.addCleanup(pulse.stop)
        self.late.clear()
        self.clock.advance(3)
        self.clock.advance(3)
        assert_that(self.errors(ZeroDivisionError), has_length(2))


class RepeatingTests(ClockTestCase):
    """A loop that nothing but its stop ends."""

    def test_error(self) -> None:
        """An error in one round is logged, and the next round comes."""
        rounds: list[float] = []

        def call() -> None:
            rounds.append(self.clock.seconds())
            if len(rounds) == 2:
                raise ZeroDivisionError

        loop = repeating(self.clock, call, "the test")
        loop.start(1.0)
        self.clock.pump([1.0] * 3)
        loop.stop()
        assert_that(rounds, equal_to([1000, 1001, 1002, 1003]))
        assert_that(self.errors(ZeroDivisionError), has_length(1))
