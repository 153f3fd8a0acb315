"""Groups, preferences, weights and the topology `failover` in whole clusters."""

from __future__ import annotations

import copy
from typing import Any

from hamcrest import assert_that, equal_to

from flip.simulation.world import World
from tests.cluster.case import (
    DETECTION,
    SETTLING,
    STORY,
    ClusterTestCase,
    at_rest,
    holdings,
    system,
)

HOOK = 0.04  # seconds that a hook takes, at most
MEMBERS = ("10.1.0.1", "10.1.0.2", "10.1.0.3")
WEB = {"id": "web", "members": list(MEMBERS)}


class GroupTestCase(ClusterTestCase):
    """The story with a group, web, of three members, at home on flip1, and a single data point."""

    def grouped(self, seed: int = 1, **settings: Any) -> World:
        world = self.cluster(system(data=[WEB, "10.1.0.9"], **settings), seed)
        world.start()
        self.await_holdings(world, {"flip": {"10.1.0.9"}, "flip1": {"web"}, "flip2": set()})
        world.run_until(lambda: at_rest(world), SETTLING)
        return world

    def live(self, world: World, id: str) -> list[str]:
        """The members of the group that are live on a machine."""
        return [member for member in MEMBERS if world[id].has(("ip", "web"), member)]


class GroupTests(GroupTestCase):
    """An ordinary system."""

    exclusive = False

    def setUp(self) -> None:
        super().setUp()
        self.world = self.grouped(exclusive=self.exclusive)

    def test_moves_together(self) -> None:
        """When its owner dies, another has all of it; when it returns, all of it goes back."""
        world = self.world
        assert_that(self.live(world, "flip1"), equal_to([*MEMBERS]))
        world["flip1"].reboot()
        self.await_holdings(world, {"flip": {"10.1.0.9", "web"}, "flip1": set(), "flip2": set()})
        world.run(3 * HOOK)
        assert_that(self.live(world, "flip"), equal_to([*MEMBERS]))
        world["flip1"].start()
        self.await_holdings(world, {"flip": {"10.1.0.9"}, "flip1": {"web"}, "flip2": set()})
        world.run(3 * HOOK)
        assert_that(
            [self.live(world, "flip"), self.live(world, "flip1")], equal_to([[], [*MEMBERS]])
        )

    def test_one_cannot_come_up(self) -> None:
        """Where one member cannot come up, none stays, and another node has all of them."""
        world = self.world
        world["flip"].failing.add(("alive", MEMBERS[1]))
        world["flip1"].reboot()
        world.run(DETECTION + 8)
        assert_that(self.live(world, "flip"), equal_to([]))
        world["flip1"].start()
        self.await_holdings(world, {"flip": {"10.1.0.9"}, "flip1": {"web"}, "flip2": set()})
        world.run(3 * HOOK)
        assert_that(self.live(world, "flip1"), equal_to([*MEMBERS]))

    def test_one_cannot_go_down(self) -> None:
        """Nobody else may take any of it, though all but one are down."""
        world = self.world
        world["flip1"].failing.add(("down", MEMBERS[1]))
        world["flip1"].leave()
        world.run(5)
        assert_that(self.live(world, "flip1"), equal_to([MEMBERS[1]]))
        assert_that(self.live(world, "flip"), equal_to([]))


class ExclusiveGroupTests(GroupTests):
    """An exclusive system: the guard runs the hooks."""

    exclusive = True

    def test_killed(self) -> None:
        """A guard whose daemon was killed lets go of all members within the lease."""
        world = self.world
        world["flip1"].kill()
        world.run(4 * HOOK)
        assert_that(self.live(world, "flip1"), equal_to([]))

    def test_frozen(self) -> None:
        """A guard whose daemon is frozen does, too, when its grants end."""
        world = self.world
        world["flip1"].freeze()
        self.await_holdings(world, {"flip": {"10.1.0.9", "web"}, "flip1": set(), "flip2": set()})
        world.run(3 * HOOK)
        assert_that(self.live(world, "flip"), equal_to([*MEMBERS]))


class ChangedTests(GroupTestCase):
    """A node that is restarted with another file."""

    def test_grown(self) -> None:
        """What its group was is let go of, and what it is now is taken."""
        world = self.grouped()
        grown = {"id": "web", "members": [*MEMBERS[:2], "10.1.0.4"]}
        new = world.configure(system(data=[grown, "10.1.0.9"]))
        for id in ("flip1", "flip", "flip2"):
            world[id].kill()
            world[id].start(world.configuration_of(id, new))
            world.run(SETTLING)
        assert_that(self.live(world, "flip1"), equal_to([*MEMBERS[:2]]))
        assert_that(world["flip1"].has(("ip", "web"), "10.1.0.4"), equal_to(True))
        assert_that(at_rest(world), equal_to(True))

    def test_split(self) -> None:
        """Data points of their own, that were a group, are live when all is said."""
        world = self.grouped()
        new = world.configure(system(data=[*MEMBERS, "10.1.0.9"]))
        for id in ("flip1", "flip", "flip2"):
            world[id].kill()
            world[id].start(world.configuration_of(id, new))
            world.run(SETTLING)
        served = {datum for data in holdings(world).values() for datum in data}
        assert_that(served, equal_to({*MEMBERS, "10.1.0.9"}))
        assert_that(self.live(world, "flip1"), equal_to([]))


class FailoverTests(ClusterTestCase):
    """The topology `failover`: all of it on one server."""

    def test_story(self) -> None:
        """All follow the first in order that is up."""
        data = [f"d{n}" for n in range(6)]
        for exclusive in (False, True):
            world = self.cluster(system(data=data, type="failover", exclusive=exclusive))
            world.start()
            all_on_first = {"flip": set(), "flip1": set(data), "flip2": set()}
            self.await_holdings(world, all_on_first)
            world["flip1"].reboot()
            self.await_holdings(world, {"flip": set(data), "flip1": set(), "flip2": set()})
            world["flip1"].start()
            self.await_holdings(world, all_on_first)


class UnevenTests(ClusterTestCase):
    """Weights and preferences, as the nodes divide."""

    def test_weight(self) -> None:
        """A server of twice the weight has twice as much, and gets it back."""
        description = copy.deepcopy(STORY)
        description["servers"]["flip"]["weight"] = 2
        data = [f"d{n}" for n in range(6)]
        description["cluster"]["system"]["ip"]["data"] = data
        world = self.cluster(description)
        world.start()
        shares = {"flip": 4, "flip1": 2, "flip2": 0}
        world.run_until(lambda: counts(world) == shares, SETTLING)
        world["flip"].reboot()
        world.run_until(lambda: counts(world) == {"flip": 0, "flip1": 6, "flip2": 0}, SETTLING)
        world["flip"].start()
        world.run_until(lambda: counts(world) == shares, SETTLING)

    def test_preference(self) -> None:
        """A preferred server has its data points whenever it is up."""
        data = ["a", {"id": "b", "prefer": "flip"}, {"id": "c", "prefer": "flip"}, "d"]
        world = self.cluster(system(data=data))
        world.start()
        home = {"flip": {"b", "c"}, "flip1": {"a", "d"}, "flip2": set()}
        self.await_holdings(world, home)
        world["flip"].reboot()
        self.await_holdings(world, {"flip": set(), "flip1": set("abcd"), "flip2": set()})
        world["flip"].start()
        self.await_holdings(world, home)


def counts(world: World) -> dict[str, int]:
    return {id: len(data) for id, data in holdings(world).items()}
