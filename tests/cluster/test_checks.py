"""Health checks, failback and drain in whole clusters on virtual time."""

from __future__ import annotations

import itertools
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, less_than

from flip.simulation.world import World
from tests.cluster.case import (
    ALL_ACTIVE,
    FLIP1_DOWN,
    ONE,
    SETTLING,
    TWO,
    ClusterTestCase,
    holdings,
    larger,
    system,
)
from tests.cluster.test_lives import kinds
from tests.matchers import has_item, is_not

CHECK = {"tcp": "127.0.0.1:80", "interval": 500, "timeout": 400, "rise": 2, "fall": 3}
FALLS = 3 * 0.5 + 0.4 + 0.1  # seconds until three checks in a row have failed
RISES = 2 * 0.5 + 0.1
HANDOFF = 0.3  # seconds: `delay`, two hooks, a message


def counts(world: World) -> dict[str, int]:
    """How many data points each machine serves."""
    return {id: len(held) for id, held in holdings(world).items()}


class ChecksCase(ClusterTestCase):
    """The story, whose system has a health check."""

    def checked(self, **settings: Any) -> World:
        return self.story(**{"check": CHECK, **settings})

    def three(self, **settings: Any) -> World:
        """Three servers with six data points, and a health check."""
        description = larger(3, 6)
        description["cluster"]["system"]["ip"] |= {"check": CHECK, **settings}
        world = self.cluster(description)
        world.start()
        world.run_until(lambda: all(len(held) == 2 for held in holdings(world).values()), SETTLING)
        world.run(2)
        return world

    def ail(self, world: World, *ids: str) -> None:
        """The service of these fails."""
        for id in ids:
            world[id].ailing.fails.add("ip")
        world.fault(f"checks fail on {', '.join(ids)}")

    def heal(self, world: World, *ids: str) -> None:
        """It is well again."""
        for id in ids:
            world[id].ailing.fails.clear()
        world.fault(f"checks fail on {', '.join(ids)}", began=False)

    def starts(self, world: World, id: str) -> int:
        """How many hooks ran on a machine."""
        return len(world[id].runs)

    def word(self, world: World, id: str) -> str:
        return world[id].running_node.parts.keeper.fitness.standing("ip").name


class UnfitTests(ChecksCase):
    """A service fails, and recovers."""

    def test_story(self) -> None:
        """Its data moves to the others as soon as it is unfit, and back when it is fit."""
        world = self.checked()
        self.ail(world, "flip1")
        assert_that(self.await_holdings(world, FLIP1_DOWN, 5), less_than(FALLS + HANDOFF))
        assert_that(kinds(world["flip1"]), has_item("unfit"))
        self.heal(world, "flip1")
        assert_that(self.await_holdings(world, ALL_ACTIVE, 5), less_than(RISES + HANDOFF))
        assert_that(kinds(world["flip1"])[-1], equal_to("fit"))

    def test_hangs(self) -> None:
        """A check that does not answer fails when its time is up."""
        world = self.checked()
        world["flip1"].ailing.hangs.add("ip")
        world.fault("checks hang on flip1")
        self.await_holdings(world, FLIP1_DOWN, FALLS + HANDOFF)

    def test_flaps(self) -> None:
        """One failure, or two, move nothing."""
        world = self.checked()
        before = self.starts(world, "flip"), self.starts(world, "flip1")
        for _ in range(5):
            self.ail(world, "flip1")
            world.run(0.6)
            self.heal(world, "flip1")
            world.run(1.5)
        assert_that((self.starts(world, "flip"), self.starts(world, "flip1")), equal_to(before))

    def test_starts_unfit(self) -> None:
        """A node that starts takes nothing before it is known to be fit."""
        world = self.cluster(self.description())
        self.ail(world, "flip1")
        world.start()
        self.await_holdings(world, FLIP1_DOWN)
        world.run(10)
        taken = [event for _, event, _ in world["flip1"].runs if event == "alive"]
        assert_that(taken, empty())

    def description(self, **settings: Any) -> dict[str, Any]:
        return system(**{"check": CHECK, **settings})

    def test_frozen(self) -> None:
        """What went wrong while the node itself stood still is not the service's fault."""
        world = self.checked()
        world["flip1"].freeze()
        world.run(1.2)  # not long enough to be voted down
        world["flip1"].thaw()
        world.run(3)
        assert_that(kinds(world["flip1"]), is_not(has_item("unfit")))
        assert_that(holdings(world), equal_to(ALL_ACTIVE))

    def test_exclusive(self) -> None:
        """Nobody waits for a lease: what is let go of is released."""
        world = self.checked(exclusive=True)
        self.ail(world, "flip1")
        assert_that(self.await_holdings(world, FLIP1_DOWN, 5), less_than(FALLS + 2 * HANDOFF))
        self.heal(world, "flip1")
        assert_that(self.await_holdings(world, ALL_ACTIVE, 5), less_than(RISES + 2 * HANDOFF))

    def test_replicate(self) -> None:
        """An unfit server lets go of its own copies; the other keeps its."""
        both = {"flip": {ONE, TWO}, "flip1": {ONE, TWO}, "flip2": set[str]()}
        world = self.cluster(self.description(type="replicate"))
        world.start()
        self.await_holdings(world, both)
        self.ail(world, "flip1")
        self.await_holdings(world, {**both, "flip1": set()}, FALLS + HANDOFF)
        self.heal(world, "flip1")
        self.await_holdings(world, both, RISES + HANDOFF)

    def test_failover(self) -> None:
        """All of it moves from the first server to the second."""
        world = self.cluster(self.description(type="failover"))
        world.start()
        first = {"flip": set[str](), "flip1": {ONE, TWO}, "flip2": set[str]()}
        self.await_holdings(world, first)
        self.ail(world, "flip1")
        self.await_holdings(world, FLIP1_DOWN, FALLS + HANDOFF)
        self.heal(world, "flip1")
        self.await_holdings(world, first, RISES + HANDOFF)


