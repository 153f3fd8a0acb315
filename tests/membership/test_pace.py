"""`flip.membership.pace`: probes out of turn, no faster than a network bears."""

from __future__ import annotations

from hamcrest import assert_that, contains_exactly, empty, equal_to, has_length, less_than

from flip.membership.pace import BURST, RATE, Pace
from tests.membership.samples import ClockTestCase


def named(count: int) -> list[str]:
    return [f"n{number:04d}" for number in range(count)]


class PaceTests(ClockTestCase):
    """A queue that is worked off at a rate."""

    def setUp(self) -> None:
        super().setUp()
        self.started: list[str] = []
        self.free: set[str] = set()
        self.pace = Pace(self.clock, self.start)
        self.addCleanup(self.pace.stop)

    def start(self, member: str) -> bool:
        self.started.append(member)
        return member not in self.free

    def test_few(self) -> None:
        """A small cluster never waits."""
        self.pace.add(named(BURST))
        assert_that(self.started, equal_to(named(BURST)))
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_many(self) -> None:
        """A burst at once, then 200 a second, oldest first, each of them."""
        self.pace.add(named(1000))
        assert_that(self.started, has_length(BURST))
        self.run_for(1.0)
        assert_that(len(self.started) - BURST, less_than(RATE + BURST))
        self.run_for(5.0)
        assert_that(self.started, equal_to(named(1000)))

    def test_twice(self) -> None:
        """Who waits already does not wait twice, and keeps its place."""
        self.pace.add(named(BURST + 2))
        self.pace.add(reversed(named(BURST + 2)[BURST:]))
        self.run_for(1)
        assert_that(self.started[BURST:], contains_exactly(*named(BURST + 2)[BURST:]))

    def test_free_of_cost(self) -> None:
        """What need not be started takes nobody's turn."""
        self.free = set(named(100))
        self.pace.add(named(100 + BURST))
        assert_that(self.started, has_length(100 + BURST))

    def test_no_credit_beyond_a_burst(self) -> None:
        """Idle time is not saved up."""
        self.run_for(60, 1.0)
        self.pace.add(named(10 * BURST))
        assert_that(self.started, has_length(BURST))

    def test_added_while_started(self) -> None:
        """What a start adds waits for its turn like everything else."""

        def start(member: str) -> bool:
            self.started.append(member)
            pace.add((f"{member}'",))
            return True

        pace = Pace(self.clock, start)
        self.addCleanup(pace.stop)
        pace.add(("n",))
        assert_that(self.started, has_length(BURST))

    def test_stop(self) -> None:
        """Nothing starts after the stop."""
        self.pace.add(named(1000))
        self.pace.stop()
        self.run_for(1)
        assert_that(self.started, has_length(BURST))

    def test_error(self) -> None:
        """An error in one start costs that start: the others come with the next that is added."""

        def start(member: str) -> bool:
            if member == "n0000":
                raise ZeroDivisionError
            return self.start(member)

        pace = Pace(self.clock, start)
        self.addCleanup(pace.stop)
        with self.assertRaises(ZeroDivisionError):
            pace.add(named(3))
        pace.add(("other",))
        assert_that(self.started, equal_to(["n0001", "n0002", "other"]))
