"""`flip confirm-down` on whole nodes: an operator's word in place of a quorum."""

from __future__ import annotations

from hamcrest import assert_that, calling, contains_string, equal_to, has_length, less_than, raises

from flip.control.commands import commands
from flip.control.status import status
from flip.errors import BadRequest, CannotConfirm
from flip.membership.member import OPERATOR, OUTSIDERS
from flip.membership.roster import State
from flip.simulation.world import World
from tests.cluster.case import (
    ALL_ACTIVE,
    DETECTION,
    ONE,
    SETTLING,
    TWO,
    ClusterTestCase,
    larger,
)
from tests.matchers import has_item


def confirm(world: World, at: str, *ids: object, force: object = True) -> None:
    """What `flip confirm-down` asks of the node `at`."""
    parts = world[at].running_node.parts
    request = {"ids": [*ids], "force": force, "by": "alice (as root)"}
    commands(lambda: parts)["confirm-down"](request)


class SurvivorTests(ClusterTestCase):
    """Three nodes, of which two have burned."""

    def burned(self) -> World:
        world = self.story()
        for id in ("flip1", "flip2"):
            world[id].reboot()
        world.run(10)
        assert_that(world["flip"].held(), equal_to({ONE}))
        return world

    def test_running(self) -> None:
        """The survivor takes everything."""
        world = self.burned()
        confirm(world, "flip", "flip1", "flip2")
        world.await_served("flip", {ONE, TWO}, DETECTION)

    def test_restarted(self) -> None:
        """So does one that was started from nothing: it knows no incarnation of anybody."""
        world = self.burned()
        world["flip"].reboot()
        world["flip"].lose_disk()
        world["flip"].start()
        world.run(10)
        assert_that(world["flip"].held(), equal_to(set()))
        confirm(world, "flip", "flip1", "flip2")
        world.await_served("flip", {ONE, TWO}, DETECTION)

    def test_one_of_two(self) -> None:
        """One confirmed is a quorum to reach, and nothing against the other, which may live."""
        world = self.burned()
        confirm(world, "flip", "flip2")
        world.run(10)
        assert_that(world["flip"].running_node.parts.membership.in_touch, equal_to(True))
        assert_that(world["flip"].held(), equal_to({ONE}))

    def test_return(self) -> None:
        """Who returns is back at once, and the word about it is over."""
        world = self.burned()
        confirm(world, "flip", "flip1", "flip2")
        world.run(5)
        world.start("flip1", "flip2")
        self.await_holdings(world, ALL_ACTIVE)
        for machine in world.machines.values():
            roster = machine.running_node.parts.membership.roster
            assert_that(roster.confirmed, equal_to(set()))
        alarms = status(world["flip"].running_node.parts)["alarms"]
        assert_that(alarms, equal_to([]))

    def test_left(self) -> None:
        """Those that left in good order can be confirmed, too: they count as out of reach else."""
        world = self.story()
        for id in ("flip1", "flip2"):
            world[id].leave()
            world.run(1)
        world.run(5)
        assert_that(world["flip"].running_node.parts.membership.in_touch, equal_to(False))
        confirm(world, "flip", "flip1", "flip2")
        world.await_served("flip", {ONE, TWO}, DETECTION)

    def test_told(self) -> None:
        """It is an alarm, and an event that names who said it."""
        world = self.burned()
        confirm(world, "flip", "flip1")
        said = status(world["flip"].running_node.parts)
        text = "flip1 counts as off, as an operator confirmed, until it returns"
        assert_that(said["alarms"], has_item(text))
        texts = [event["text"] for event in said["events"] if event["kind"] == "confirmed-down"]
        assert_that(texts, has_item("alice (as root) confirmed here that flip1 is off"))
        assert_that(said["members"]["flip1"]["state"], equal_to("down"))


