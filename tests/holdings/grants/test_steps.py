"""Tests for `flip.holdings.grants.steps`."""

from __future__ import annotations

from hamcrest import assert_that, close_to, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.grants.steps import Steps


class StepsTests(SynchronousTestCase):
    """Two clocks, and when they come apart."""

    def setUp(self) -> None:
        self.monotonic, self.wall = 100.0, 1_000_000.0
        self.steps = Steps(lambda: self.monotonic, lambda: self.wall)

    def run_for(self, seconds: float, wall: float | None = None) -> float:
        self.monotonic += seconds
        self.wall += seconds if wall is None else wall
        return self.steps.look()

    def test_together(self) -> None:
        """However long nobody looks, clocks that run alike show no step."""
        assert_that([self.run_for(0.1), self.run_for(86_400.0)], equal_to([0.0, 0.0]))

    def test_paused(self) -> None:
        """A monotonic clock that stood still is seen, once."""
        assert_that(self.run_for(0.2, wall=60.2), close_to(60, 1e-6))
        assert_that(self.run_for(0.2), equal_to(0.0))

    def test_set_back(self) -> None:
        """So is a wall clock that was set back."""
        assert_that(self.run_for(1.0, wall=-2.0), close_to(-3, 1e-6))

    def test_corrections(self) -> None:
        """Small ones are none, however many there are."""
        for _ in range(10):
            assert_that(self.run_for(1.0, wall=1.49), equal_to(0.0))
