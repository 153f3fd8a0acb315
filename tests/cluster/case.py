"""What all cluster tests share: the story's cluster, and words for what it should look like."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from typing import Any

from hamcrest import assert_that, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.world import World

ONE, TWO = "192.168.0.1", "192.168.0.2"
STORY: dict[str, Any] = {
    "quorum": 2,
    "key": "secret",
    "servers": {
        "flip": {"ip": "10.0.0.1", "port": 2200, "systems": ["ip"]},
        "flip1": {"priority": 1, "ip": "10.0.0.2", "port": 2200, "systems": ["ip"]},
        "flip2": {"ip": "10.0.0.3", "port": 2200},
    },
    "cluster": {
        "system": {"ip": {"alive": "ip_up", "down": "ip_down", "type": "shard", "data": [TWO, ONE]}}
    },
}
ALL_ACTIVE = {"flip": {ONE}, "flip1": {TWO}, "flip2": set()}
FLIP1_DOWN = {"flip": {ONE, TWO}, "flip1": set(), "flip2": set()}

# With the story's settings: a probe begins within an interval, and has a timeout to fail in.
DETECTION = 1.0 + 1.5
SETTLING = 12.0  # seconds for any cluster of these tests to come to rest after the last fault


def larger(count: int, data: int, **settings: Any) -> dict[str, Any]:
    """A configuration of `count` servers that all hold the data of one system."""
    description = copy.deepcopy(STORY)
    description.pop("quorum")
    description["servers"] = {
        f"n{n}": {"ip": f"10.0.{n // 250}.{n % 250 + 1}", "port": 2200, "systems": ["ip"]}
        for n in range(count)
    }
    description["cluster"]["system"]["ip"]["data"] = [f"d{n}" for n in range(data)]
    return description | settings


def system(**settings: Any) -> dict[str, Any]:
    """The story with other settings of its system."""
    description = copy.deepcopy(STORY)
    description["cluster"]["system"]["ip"] |= settings
    return description


class ClusterTestCase(SynchronousTestCase):
    """A world that is taken down afterwards."""

    def cluster(self, description: Mapping[str, Any] = STORY, seed: int = 1) -> World:
        """A cluster of which no process runs yet."""
        world = World(description, seed)
        self.addCleanup(world.close)
        return world

    def story(self, seed: int = 1, **settings: Any) -> World:
        """The story's cluster, all active and at rest."""
        world = self.cluster(system(**settings), seed)
        world.start()
        world.run_until(lambda: holdings(world) == ALL_ACTIVE and at_rest(world), SETTLING)
        return world

    def expect(self, world: World, expected: Mapping[str, Collection[str]]) -> None:
        """Every machine serves this, and at rest."""
        assert_that(holdings(world), equal_to(expected), "\n".join(world.history))
        assert_that(at_rest(world), equal_to(True), "\n".join(world.history))

    def await_holdings(
        self, world: World, expected: Mapping[str, Collection[str]], limit: float = SETTLING
    ) -> float:
        """The seconds until every machine serves this."""
        return world.run_until(lambda: holdings(world) == expected, limit)


def holdings(world: World) -> dict[str, set[str]]:
    """What each machine really serves."""
    return {machine.id: machine.held() for machine in world.machines.values()}


def at_rest(world: World) -> bool:
    """Whether all running nodes know the same, and each holds what it wants and nothing else."""
    nodes = [machine.node for machine in world.machines.values() if machine.node is not None]
    digests = {node.parts.membership.roster.digest for node in nodes}
    return len(digests) == 1 and all(
        keeper.wanted == {d for d, phase in keeper.claims().items() if phase.name == "HELD"}
        and len(keeper.claims()) == len(keeper.wanted)
        for node in nodes
        for keeper in node.parts.keeper.systems.values()
    )
