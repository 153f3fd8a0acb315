"""Tests for `flip.simulation.repetition`."""

from __future__ import annotations

from hamcrest import assert_that, equal_to
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.rehearsal import rehearse
from flip.simulation.repetition import Spread, repeated, spread, spreads
from flip.simulation.report.answers import Answers
from flip.simulation.schedules import Schedule
from tests.cluster.case import DETECTION, STORY

SCHEDULE = Schedule(STORY, 3, 30, ("kill flip1@10",))


class SpreadTests(SynchronousTestCase):
    """Median, 95th percentile and maximum."""

    def test_by_hand(self) -> None:
        """They are answers that were given (nearest rank)."""
        values: list[float | None] = [float(number) for number in range(100, 0, -1)]
        assert_that(spread(values), equal_to(Spread(50, 95, 100, 100, 100)))
        assert_that(spread([3.0, 1.0]), equal_to(Spread(1, 3, 3, 2, 2)))

    def test_no_answer(self) -> None:
        """Runs without an answer are counted apart."""
        assert_that(spread([None, 2.0, None]), equal_to(Spread(2, 2, 2, 1, 3)))
        assert_that(spread([None]), equal_to(Spread(None, None, None, 0, 1)))

    @given(st.lists(st.floats(0, 1e6), min_size=1))
    def test_order(self, values: list[float]) -> None:
        """Median, p95 and maximum are in this order, and answers."""
        found = spread(values)
        assert found.median is not None
        assert found.p95 is not None
        assert found.max is not None
        assert_that(found.median <= found.p95 <= found.max, equal_to(True))
        assert_that({found.median, found.p95, found.max} <= set(values), equal_to(True))


class RepetitionTests(SynchronousTestCase):
    """Many runs."""

    def play(self, count: int, workers: int) -> list[Answers]:
        with repeated(rehearse, SCHEDULE, count, workers) as runs:
            return list(runs)

    def test_workers(self) -> None:
        """However many processes play them, the runs and their order are the same."""
        alone, shared = self.play(4, 1), self.play(4, 3)
        assert_that([run.seed for run in alone], equal_to([3, 4, 5, 6]))
        assert_that(shared, equal_to(alone))

    def test_stopped(self) -> None:
        """Who has seen enough gets what there is, and the processes end."""
        with repeated(rehearse, SCHEDULE, 1000, 2) as runs:
            first = next(runs)
        assert_that(first.seed, equal_to(3))

    def test_spreads(self) -> None:
        """Every question has its spread: per failure, per data point, of all, per node."""
        found = spreads(self.play(4, 1))
        down = found.failures["flip1 killed at 10.0 s"]["down"]
        assert_that(
            (down.count, down.runs, (down.max or 9) < DETECTION + 0.1), equal_to((4, 4, True))
        )
        assert_that(set(found.data), equal_to({"ip 192.168.0.2", "ip 192.168.0.1"}))
        assert_that(found.cluster["moves"], equal_to(Spread(1, 1, 1, 4, 4)))
        assert_that(set(found.traffic), equal_to({"flip", "flip1", "flip2"}))
        assert_that(found.as_json()["cluster"]["moves"]["median"], equal_to(1))
