"""What is so in a simulated world, whatever its nodes believe."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flip.simulation.observer import Observer

if TYPE_CHECKING:
    from flip.config import Config
    from flip.simulation.machine import Machine, Point
    from flip.simulation.world import World


def rotation(config: Config) -> float:
    """Seconds within which a node probes every other member at least once.

    A round takes ceil((n - 1) / ping_per_interval) steps, and a member may be the
    first of one and the last of the next.
    """
    steps = math.ceil((len(config.servers) - 1) / config.ping_per_interval)
    return max(1, 2 * steps - 1) * config.gossip_interval


class Truth(Observer):
    """Who runs, who reaches whom, and for how long nothing has changed about that.

    :ivar changed: when something was last broken, or made whole.
    :ivar epoch: how often that has happened.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.changed = 0.0
        self.epoch = 0
        self._cuts = world.network.changes

    def fault(self, text: str, began: bool) -> None:
        """Something was broken, or is whole again."""
        self._note()

    def process_changed(self, machine: Machine) -> None:
        """A process started, ended, froze or thawed."""
        self._note()

    def stepped(self, world: World) -> None:
        """Notice cuts."""
        if world.network.changes != self._cuts:
            self._cuts = world.network.changes
            self._note()

    def _note(self) -> None:
        self.changed = self.world.now
        self.epoch += 1

    @property
    def calm(self) -> float:
        """Seconds since `changed`."""
        return self.world.now - self.changed

    @property
    def lossy(self) -> bool:
        """Whether packets may be lost without a cut, so that no bound in seconds holds."""
        return self.world.network.loss > 0

    @property
    def round_trip(self) -> float:
        """Seconds, at most, from one node to another and back."""
        return 2 * self.world.network.latency.longest

    def single(self, point: Point) -> bool:
        """Whether a data point belongs to one node only."""
        system = self.world.base.systems.get(point[0])
        return system is not None and system.type == "shard"

    def passes(self, one: str, two: str) -> bool:
        """Whether packets get from one machine to another."""
        machines = self.world.machines
        return self.world.network.passes(machines[one].address, machines[two].address)

    def mutual(self, one: str, two: str) -> bool:
        """Whether two machines reach each other directly."""
        return self.passes(one, two) and self.passes(two, one)

    def running(self) -> Iterator[Machine]:
        """The machines whose process runs and is not frozen."""
        return (machine for machine in self.world.machines.values() if machine.running)

    def neighbours(self, id: str) -> frozenset[str]:
        """The running machines, itself included, that a machine reaches directly."""
        return frozenset(
            other.id for other in self.running() if other.id == id or self.mutual(id, other.id)
        )

    def reached(self, id: str) -> frozenset[str]:
        """The same, if only through one other member (ping-req)."""
        near = self.neighbours(id)
        return near.union(*(self.neighbours(other) for other in near))

    def quorum_side(self) -> frozenset[str]:
        """Machines that all reach one another and nobody else, and are a quorum; or none."""
        for machine in self.running():
            side = self.neighbours(machine.id)
            if len(side) >= self.world.base.quorum:
                return side if all(self.neighbours(id) == side for id in side) else frozenset()
        return frozenset()
