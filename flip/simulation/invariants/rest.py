"""Invariant 3: what is so when faults have stopped for long enough."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flip.allocation import plan
from flip.membership.roster import State
from flip.wire.claims import Phase

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World


def at_rest(world: World) -> bool:
    """Whether nothing is `unrest` any more; the cheapest questions come first."""
    return next(unrest(world), None) is None


def unrest(world: World) -> Iterator[str]:
    """What is not yet as it must be, in words, when all processes run and no fault lasts.

    Every data point is served by the machines that the topology names and by no
    other; what a node claims it holds, and that is what its machine serves; the
    digests of all nodes agree; every member is alive to every other.
    """
    nodes = {id: machine.node for id, machine in world.machines.items()}
    digests = {node.parts.membership.roster.digest for node in nodes.values() if node is not None}
    if len(digests) > 1:
        yield "the digests differ"
    yield from (f"{id} does not run" for id, node in nodes.items() if node is None)
    expected = plan(world.base)
    for id, machine in world.machines.items():
        for system, division in expected.items():
            served, due = machine.held(system), set(division[id])
            if served != due:
                yield f"{id} serves {sorted(served)} of {system} in place of {sorted(due)}"
        if machine.node is not None:
            yield from _untrue(machine)
            yield from _doubts(machine)


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
