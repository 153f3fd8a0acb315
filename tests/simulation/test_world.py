"""A world: what its clock, its conditions and its options do."""

from __future__ import annotations

from hamcrest import assert_that, calling, close_to, empty, equal_to

from flip.simulation.invariants import Violation
from flip.simulation.world import World
from tests.cluster.case import ALL_ACTIVE, STORY, TWO, ClusterTestCase, system
from tests.matchers import raises


class TimeTests(ClusterTestCase):
    """How time passes."""

    def setUp(self) -> None:
        self.world = self.cluster()

    def test_run(self) -> None:
        """Time goes on to the end of a run, whether or not something happens then."""
        self.world.run(2.5)
        self.world.schedule(1.0, lambda: None)
        self.world.run(2.5)
        assert_that(self.world.now, equal_to(5.0))

    def test_schedule(self) -> None:
        """What is scheduled happens once, after its delay."""
        times: list[float] = []
        self.world.run(1.0)
        self.world.schedule(0.5, lambda: times.append(self.world.now))
        self.world.run(3.0)
        assert_that(times, equal_to([1.5]))

    def test_until(self) -> None:
        """A condition ends a run at the moment at which it holds."""
        happened: list[float] = []
        self.world.schedule(1.5, lambda: happened.append(self.world.now))
        took = self.world.run_until(lambda: bool(happened), limit=10)
        assert_that((took, self.world.now), equal_to((1.5, 1.5)))

    def test_never(self) -> None:
        """What does not come about within the limit is told with what happened last."""
        self.world.start()
        waiting = calling(self.world.run_until).with_args(lambda: False, limit=2)
        assert_that(waiting, raises(Violation, r"not within 2 s[\s\S]+ flip1 starts"))
        assert_that(self.world.now, close_to(2.0, 1e-9))


class ConfigurationTests(ClusterTestCase):
    """What worlds share, and what they do not."""

    def test_same_file(self) -> None:
        """Two worlds of one configuration share nothing that lives."""
        one, two = self.cluster(), self.cluster()
        assert_that(one.base, equal_to(two.base))
        one.start()
        self.await_holdings(one, ALL_ACTIVE)
        one.run(1)
        assert_that(one["flip1"].recorded(), equal_to({("ip", TWO)}))
        assert_that((two["flip1"].recorded(), two.now), equal_to((None, 0.0)))

    def test_other_file(self) -> None:
        """Another configuration is read anew."""
        delays = [self.cluster(system(delay=delay)).base.systems["ip"].delay for delay in (0, 900)]
        assert_that(delays, equal_to([0.0, 0.9]))

    def test_unchecked(self) -> None:
        """Where the rules are not checked, nobody watches and any step is allowed."""
        world = World(STORY, 1, checked=False)
        self.addCleanup(world.close)
        assert_that(world.observers.stepped, empty())
        for machine in world.machines.values():
            machine.serve(("ip", TWO))
        world.run(60)

    def test_checked(self) -> None:
        """Where they are, a broken one ends the run."""
        world = self.story()
        world["flip"].serve(("ip", TWO))
        assert_that(calling(world.run).with_args(60), raises(Violation))


class AcquaintedTests(ClusterTestCase):
    """`start_acquainted`."""

    def test_network(self) -> None:
        """The network is afterwards as it was before."""
        world = self.cluster()
        world.network.loss = 0.25
        world.start_acquainted()
        assert_that(world.network.loss, equal_to(0.25))
        world.network.loss = 0.0
        self.await_holdings(world, ALL_ACTIVE, limit=2)
