"""Nodes that run different configurations, for a while or by mistake (R7)."""

from __future__ import annotations

import copy
from typing import Any

from hamcrest import assert_that, contains_string, equal_to, has_key, less_than

from flip.allocation import plan
from flip.config import Config
from flip.simulation.world import World
from tests.cluster.case import (
    ALL_ACTIVE,
    ONE,
    SETTLING,
    STORY,
    TWO,
    ClusterTestCase,
    at_rest,
    holdings,
)
from tests.matchers import has_item, not_

THREE = "192.168.0.3"


def changed(**changes: Any) -> dict[str, Any]:
    """The story with another `data`, other priorities, or another `config_version`."""
    description = copy.deepcopy(STORY)
    if "data" in changes:
        description["cluster"]["system"]["ip"]["data"] = changes.pop("data")
    for id, priority in changes.pop("priorities", {}).items():
        description["servers"][id]["priority"] = priority
    return description | changes


def planned(config: Config) -> dict[str, set[str]]:
    return {id: set(data) for id, data in plan(config)["ip"].items()}


class RollingChangeTests(ClusterTestCase):
    """An operator changes the file and restarts the nodes one by one."""

    def roll(self, world: World, description: dict[str, Any], *, clean: bool) -> Config:
        """Restart every node with another configuration; returns that one."""
        base = world.configure(description)
        for id in world.machines:
            machine = world[id]
            if clean:
                machine.leave()
                world.await_end(machine, 10)
            else:
                machine.kill()
                world.run(0.5)
            machine.start(world.configuration_of(id, base))
            world.run(6)
        return base

    def test_more_data(self) -> None:
        """Data that is added is served once the nodes that know of it may plan."""
        for clean in (True, False):
            world = self.story()
            base = self.roll(world, changed(data=[TWO, ONE, THREE], config_version=1), clean=clean)
            self.await_holdings(world, planned(base))
            assert_that(at_rest(world), equal_to(True))
            assert_that(world.invariants.overlaps.longest, equal_to(0.0))

    def test_rest_stays(self) -> None:
        """A node of the old configuration keeps what the new one gives to nobody else.

        Until the claims of the restarted node are known it may hold anything: that
        blocks takers, but it is no claim that a holder has to yield to.
        """
        for clean in (True, False):
            world = self.story()
            machine = world["flip1"]
            if clean:
                machine.leave()
                world.await_end(machine, 10)
            else:
                machine.kill()
                world.run(0.5)
            base = world.configure(changed(data=[TWO, ONE, THREE], config_version=1))
            machine.start(world.configuration_of("flip1", base))
            for _ in range(60):
                world.run(0.1)
                assert_that(holdings(world)["flip"], has_item(ONE), "\n".join(world.history))

    def test_less_data(self) -> None:
        """Data that is removed from the file is let go of, with the hooks of the time (K5)."""
        for clean in (True, False):
            world = self.story()
            base = self.roll(world, changed(data=[ONE], config_version=1), clean=clean)
            self.await_holdings(world, planned(base))
            assert_that(holdings(world), equal_to({"flip": set(), "flip1": {ONE}, "flip2": set()}))

    def test_other_order(self) -> None:
        """Other priorities swap the owners, and never give a data point two of them."""
        for clean in (True, False):
            world = self.story()
            description = changed(priorities={"flip": 0, "flip1": 1}, config_version=1)
            base = self.roll(world, description, clean=clean)
            self.await_holdings(world, {"flip": {TWO}, "flip1": {ONE}, "flip2": set()})
            assert_that(planned(base), equal_to({"flip": {TWO}, "flip1": {ONE}, "flip2": set()}))
            assert_that(world.invariants.overlaps.longest, equal_to(0.0))

    def test_no_version(self) -> None:
        """It ends well without a config_version too."""
        world = self.story()
        base = self.roll(world, changed(data=[TWO, ONE, THREE]), clean=True)
        self.await_holdings(world, planned(base))
        world.run(5)
        assert_that(holdings(world), equal_to(planned(base)))


