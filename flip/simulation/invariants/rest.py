"""Invariant 3: what is so when faults have stopped for long enough."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from flip.allocation import plan
from flip.allocation.plan import Plan
from flip.allocation.topology import TOPOLOGIES
from flip.holdings.eligibility import candidates
from flip.membership.roster import State
from flip.simulation.invariants.invariant import Violation
from flip.wire.claims import Phase
from flip.wire.standing import Standing

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World


class Rest:
    """Whether all is as it must be when all processes run and no fault lasts.

    Every data point is served, whole, by the machines that the topology names and by no
    other, by what the servers say of themselves: that they are fit, or (`failback` "manual")
    wait for an operator. The neighbours of a single owner send to it (R6); what a node claims
    it holds, and that is what its machine serves; the digests of all nodes agree;
    every member is alive to every other. And nobody will act by itself yet: no hook
    runs or, having failed, waits for another try, nobody keeps out of something
    for a time, and every voter may speak.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._plans: dict[tuple[tuple[str, tuple[str, ...]], ...], Plan] = {}

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
        division = self._division()
        for system, shares in division.items():
            for id, due in shares.items():
                served = machines[id].held(system)
                if served != set(due):
                    yield f"{id} serves {sorted(served)} of {system} in place of {sorted(due)}"
                for datum in served:
                    if not machines[id].whole((system, datum)):
                        yield f"{id} serves a part of {datum} of {system}"
        yield from self._astray(division)
        for machine in machines.values():
            if machine.node is not None:
                yield from _untrue(machine)
                yield from _doubts(machine)
                yield from _pending(machine)

    def _division(self) -> Plan:
        """What the topologies name, by what each node says of how well it can serve."""
        base, machines = self._world.base, self._world.machines
        unavailable = []
        for name, system in base.systems.items():
            servers = base.servers_of(name)
            standings = {id: machines[id].standing(name) for id in servers}
            chosen = candidates(standings, system.all_unfit).servers
            unavailable.append((name, tuple(id for id in servers if id not in chosen)))
        key = tuple(unavailable)
        if key not in self._plans:
            self._plans[key] = plan(base, dict(key))
        return self._plans[key]

    def _astray(self, division: Plan) -> Iterator[str]:
        neighbours = self._world.invariants.neighbours
        for system, shares in division.items():
            if TOPOLOGIES[self._world.base.systems[system].type].single_owner:
                for id, due in shares.items():
                    for datum in due:
                        there = neighbours.pointing.get((system, datum))
                        if there != id:
                            looked = f"the neighbours look for {datum} of {system} at {there}"
                            yield f"{looked}, not at {id}"

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
        waits_for_good = machine.config.systems[system].failback == math.inf
        if waits_for_good and machine.standing(system) is Standing.RETURNED:
            continue
        yield f"{machine.id} is ineligible for {system}: {fitness.reasons(system)}"
    for keeper in parts.keeper.systems.values():
        for datum, error in keeper.failures().items():
            yield f"{machine.id}: {datum}: {error}"
        for datum, holding in keeper.holdings.items():
            if holding.running is not None:
                yield f"{machine.id} runs {holding.running} for {datum}"
    if parts.silence.alarm:
        yield f"{machine.id}: {parts.silence.alarm}"