class NobodyFitTests(ChecksCase):
    """All servers are unfit."""

    def test_stay(self) -> None:
        """Everything stays; not one hook runs."""
        world = self.checked()
        before = self.starts(world, "flip"), self.starts(world, "flip1")
        self.ail(world, "flip", "flip1")
        world.run(10)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))
        assert_that(kinds(world["flip"]), has_item("nobody-fit"))
        started = self.starts(world, "flip") - before[0] + self.starts(world, "flip1") - before[1]
        # The one whose checks are the first to fail may have let go before the other's did.
        assert_that(started, less_than(5))

    def test_one_after_the_other(self) -> None:
        """Where it is, not where it belongs."""
        world = self.checked()
        self.ail(world, "flip1")
        self.await_holdings(world, FLIP1_DOWN, 5)
        self.ail(world, "flip")
        world.run(10)
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        self.heal(world, "flip1")
        everything = {"flip": set[str](), "flip1": {ONE, TWO}, "flip2": set[str]()}
        self.await_holdings(world, everything, 5)

    def test_holder_dies(self) -> None:
        """What nobody has any more an unfit server takes: it may be better than nothing."""
        world = self.checked()
        self.ail(world, "flip", "flip1")
        world.run(5)
        world["flip1"].reboot()
        self.await_holdings(world, FLIP1_DOWN, 5)

    def test_all_start_unfit(self) -> None:
        """A cluster that starts with unfit servers serves all the same."""
        description = larger(3, 6)
        description["cluster"]["system"]["ip"] |= {"check": CHECK}
        world = self.cluster(description)
        self.ail(world, "n0", "n1", "n2")
        world.start()
        world.run_until(lambda: sum(counts(world).values()) == 6, SETTLING)
        world.run(5)
        assert_that(sum(counts(world).values()), equal_to(6))

    def test_release(self) -> None:
        """Or nobody serves it, if that is what the configuration says."""
        world = self.checked(all_unfit="release")
        self.ail(world, "flip", "flip1")
        self.await_holdings(world, {"flip": set(), "flip1": set(), "flip2": set()}, 5)
        self.heal(world, "flip", "flip1")
        self.await_holdings(world, ALL_ACTIVE, 5)