class DisagreementTests(ClusterTestCase):
    """Somebody forgot a node."""

    def disagreeing(self, forgotten: str, **changes: Any) -> World:
        """A cluster in which one node still has the story's file and all others a newer one."""
        world = self.cluster()
        base = world.configure(changed(**changes))
        for id in world.machines:
            world[id].start(None if id == forgotten else world.configuration_of(id, base))
        return world

    def test_alarm(self) -> None:
        """Every node says which members run another configuration, and who plans."""
        world = self.disagreeing("flip1", priorities={"flip": 0, "flip1": 1}, config_version=1)
        world.run(SETTLING)
        alarm = world["flip"].running_node.parts.keeper.difference.alarm
        assert_that(alarm, contains_string("flip1"))
        assert_that(alarm, contains_string("this node's plans"))
        alarm = world["flip1"].running_node.parts.keeper.difference.alarm
        assert_that(alarm, contains_string("another member's plans"))

    def test_alarm_ends(self) -> None:
        """The alarm is over when all run the same again."""
        world = self.disagreeing("flip1", config_version=1, data=[TWO])
        world.run(SETTLING)
        base = world.configure(changed(config_version=1, data=[TWO]))
        world["flip1"].kill()
        world["flip1"].start(world.configuration_of("flip1", base))
        world.run(SETTLING)
        for machine in world.machines.values():
            assert_that(machine.running_node.parts.keeper.difference.alarm, equal_to(""))

    def test_no_fight(self) -> None:
        """Two orders name two owners for one data point: it has one all the same (K3)."""
        for forgotten in ("flip", "flip1", "flip2"):
            for version in (0, 1):
                world = self.disagreeing(
                    forgotten, priorities={"flip": 0, "flip1": 1}, config_version=version
                )
                world.invariants.overlaps.limit = 0.2
                world.run(20)
                before = holdings(world)
                held = [datum for data in before.values() for datum in data]
                assert_that(len(held), equal_to(len(set(held))), f"{forgotten} {version}")
                for id in ("flip1", "flip"):
                    world[id].kill()
                    world.run(0.3)
                    world[id].start()
                    world.run(15)
                    held = [datum for data in holdings(world).values() for datum in data]
                    assert_that(len(held), equal_to(len(set(held))), f"{forgotten} {version} {id}")

    def test_newer_one_plans(self) -> None:
        """The higher config_version decides, and the others yield to its claims."""
        world = self.story()
        base = world.configure(changed(priorities={"flip": 0, "flip1": 1}, config_version=1))
        for id in ("flip", "flip2"):
            world[id].kill()
            world[id].start(world.configuration_of(id, base))
        world.run_until(lambda: TWO in world["flip"].held(), SETTLING)
        world.run(5)
        assert_that(TWO in world["flip1"].held(), equal_to(False))
        assert_that(world.invariants.overlaps.longest, less_than(0.2))


class ServersTests(ClusterTestCase):
    """Server lists that differ."""

    def test_unknown_member(self) -> None:
        """A node that the others do not list neither votes nor disturbs."""
        description = copy.deepcopy(STORY)
        description["servers"]["stranger"] = {"ip": "10.0.0.4", "port": 2200, "systems": ["ip"]}
        world = self.cluster(description)
        base = world.configure(STORY)
        for id in ("flip", "flip1", "flip2"):
            world[id].start(world.configuration_of(id, base))
        world["stranger"].start()
        world.run(SETTLING)
        expected = ALL_ACTIVE | {"stranger": set()}
        assert_that(holdings(world), equal_to(expected))
        roster = world["flip"].running_node.parts.membership.roster
        assert_that({member.id: member for member in roster}, not_(has_key("stranger")))
        dropped = world["flip"].running_node.parts.membership.protocol.traffic[
            "dropped_UnknownSender"
        ]
        assert_that(dropped > 0, equal_to(True))