class RefusalTests(ClusterTestCase):
    """What cannot be confirmed."""

    def refused(self, world: World, *ids: str) -> str:
        with self.assertRaises(CannotConfirm) as caught:
            confirm(world, "flip", *ids)
        return str(caught.exception)

    def test_answering(self) -> None:
        """A member that answers; the others that were named are not confirmed either."""
        world = self.story()
        world["flip1"].reboot()
        world.run(5)
        assert_that(self.refused(world, "flip1", "flip2"), contains_string("flip2 answers"))
        votes = world["flip"].running_node.parts.membership.roster["flip1"].votes
        assert_that(OPERATOR in votes, equal_to(False))

    def test_itself(self) -> None:
        """The node that is asked."""
        assert_that(self.refused(self.story(), "flip"), contains_string("flip is this node"))

    def test_unknown(self) -> None:
        """An id that does not exist; those that do are named."""
        text = "There is no member 'flip3'; the others are: flip1, flip2."
        assert_that(self.refused(self.story(), "flip3"), contains_string(text))

    def test_too_early(self) -> None:
        """A member that nobody has tried to reach."""
        world = self.cluster()
        world.start("flip")
        world.run(0.2)
        assert_that(self.refused(world, "flip1"), contains_string("repeat in a moment"))

    def test_not_twice(self) -> None:
        """Without being asked twice nothing is done."""
        world = self.story()
        world["flip1"].reboot()
        world.run(5)
        for force in (False, None, 1, "yes"):
            assert_that(
                calling(confirm).with_args(world, "flip", "flip1", force=force),
                raises(CannotConfirm, "--force"),
            )

    def test_malformed(self) -> None:
        """A request without ids, or with something else."""
        world = self.story()
        for ids in ((), (7,), ("flip1", None)):
            assert_that(
                calling(confirm).with_args(world, "flip", *ids), raises(BadRequest, "list of")
            )


class LargerTests(ClusterTestCase):
    """Five nodes, of which three are gone."""

    def test_other_survivor(self) -> None:
        """The word reaches the other survivor, and both divide everything."""
        world = self.cluster(larger(5, 10))
        world.start()
        world.run(SETTLING)
        gone = ("n2", "n3", "n4")
        for id in gone:
            world[id].reboot()
        world.run(10)
        confirm(world, "n0", *gone)
        both = {f"d{n}" for n in range(10)}
        seconds = world.run_until(lambda: world["n0"].held() | world["n1"].held() == both, 10)
        assert_that(seconds, less_than(DETECTION))
        assert_that([len(world[id].held()) for id in ("n0", "n1")], equal_to([5, 5]))

    def test_before_it_knows_anybody(self) -> None:
        """A survivor that has just started repeats it for the lives of which it hears later."""
        world = self.cluster(larger(5, 10))
        world.start()
        world.run(SETTLING)
        gone = ("n2", "n3", "n4")
        for id in (*gone, "n0"):
            world[id].reboot()
        world["n0"].lose_disk()
        world.cut(["n0"], ["n1"])
        world["n0"].start()
        world.run(5)
        confirm(world, "n0", *gone)
        world.heal()
        world.run_until(lambda: len(world["n0"].held()) == len(world["n1"].held()) == 5, 15)

    def test_wrong(self) -> None:
        """What lives after all, where another node reaches it, refutes it and is not down."""
        world = self.cluster(larger(5, 10))
        world.start()
        world.run(SETTLING)
        world.cut(["n0"], ["n4"])
        world.cut(["n0"], ["n1"])
        world.cut(["n0"], ["n2"])
        world.cut(["n0"], ["n3"])
        world.run(5)
        confirm(world, "n0", "n4")
        for id in ("n1", "n2", "n3"):
            world.heal(["n0"], [id])
        world.run(10)
        for id in ("n0", "n1", "n2", "n3"):
            assert_that(world[id].state("n4"), equal_to(State.ALIVE))
        held = [machine.held() for machine in world.machines.values()]
        assert_that(sorted(len(some) for some in held), equal_to([2] * 5))
        assert_that(set().union(*held), equal_to({f"d{n}" for n in range(10)}))


class MixedTests(ClusterTestCase):
    """A rolling upgrade: some nodes do not know of voters that are no members."""

    def test_older_nodes(self) -> None:
        """They pass over the word; all stay in touch, settled and agreed on what they share."""
        world = self.cluster(larger(5, 10))
        world.start()
        for id in ("n1", "n2"):
            roster = world[id].running_node.parts.membership.roster
            roster._voters -= OUTSIDERS
        world.run(SETTLING)
        for id in ("n3", "n4"):
            world[id].leave()
        world.run(5)
        confirm(world, "n0", "n3", "n4")
        world.run(30)
        three = ("n0", "n1", "n2")
        for id in three:
            membership = world[id].running_node.parts.membership
            assert_that((membership.in_touch, membership.settled), equal_to((True, True)))
            for other in three:
                assert_that(world[id].state(other), equal_to(State.ALIVE))
        assert_that(set().union(*(world[id].held() for id in three)), has_length(10))
        world.start("n3", "n4")
        world.run(SETTLING)
        digests = {
            machine.running_node.parts.membership.roster.digest
            for machine in world.machines.values()
        }
        assert_that(digests, has_length(1))