class FailbackTests(ChecksCase):
    """ "failback": "manual"."""

    def test_unfit(self) -> None:
        """What moved away stays there until an operator says otherwise."""
        world = self.checked(failback="manual")
        self.ail(world, "flip1")
        self.await_holdings(world, FLIP1_DOWN, 5)
        self.heal(world, "flip1")
        world.run(10)
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        assert_that(self.word(world, "flip1"), equal_to("RETURNED"))
        world["flip1"].running_node.parts.keeper.failback.undrain(("ip",))
        world.fault("drain of flip1", began=False)
        self.await_holdings(world, ALL_ACTIVE, HANDOFF)

    def test_crashed(self) -> None:
        """So it does after a crash, and after a restart of what came back."""
        world = self.checked(failback="manual")
        world["flip1"].reboot()
        self.await_holdings(world, FLIP1_DOWN, 5)
        for _ in range(2):
            world["flip1"].start()
            world.run(15)
            assert_that(holdings(world), equal_to(FLIP1_DOWN))
            assert_that(self.word(world, "flip1"), equal_to("RETURNED"))
            world["flip1"].reboot()
            world.run(5)

    def test_cold_start(self) -> None:
        """A cluster that starts is not kept from serving, whatever the order of the starts."""
        for order in itertools.permutations(("n0", "n1", "n2")):
            description = larger(3, 6)
            description["cluster"]["system"]["ip"] |= {"check": CHECK, "failback": "manual"}
            world = self.cluster(description)
            for id in order:
                world[id].start()
                world.run(0.05)
            world.run(SETTLING)
            assert_that(
                counts(world),
                equal_to(dict.fromkeys(order, 2)),
            )

    def test_all_restart(self) -> None:
        """So does one that was killed as a whole, and comes back."""
        world = self.three(failback="manual")
        for id in ("n0", "n1", "n2"):
            world[id].reboot()
        world.run(10)
        world.start()
        world.run(SETTLING)
        assert_that([*counts(world).values()], equal_to([2, 2, 2]))

    def test_voted_down(self) -> None:
        """A node that was cut off has nothing to take back."""
        world = self.three(failback="manual")
        world.cut(["n0"], ["n1", "n2"])
        world.run(8)
        world.heal()
        world.run(8)
        assert_that(counts(world)["n0"], equal_to(0))
        assert_that(self.word(world, "n0"), equal_to("RETURNED"))
        assert_that(sum(counts(world).values()), equal_to(6))

    def test_third_node(self) -> None:
        """Another server's coming and going moves nothing to one that has returned."""
        world = self.three(failback="manual")
        self.ail(world, "n0")
        world.run(5)
        self.heal(world, "n0")
        world.run(5)
        self.ail(world, "n1")
        world.run(5)
        assert_that(
            counts(world),
            equal_to({"n0": 0, "n1": 0, "n2": 6}),
        )
        self.heal(world, "n1")
        world.run(5)
        assert_that(
            counts(world),
            equal_to({"n0": 0, "n1": 0, "n2": 6}),
        )

    def test_keeper_dies(self) -> None:
        """When all who kept them out are gone both who returned serve, each its share."""
        world = self.three(failback="manual")
        for id in ("n0", "n1"):
            self.ail(world, id)
            world.run(5)
            self.heal(world, id)
            world.run(5)
        assert_that(len(holdings(world)["n2"]), equal_to(6))
        world["n2"].reboot()
        world.run(8)
        assert_that(
            counts(world),
            equal_to({"n0": 3, "n1": 3, "n2": 0}),
        )
        world["n2"].start()
        world.run(15)
        assert_that(
            counts(world),
            equal_to({"n0": 3, "n1": 3, "n2": 0}),
        )

    def test_after(self) -> None:
        """Or it comes back after a time."""
        world = self.checked(failback={"after": 5000})
        self.ail(world, "flip1")
        self.await_holdings(world, FLIP1_DOWN, 5)
        self.heal(world, "flip1")
        world.run(RISES + 4)
        assert_that(holdings(world), equal_to(FLIP1_DOWN))
        self.await_holdings(world, ALL_ACTIVE, 1 + HANDOFF)

    def test_status(self) -> None:
        """Its own reason says what to type."""
        world = self.checked(failback="manual")
        self.ail(world, "flip1")
        self.await_holdings(world, FLIP1_DOWN, 5)
        self.heal(world, "flip1")
        world.run(3)
        fitness = world["flip1"].running_node.parts.keeper.fitness
        assert_that(fitness.reasons("ip") or "", contains_string("flip undrain"))
