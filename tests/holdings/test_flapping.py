"""Tests for `flip.holdings.flapping`; those of the keeper see it at work."""

from __future__ import annotations

from hamcrest import assert_that, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.flapping import penalty


class PenaltyTests(SynchronousTestCase):
    """R8: how long a flapping member stays out."""

    def test_growth(self) -> None:
        """The first time costs nothing; then 1, 2, 4 and so on up to 60 seconds."""
        seconds = [penalty(downs) for downs in range(12)]
        assert_that(seconds, equal_to([0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]))

    def test_for_ever(self) -> None:
        """A member that flaps all day is no arithmetic problem."""
        assert_that(penalty(100_000), equal_to(60))
