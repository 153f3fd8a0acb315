"""`flip.membership.health`: who is ill waits longer before it accuses (Lifeguard)."""

from __future__ import annotations

from hamcrest import assert_that, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.health import Health


class HealthTests(SynchronousTestCase):
    """A score from 0 to 3."""

    def test_well(self) -> None:
        """At first nothing is stretched."""
        assert_that(Health().stretch, equal_to(1))

    def test_at_most_four_times(self) -> None:
        """However ill, deadlines are at most four times as long."""
        health = Health()
        for _ in range(10):
            health.worsen("a test")
        assert_that((health.score, health.stretch), equal_to((3, 4)))

    def test_recovers(self) -> None:
        """Good probes bring it back to normal, and no further."""
        health = Health()
        health.worsen("a test")
        health.worsen("a test")
        health.improve()
        assert_that(health.stretch, equal_to(2))
        for _ in range(5):
            health.improve()
        assert_that(health.stretch, equal_to(1))
