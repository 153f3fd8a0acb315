"""Tests for `flip.holdings.fitness`."""

from __future__ import annotations

from hamcrest import assert_that, empty, equal_to, none
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.fitness import Fitness


class FitnessTests(SynchronousTestCase):
    """What a node declares about itself."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.changes = 0
        self.fitness = Fitness(self.clock, ("ip", "web"), self.changed)

    def changed(self) -> None:
        self.changes += 1

    def test_fit(self) -> None:
        """A node is eligible for everything until it says otherwise."""
        assert_that(self.fitness.ineligible, empty())
        assert_that(self.fitness.reasons("ip"), none())

    def test_one_system(self) -> None:
        """An exclusion is for the systems named, and ends by itself."""
        self.fitness.exclude("failing", 60, ("ip",))
        assert_that(self.fitness.ineligible, equal_to(("ip",)))
        assert_that(self.fitness.reasons("ip"), equal_to("failing"))
        assert_that(
            [self.fitness.excluded("failing", name) for name in ("ip", "web")],
            equal_to([True, False]),
        )
        self.clock.advance(59.9)
        assert_that(self.fitness.ineligible, equal_to(("ip",)))
        with capturedLogs() as logs:
            self.clock.advance(0.2)
        assert_that([self.fitness.ineligible, self.changes, len(logs)], equal_to([(), 2, 1]))

    def test_all_systems(self) -> None:
        """Without a name it is for all."""
        self.fitness.exclude("flapping", 1)
        assert_that(self.fitness.ineligible, equal_to(("ip", "web")))

    def test_several_causes(self) -> None:
        """A system is eligible again when the last cause is gone."""
        self.fitness.exclude("flapping", 1)
        self.fitness.exclude("failing", 60, ("ip",))
        self.clock.advance(1)
        assert_that(self.fitness.ineligible, equal_to(("ip",)))
        self.fitness.admit("failing")
        assert_that(self.fitness.ineligible, empty())

    def test_again(self) -> None:
        """The same cause again counts from now."""
        self.fitness.exclude("flapping", 1)
        self.clock.advance(0.9)
        self.fitness.exclude("flapping", 2)
        self.clock.advance(1.9)
        assert_that(self.fitness.ineligible, equal_to(("ip", "web")))
        self.clock.advance(0.2)
        assert_that(self.fitness.ineligible, empty())

    def test_without_end(self) -> None:
        """Some exclusions last until they are taken back."""
        self.fitness.exclude("behind", None)
        self.clock.advance(1e6)
        assert_that(self.fitness.ineligible, equal_to(("ip", "web")))
        self.fitness.admit("behind", "ip")
        assert_that(self.fitness.ineligible, equal_to(("web",)))

    def test_stop(self) -> None:
        """No timer is left."""
        self.fitness.exclude("flapping", 1)
        self.fitness.stop()
        assert_that(self.clock.getDelayedCalls(), empty())
