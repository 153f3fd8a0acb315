"""A node that is out of touch looks for the others more often than its rotation does."""

from __future__ import annotations

from hamcrest import assert_that, equal_to, has_length, less_than
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.search import PERIOD, Search
from tests.cluster.case import ClusterTestCase


class SearchTests(SynchronousTestCase):
    """When it asks."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.asked: list[float] = []
        self.search = Search(self.clock, lambda: self.asked.append(self.clock.seconds()))

    def test_out_of_touch(self) -> None:
        """It asks until the node is in touch, however often it is told the same."""
        for _ in range(3):
            self.search.follow(in_touch=False)
        self.clock.pump([PERIOD] * 3)
        assert_that(self.asked, has_length(3))
        self.search.follow(in_touch=True)
        self.clock.advance(1)
        assert_that(self.asked, has_length(3))
        assert_that(self.clock.getDelayedCalls(), equal_to([]))

    def test_stopped(self) -> None:
        """Nothing is asked after the end, whether it was searching or not."""
        self.search.stop()
        self.search.follow(in_touch=False)
        self.search.stop()
        assert_that(self.clock.getDelayedCalls(), equal_to([]))


class HealedTests(ClusterTestCase):
    """How soon a healed network is noticed."""

    def test_noticed(self) -> None:
        """A node that was cut off is in touch within 0.1 s, whenever the cut heals."""
        for seed in range(8):
            alone = 4 + seed / 8  # another phase of the rotation every time
            assert_that(self.notice(seed, alone), less_than(0.1), str(seed))

    def notice(self, seed: int, alone: float) -> float:
        """The seconds that it takes a node that was alone for a while to be in touch again."""
        world = self.story(seed)
        world.cut(("flip1",), world.others("flip1"))
        world.run(alone)
        membership = world["flip1"].running_node.parts.membership
        assert_that(membership.in_touch, equal_to(False))
        world.heal()
        return world.run_until(lambda: membership.in_touch, 2)

    def test_cost(self) -> None:
        """A node that is alone sends a few datagrams in a period, not a flood."""
        world = self.story()
        world.cut(("flip1",), world.others("flip1"))
        world.run(10)
        address = world["flip1"].address
        sent = world.network.sent[address]
        world.run(10)
        assert_that(world.network.sent[address] - sent, less_than(2 * 10 / PERIOD))
