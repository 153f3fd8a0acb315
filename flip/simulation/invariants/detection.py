"""What members think of one another, against what is so."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flip.membership.roster import State
from flip.simulation.invariants.invariant import Invariant
from flip.simulation.invariants.truth import Truth, rotation

if TYPE_CHECKING:
    from flip.config import Config
    from flip.simulation.machine import Machine
    from flip.simulation.world import World

SLACK = 0.1  # seconds in which the calls of several moments are made


def refutation_bound(config: Config, round_trip: float) -> float:
    """Seconds after which nobody who can be reached is down any more (invariant 1).

    `rotation + round trip`: within a rotation the two exchange a ping, which
    carries the votes to the suspect, and the answer carries its refutation back.
    """
    return rotation(config) + round_trip + SLACK


def detection_bound(config: Config, stretch: int = 1) -> float:
    """Seconds after which a dead member is down at all members of the quorum side (invariant 2).

    `rotation + ping_timeout * stretch` until the first probe that began after the
    death has failed, and `ping_timeout * stretch` for those that hear of the vote
    then and probe for themselves.

    :param stretch: how many times as long probes take, by the voters' health.
    """
    return rotation(config) + 2 * config.ping_timeout * stretch + SLACK


class FalseDown(Invariant):
    """Invariant 1: a live member that can be reached does not stay down.

    No running member has another one down, for longer than `refutation_bound`
    after nothing was broken or mended any more, if the two run and reach each
    other directly and the one that is down reaches a quorum, itself included.
    Random loss of packets has no bound in seconds and is left out here;
    `flip.simulation.bounds` measures that no member is ever down under it.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._down: dict[tuple[str, str], float] = {}  # (by whom, who), since when
        self._due = math.inf
        self._epoch = -1

    def member_changed(self, machine: Machine, member: str, before: State, after: State) -> None:
        """Keep who is down at whom."""
        if after is State.DOWN and machine.id != member:
            self._down[machine.id, member] = self.world.now
            self._epoch = -1
        elif before is State.DOWN:
            self._down.pop((machine.id, member), None)

    def process_changed(self, machine: Machine) -> None:
        """What an ended process thought is gone with it."""
        if machine.node is None:
            for pair in [pair for pair in self._down if pair[0] == machine.id]:
                del self._down[pair]

    def stepped(self, world: World) -> None:
        """Look when the first of them is overdue."""
        if self._down and (self._epoch != self.truth.epoch or world.now > self._due):
            self._epoch = self.truth.epoch
            self._look()

    def _look(self) -> None:
        world, truth = self.world, self.truth
        bound = refutation_bound(world.base, truth.round_trip)
        self._due = math.inf
        for (by, member), since in self._down.items():
            due = max(since, truth.changed) + bound
            if truth.lossy:
                self._due = min(self._due, world.now + bound)
            elif self._must_know(by, member):
                if world.now > due:
                    raise self.violated(
                        f"{member} runs and is down at {by}, which it has reached for {bound:.3f} s"
                    )
                self._due = min(self._due, due)

    def _must_know(self, by: str, member: str) -> bool:
        machines = self.world.machines
        return (
            machines[by].running
            and machines[member].running
            and self.truth.mutual(by, member)
            and self.truth.neighbours(member).bit_count() >= self.world.base.quorum
        )


class MissedDown(Invariant):
    """Invariant 2: a member that is gone is down at every member of the quorum side.

    The quorum side: running members, at least a quorum of them, that all reach
    one another and nobody else. Gone: its process has ended or is frozen, or no
    packet gets from it to them or from them to it. When nothing was broken or
    mended for `rotation + detection_bound` (the first rotation is for members
    that were cut off themselves to be in touch again), with the largest stretch of
    their healths, it is down (or left) at all of them. Not counted: while packets
    are lost at random.

    This is what always holds; `flip.simulation.bounds` measures by which time a
    killed member is down in 99 of 100 runs.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._epoch = -1
        self._due = 0.0
        self._stretch = 1

    def stepped(self, world: World) -> None:
        """Look once after every change."""
        if self._epoch != self.truth.epoch:
            self._epoch = self.truth.epoch
            self._stretch = self._sickest()
            self._due = self.truth.changed + self._bound(self._stretch)
        elif world.now > self._due:
            self._look()

    def _bound(self, stretch: int) -> float:
        config = self.world.base
        return rotation(config) + detection_bound(config, stretch) + config.gossip_interval

    def _sickest(self) -> int:
        nodes = (machine.node for machine in self.truth.running())
        return max((node.parts.membership.health.stretch for node in nodes if node), default=1)

    def _look(self) -> None:
        stretch = max(self._stretch, self._sickest())
        if stretch > self._stretch or self.truth.lossy:
            self._stretch = stretch
            self._due = self.world.now + self._bound(stretch)
            return
        self._due = math.inf
        side = self.truth.quorum_side()
        for member in self.world.machines:
            if member not in side and all(self._gone(member, id) for id in side):
                self._judge(member, side)

    def _gone(self, member: str, id: str) -> bool:
        truth = self.truth
        runs = self.world.machines[member].running
        return not (runs and (truth.passes(member, id) or truth.passes(id, member)))

    def _judge(self, member: str, side: list[str]) -> None:
        for id in side:
            state = self.world.machines[id].state(member)
            if state not in (State.DOWN, State.LEFT):
                raise self.violated(
                    f"{member} is gone for {self.truth.calm:.3f} s and {state.value} at {id}"
                )
