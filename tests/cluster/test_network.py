"""Bad networks: loss, disorder, and cuts of every kind."""

from __future__ import annotations

from itertools import permutations

from hamcrest import assert_that, equal_to, greater_than, less_than

from flip.membership.roster import State
from flip.simulation.distributions import Uniform
from flip.simulation.world import World
from tests.cluster.case import (
    ALL_ACTIVE,
    DETECTION,
    FLIP1_DOWN,
    ONE,
    SETTLING,
    TWO,
    ClusterTestCase,
    at_rest,
    holdings,
    larger,
    system,
)

PAIRS = (("flip", "flip1"), ("flip", "flip2"), ("flip1", "flip2"))


def downs(world: World) -> list[str]:
    """Who was ever voted down, by the events in the nodes' journals."""
    return [
        f"{machine.id}: {event.text}"
        for machine in world.machines.values()
        if machine.node is not None
        for event in machine.node.journal.events(10_000)
        if event.kind == "down"
    ]


class LossTests(ClusterTestCase):
    """Datagrams that are lost, doubled, late and out of order."""

    def test_loss(self) -> None:
        """At 20 % loss on every link nobody is falsely down in ten minutes."""
        for seed in range(3):
            world = self.story(seed)
            world.network.loss = 0.2
            world.run(600)
            assert_that(downs(world), equal_to([]))
            self.expect(world, ALL_ACTIVE)

    def test_start_with_loss(self) -> None:
        """A cluster starts at 20 % loss."""
        for seed in range(5):
            world = self.cluster(seed=seed)
            world.network.loss = 0.2
            world.start()
            self.await_holdings(world, ALL_ACTIVE, 10)

    def test_disorder(self) -> None:
        """Doubled and reordered datagrams change nothing, not even during failures."""
        for seed in range(3):
            world = self.story(seed)
            world.network.duplication = 0.5
            world.network.latency = Uniform(0.0005, 0.15)
            world["flip1"].reboot()
            self.await_holdings(world, FLIP1_DOWN)
            world["flip1"].start()
            self.await_holdings(world, ALL_ACTIVE)
            world.run(10)
            self.expect(world, ALL_ACTIVE)

    def test_slow_death(self) -> None:
        """A dead member is found at 20 % loss too."""
        world = self.story()
        world.network.loss = 0.2
        world["flip1"].reboot()
        assert_that(self.await_holdings(world, FLIP1_DOWN), less_than(2 * DETECTION))

    def test_udp_only(self) -> None:
        """A firewall that passes UDP only is reported, and small clusters work all the same."""
        world = self.cluster()
        world.network.udp_only = True
        world.start()
        self.await_holdings(world, ALL_ACTIVE)
        world["flip1"].reboot()
        self.await_holdings(world, FLIP1_DOWN)
        world["flip1"].start()
        self.await_holdings(world, ALL_ACTIVE)


class OneWayTests(ClusterTestCase):
    """Members that can only hear, or only speak."""

    def test_deaf(self) -> None:
        """A member that speaks but cannot hear is down, and does no harm."""
        world = self.story()
        world.cut(world.others("flip1"), ["flip1"], one_way=True)
        world.await_served("flip", {ONE, TWO}, SETTLING)
        world.run(30)
        for id in ("flip", "flip2"):
            assert_that(world[id].state("flip1"), equal_to(State.DOWN))
            other = "flip" if id == "flip2" else "flip2"
            assert_that(world[id].state(other), equal_to(State.ALIVE))
        assert_that(world["flip1"].running_node.parts.membership.in_touch, equal_to(False))
        world.heal()
        self.await_holdings(world, ALL_ACTIVE)

    def test_mute(self) -> None:
        """A member that hears but cannot speak is down, and does no harm."""
        world = self.story()
        world.cut(["flip1"], world.others("flip1"), one_way=True)
        world.await_served("flip", {ONE, TWO}, SETTLING)
        world.run(30)
        for id in ("flip", "flip2"):
            assert_that(world[id].state("flip1"), equal_to(State.DOWN))
        world.heal()
        self.await_holdings(world, ALL_ACTIVE)

    def test_one_link(self) -> None:
        """A link between two is cut: they are reached through the third, and nothing moves."""
        for pair in PAIRS:
            world = self.story()
            world.cut(pair[:1], pair[1:])
            world.run(60)
            assert_that(downs(world), equal_to([]))
            assert_that(holdings(world), equal_to(ALL_ACTIVE))
            world.heal()
            world.run(SETTLING)
            self.expect(world, ALL_ACTIVE)

    def test_one_way_link(self) -> None:
        """A link that works one way only moves nothing either."""
        for pair in PAIRS:
            for here, there in (pair, pair[::-1]):
                world = self.story()
                world.cut([here], [there], one_way=True)
                world.run(60)
                assert_that(downs(world), equal_to([]))
                assert_that(holdings(world), equal_to(ALL_ACTIVE))


