"""What is so in a simulated world, whatever its nodes believe."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flip.allocation.topology import TOPOLOGIES
from flip.simulation.observer import Observer

if TYPE_CHECKING:
    from flip.config import Config
    from flip.simulation.machine import Machine, Point
    from flip.simulation.world import World


CALLS = 4  # of a slow machine that a ping and its answer may have to wait for


def rotation(config: Config) -> float:
    """R of docs/detection.md: seconds within which a node probes every other member at least once.

    A member may be the first of one round and the last of the next, with
    2 (n - 1) - 1 probes from the one to the other, ping_per_interval a step.
    """
    others, step = len(config.servers) - 1, config.ping_per_interval
    steps = 1 if others <= step else math.ceil((2 * others - 1) / step)
    return steps * config.gossip_interval


class Truth(Observer):
    """Who runs, who reaches whom, and for how long nothing has changed about that.

    What is computed is kept until something changes: sets of machines are the
    bits of a number, so that a thousand of them cost little.

    :ivar changed: when something was last broken, or made whole.
    :ivar epoch: how often that has happened.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.changed = 0.0
        self.epoch = 0
        self._cuts = world.network.changes
        self._bits: dict[str, int] = {}
        self._sets: dict[str, int] = {}  # by id: the running machines that it reaches directly
        self._running = 0
        self._known = -1  # the epoch that these are of
        self._reached: dict[str, int] = {}  # whom each reaches, in the epoch that was looked at
        self._needed: dict[str, int] = {}  # how many each has to reach, then
        self._since: dict[str, float] = {}
        self._judged = -1

    def fault(self, text: str, began: bool) -> None:
        """Something was broken, or is whole again."""
        self._note()

    def process_changed(self, machine: Machine) -> None:
        """A process started, ended, froze or thawed."""
        self._note()

    def stepped(self, world: World) -> None:
        """Notice cuts, and who reaches a quorum from now on."""
        if world.network.changes != self._cuts:
            self._cuts = world.network.changes
            self._note()
        if self._judged != self.epoch:
            self._judge()

    def _note(self) -> None:
        self.changed = self.world.now
        self.epoch += 1

    @property
    def calm(self) -> float:
        """Seconds since `changed`."""
        return self.world.now - self.changed

    @property
    def lossy(self) -> bool:
        """Whether packets may be lost, or come too late, without a cut: no bound in seconds holds.

        Too late: not before the next of a probe's six tries, on the way or in a slow machine.
        """
        late = self.answer_time > self.world.base.ping_timeout / 6
        return self.world.network.loss > 0 or late

    @property
    def answer_time(self) -> float:
        """Seconds, at most, until a ping is answered: on the way, and in slow machines."""
        slowest = max(machine.slowness for machine in self.world.machines.values())
        return self.round_trip + CALLS * slowest

    @property
    def round_trip(self) -> float:
        """Seconds, at most, from one node to another and back."""
        return 2 * self.world.network.latency.longest

    def single(self, point: Point) -> bool:
        """Whether a data point belongs to one node only."""
        system = self.world.base.systems.get(point[0])
        return system is not None and TOPOLOGIES[system.type].single_owner

    def passes(self, one: str, two: str) -> bool:
        """Whether packets get from one machine to another."""
        if self.world.network.whole:
            return True
        machines = self.world.machines
        return self.world.network.passes(machines[one].address, machines[two].address)

    def mutual(self, one: str, two: str) -> bool:
        """Whether two machines reach each other directly."""
        return self.passes(one, two) and self.passes(two, one)

    def running(self) -> Iterator[Machine]:
        """The machines whose process runs and is not frozen."""
        return (machine for machine in self.world.machines.values() if machine.running)

    def neighbours(self, id: str) -> int:
        """The running machines, itself included, that a machine reaches directly, as bits."""
        if self._known != self.epoch:
            self._known = self.epoch
            self._sets.clear()
            self._bits = {id: 1 << number for number, id in enumerate(self.world.machines)}
            self._running = sum(self._bits[id] for id in self._ids_running())
        known = self._sets.get(id)
        if known is None:
            if self.world.network.whole:
                known = self._running
            else:
                known = sum(
                    self._bits[other] for other in self._ids_running() if self.mutual(id, other)
                )
            known = self._sets[id] = known | self._bits[id]
        return known

    def _ids_running(self) -> Iterator[str]:
        # By its place in the world: a twin that bears another's id is a machine of its own.
        return (id for id, machine in self.world.machines.items() if machine.running)

    def ids(self, bits: int) -> list[str]:
        """The machines that bits stand for, in order."""
        return [id for id, bit in self._bits.items() if bits & bit]

    def reached(self, id: str) -> int:
        """The same, if only through one other (ping-req)."""
        near = self.neighbours(id)
        if near.bit_count() >= max(self.world.base.quorum, self.needed(id)):
            return near  # more would change nothing
        for other in self.ids(near):
            near |= self.neighbours(other)
        return near

    def isolated(self, id: str) -> bool:
        """Whether a machine reaches no quorum, by itself or with what an operator said."""
        if self._judged != self.epoch:
            self._judge()
        if id not in self._reached:
            return False
        node = self.world.machines[id].node
        confirmed = len(node.parts.membership.roster.confirmed) if node is not None else 0
        return self._reached[id].bit_count() + confirmed < self._needed[id]

    def needed(self, id: str) -> int:
        """How many machines, itself included, a machine has to reach: fewer with a witness."""
        base = self.world.base
        if base.witness is None:
            return base.quorum
        here, network = self.world.machines[id].address, self.world.network
        if any(network.mutual(here, witness) for witness in base.witness.addresses):
            return base.quorum - 1
        return max(base.quorum, len(base.servers) // 2 + 1)

    def alone(self, id: str) -> float:
        """For how many seconds a machine has reached the same few, and no quorum; 0 if it does."""
        return self.world.now - self._since[id] if self.isolated(id) else 0.0

    def _judge(self) -> None:
        self._judged = self.epoch
        for id in self.world.machines:
            reached, needed = self.reached(id), self.needed(id)
            if (self._reached.get(id), self._needed.get(id)) != (reached, needed):
                self._reached[id], self._needed[id] = reached, needed
                self._since[id] = self.world.now

    def quorum_side(self) -> list[str]:
        """Machines that all reach one another and nobody else, and are a quorum; or none."""
        for id in self._ids_running():
            side = self.neighbours(id)
            if side.bit_count() >= self.needed(id):
                ids = self.ids(side)
                return ids if all(self.neighbours(other) == side for other in ids) else []
        return []
