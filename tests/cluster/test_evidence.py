"""Who counts as down, and on whose word: old news, old votes, and quorums of every size."""

from __future__ import annotations

from hamcrest import assert_that, equal_to, less_than

from flip.membership.roster import State
from flip.simulation.world import World
from tests.cluster.case import (
    ALL_ACTIVE,
    FLIP1_DOWN,
    ONE,
    SETTLING,
    STORY,
    TWO,
    ClusterTestCase,
    at_rest,
    holdings,
    larger,
)

PROBE = 1.5


class LateNewsTests(ClusterTestCase):
    """A refutation that arrives when its member has been dead for long (M6)."""

    def late_refutation(self, receivers: list[str]) -> World:
        """flip1 was down, refuted and died; its refutation reaches `receivers` a minute later."""
        world = self.story()
        world.cut(["flip1"], world.others("flip1"))
        self.await_holdings(world, {"flip": {ONE, TWO}, "flip1": {TWO}, "flip2": set()})
        world.run(3)
        world.network.hold_up(world.addresses("flip1"), world.addresses("flip", "flip2"))
        world.network.udp_only = True
        world.heal()
        refuted = world["flip1"].running_node.parts.membership.own.record.incarnation
        world.run(0.6)
        assert_that(
            world["flip1"].running_node.parts.membership.own.record.incarnation > refuted,
            equal_to(True),
        )
        world["flip1"].reboot()
        world.run(60)
        self.expect(world, FLIP1_DOWN)
        others = [id for id in ("flip", "flip2") if id not in receivers]
        world.cut(["flip1"], others)
        world.network.let_through()
        return world

    def test_everywhere(self) -> None:
        """It brings a dead member back for no longer than a probe, and moves nothing."""
        world = self.late_refutation(["flip", "flip2"])
        world.run(0.1)
        assert_that(world["flip"].state("flip1") is State.DOWN, equal_to(False))
        for _ in range(30):
            world.run(0.1)
            assert_that(holdings(world), equal_to(FLIP1_DOWN))
        for id in ("flip", "flip2"):
            assert_that(world[id].state("flip1"), equal_to(State.DOWN))

    def test_hearsay(self) -> None:
        """Who hears of it from another member goes by its own evidence at once (D10)."""
        world = self.late_refutation(["flip2"])
        world.run(0.1)
        roster = world["flip2"].running_node.parts.membership.roster
        assert_that(roster["flip1"].votes, equal_to(frozenset({"flip"})))
        took = world.run_until(lambda: world["flip2"].state("flip1") is State.DOWN, SETTLING)
        assert_that(took, less_than(PROBE + 0.2))


class OldVotesTests(ClusterTestCase):
    """Votes are fresh evidence, or there are none (M7)."""

    def test_isolated_voter(self) -> None:
        """One that was cut off for long accuses nobody: not meanwhile, and not on its return."""
        world = self.story()
        world.cut(["flip1"], world.others("flip1"))
        world.run(300)
        roster = world["flip1"].running_node.parts.membership.roster
        assert_that([m.id for m in roster if m.votes], equal_to([]))
        world.heal()
        for _ in range(50):
            world.run(0.1)
            for id, other in (("flip", "flip2"), ("flip2", "flip")):
                assert_that(world[id].state(other), equal_to(State.ALIVE))
        self.await_holdings(world, ALL_ACTIVE)

    def test_member_without_voters(self) -> None:
        """Two of three die at different times: the last one cannot tell, so nothing moves."""
        world = self.story()
        world["flip2"].reboot()
        world.run(60)
        self.expect(world, ALL_ACTIVE)
        assert_that(world["flip"].state("flip2"), equal_to(State.DOWN))
        world["flip1"].reboot()
        world.run(60)
        assert_that(world["flip"].held(), equal_to({ONE}))
        assert_that(world["flip"].running_node.parts.membership.in_touch, equal_to(False))


class QuorumTests(ClusterTestCase):
    """Other quorums than a majority of three (S3)."""

    def test_five_without_two(self) -> None:
        """Three of five go on when two have died."""
        world = self.cluster(larger(5, 10))
        world.start()
        world.run_until(lambda: at_rest(world) and _served(world) == 10, 20)
        for id in ("n0", "n1"):
            world[id].reboot()
        world.run_until(lambda: _served(world) == 10 and at_rest(world), 20)
        assert_that(sorted(len(world[id].held()) for id in ("n2", "n3", "n4")), equal_to([3, 3, 4]))

    def test_quorum_of_all(self) -> None:
        """Two servers without an arbiter can never agree that one is down: nothing moves."""
        world = self.cluster(larger(2, 4))
        world.start()
        world.run_until(lambda: at_rest(world) and _served(world) == 4, 20)
        before = holdings(world)
        world["n1"].reboot()
        world.run(60)
        assert_that(world["n0"].held(), equal_to(before["n0"]))

    def test_quorum_of_one(self) -> None:
        """With a quorum of one each acts on its own, and both serve everything when cut apart."""
        world = self.cluster(larger(2, 4, quorum=1))
        world.start()
        world.run_until(lambda: at_rest(world) and _served(world) == 4, 20)
        world.cut(["n0"], ["n1"])
        world.run_until(lambda: _served(world) == 8, 20)
        world.heal()
        world.run_until(lambda: at_rest(world) and _served(world) == 4, 20)

    def test_single_server(self) -> None:
        """A cluster of one serves everything."""
        world = self.cluster(larger(1, 4))
        world.start()
        world.run_until(lambda: _served(world) == 4, 5)

    def test_majority_in_two_rooms(self) -> None:
        """Every cut of the story's three leaves at most one side that acts."""
        for alone in STORY["servers"]:
            world = self.story()
            world.cut([alone], world.others(alone))
            world.run(20)
            touching = [
                m.id for m in world.machines.values() if m.running_node.parts.membership.in_touch
            ]
            assert_that(sorted(touching), equal_to(sorted(world.others(alone))))


def _served(world: World) -> int:
    return sum(map(len, holdings(world).values()))
