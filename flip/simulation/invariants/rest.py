"""Invariant 3: what is so when faults have stopped for long enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flip.allocation import plan
from flip.allocation.topology import TOPOLOGIES
from flip.membership.roster import State
from flip.simulation.invariants.invariant import Violation
from flip.wire.claims import Phase

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World


class Rest:
    """Whether all is as it must be when all processes run and no fault lasts.

    Every data point is served by the machines that the topology names and by no
    other, and the neighbours of a single owner send to it (R6); what a node claims
    it holds, and that is what its machine serves; the digests of all nodes agree;
    every member is alive to every other. And nobody will act by itself yet: no hook
    runs or, having failed, waits for another try, nobody keeps out of something
    for a time, and every voter may speak.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        machines = world.machines
        self._due = {
            (id, system): set(division[id])
            for system, division in plan(world.base).items()
            for id in machines
        }

    def reached(self) -> bool:
        """Whether nothing is left to say; asked after every step, so it gives up early."""
        return next(self.missing(), None) is None

    def missing(self) -> Iterator[str]:
        """What is not yet as it must be, in words; the cheapest questions come first."""
        machines = self._world.machines
        nodes = {id: machine.node for id, machine in machines.items()}
        digests = {node.parts.membership.roster.digest for node in nodes.values() if node}
        if len(digests) > 1:
            yield "the digests differ"
        yield from (f"{id} does not run" for id, node in nodes.items() if node is None)
        for (id, system), due in self._due.items():
            served = machines[id].held(system)
            if served != due:
                yield f"{id} serves {sorted(served)} of {system} in place of {sorted(due)}"
        yield from self._astray()
        for machine in machines.values():
            if machine.node is not None:
                yield from _untrue(machine)
                yield from _doubts(machine)
                yield from _pending(machine)

    def _astray(self) -> Iterator[str]:
        neighbours = self._world.invariants.neighbours
        for (id, system), due in self._due.items():
            if TOPOLOGIES[self._world.base.systems[system].type].single_owner:
                for datum in sorted(due):
                    there = neighbours.pointing.get((system, datum))
                    if there != id:
                        yield f"the neighbours look for {datum} of {system} at {there}, not at {id}"

    def violated(self, cause: AssertionError | None) -> Violation:
        """The error when it was not reached in time, or (`cause` None) did not last.

        What broke another rule meanwhile stays that.
        """
        if isinstance(cause, Violation) and cause.invariant != "awaited":
            return cause
        when = "it did not stay well" if cause is None else "all is not well in time"
        return self._world.violation(f"{when}: {'; '.join(self.missing())}", "Rest")


def _untrue(machine: Machine) -> Iterator[str]:
    for system, claims in machine.running_node.parts.membership.own.claims.items():
        for datum, phase in claims.items():
            if phase is not Phase.HELD or (system, datum) not in machine.served:
                yield f"{machine.id} claims {datum} of {system} ({phase.name})"


def _doubts(machine: Machine) -> Iterator[str]:
    roster = machine.running_node.parts.membership.roster
    for id in roster.others:
        if roster.state(id) is not State.ALIVE:
            yield f"{id} is {roster.state(id).value} at {machine.id}"


def _pending(machine: Machine) -> Iterator[str]:
    parts = machine.running_node.parts
    fitness = parts.keeper.fitness
    for system in fitness.ineligible:
        yield f"{machine.id} is ineligible for {system}: {fitness.reasons(system)}"
    for keeper in parts.keeper.systems.values():
        for datum, error in keeper.failures().items():
            yield f"{machine.id}: {datum}: {error}"
        for datum, holding in keeper.holdings.items():
            if holding.running is not None:
                yield f"{machine.id} runs {holding.running} for {datum}"
    if parts.silence.alarm:
        yield f"{machine.id}: {parts.silence.alarm}"