class PartitionTests(ClusterTestCase):
    """Cuts between groups."""

    def test_minority_holds(self) -> None:
        """The majority takes over; the minority keeps what it has, and takes nothing."""
        world = self.story()
        world.cut(["flip1"], world.others("flip1"))
        world.await_served("flip", {ONE, TWO}, SETTLING)
        world.run(30)
        assert_that(world["flip1"].held(), equal_to({TWO}))

    def test_minority_releases(self) -> None:
        """With on_isolation "release" the minority lets go before the majority has taken over."""
        world = self.story(on_isolation="release")
        world.cut(["flip1"], world.others("flip1"))
        self.await_holdings(world, FLIP1_DOWN, 10)
        world.run(30)
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        world.heal()
        self.await_holdings(world, ALL_ACTIVE)
        world.run(5)
        self.expect(world, ALL_ACTIVE)

    def test_last_word(self) -> None:
        """After the heal the one that keeps a data point announces it at once, and again (R6)."""
        for seed in range(20):
            world = self.story(seed)
            world.cut(["flip1"], world.others("flip1"))
            world.await_served("flip", {ONE, TWO}, SETTLING)
            world.run(world.rng.uniform(0, 20))
            for machine in world.machines.values():
                machine.runs.clear()
            world.invariants.overlaps.longest = 0.0
            healed = world.now
            world.heal()
            self.await_holdings(world, ALL_ACTIVE)
            world.run(5)
            self.expect(world, ALL_ACTIVE)
            let_go = [
                at for at, event, datum in world["flip"].runs if (event, datum) == ("down", TWO)
            ]
            word = [
                at for at, event, datum in world["flip1"].runs if (event, datum) == ("alive", TWO)
            ]
            assert_that(len(let_go), equal_to(1), f"seed {seed}")
            assert_that(max(word), greater_than(let_go[0]), f"seed {seed}")
            # The rotation finds the heal within an interval, or a probe under way does.
            assert_that(max(word) - healed, less_than(2.0), f"seed {seed}")

    def test_reunion(self) -> None:
        """A total cut of 15 s heals pair by pair, in every order: nothing moves."""
        for order in permutations(PAIRS):
            for pause in (0.0, 0.3, 1.0, 2.0):
                world = self.story()
                world.cut_all()
                world.run(15)
                for here, there in order:
                    world.heal([here], [there])
                    world.run(pause)
                    assert_that(holdings(world), equal_to(ALL_ACTIVE), f"{order} {pause}")
                world.run(SETTLING)
                self.expect(world, ALL_ACTIVE)
                moved = [
                    r
                    for m in world.machines.values()
                    for r in m.runs
                    if r[1] == "down" and r[0] > 15
                ]
                assert_that(moved, equal_to([]), f"{order} {pause}")

    def test_halves(self) -> None:
        """Two halves of four: neither has a quorum, nothing moves."""
        world = self.cluster(larger(4, 8))
        world.start()
        world.run_until(
            lambda: at_rest(world) and all(len(h) == 2 for h in holdings(world).values()), 20
        )
        before = holdings(world)
        world.cut(["n0", "n1"], ["n2", "n3"])
        world.run(30)
        assert_that(holdings(world), equal_to(before))
        world.heal()
        world.run(SETTLING)
        self.expect(world, before)

    def test_majority_of_five(self) -> None:
        """Three of five go on, and two keep what they have."""
        world = self.cluster(larger(5, 10))
        world.start()
        world.run_until(
            lambda: at_rest(world) and all(len(h) == 2 for h in holdings(world).values()), 20
        )
        before = holdings(world)
        world.cut(["n0", "n1"], ["n2", "n3", "n4"])
        world.run_until(lambda: sum(len(world[id].held()) for id in ("n2", "n3", "n4")) == 10, 20)
        assert_that(
            {id: world[id].held() for id in ("n0", "n1")},
            equal_to({id: before[id] for id in ("n0", "n1")}),
        )
        world.heal()
        world.run(SETTLING)
        self.expect(world, before)


class IsolatedStartTests(ClusterTestCase):
    """Starts in a partition."""

    def test_release_while_isolated(self) -> None:
        """A restarted node that reaches nobody keeps what its process left behind."""
        world = self.cluster(system())
        world.start()
        self.await_holdings(world, ALL_ACTIVE)
        world.run(3)
        world.cut(["flip1"], world.others("flip1"))
        world["flip1"].kill()
        world.run(0.1)
        world["flip1"].start()
        world.run(30)
        assert_that(world["flip1"].held(), equal_to({TWO}))
        world.heal()
        self.await_holdings(world, ALL_ACTIVE)
        world.run(5)
        self.expect(world, ALL_ACTIVE)
