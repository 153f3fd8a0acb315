"""What operators say: that a node is to serve nothing, and that a server is off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flip.config import Config
from flip.config.places import shown
from flip.errors import BadFault, CannotConfirm
from flip.simulation.faults.fault import NodeFault
from flip.simulation.faults.scoped import Scoped

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World

PATIENCE = 0.5  # seconds until a command that no process takes is repeated


@dataclass(frozen=True)
class Drain(Scoped):
    """``flip drain``, and ``flip undrain``."""

    kind: ClassVar[str] = "drain"
    form: ClassVar[str] = "NODE[,NODE][/SYSTEM]@TIME[-TIME]"
    example: ClassVar[str] = "flip1/ip@20-40"
    meaning: ClassVar[str] = (
        "the operator drains a node, and takes that back at the second time; repeated until a"
        " process takes the command."
    )
    part: ClassVar[str] = "system"
    lacking: ClassVar[str] = "lists no system"

    def parts(self, config: Config, node: str) -> Sequence[str]:
        return config.servers[node].systems

    def befall(self, machine: Machine, name: str) -> None:
        self._want(machine, name, True)

    def relieve(self, machine: Machine, name: str) -> None:
        self._want(machine, name, False)

    def _want(self, machine: Machine, name: str, drained: bool) -> None:
        before = machine.drained.get(name)
        machine.drained[name] = drained
        if before is not drained:
            _drain(machine, name, drained)


def _drain(machine: Machine, name: str, drained: bool) -> None:
    """Give the command until it is taken, or another one was given."""
    if machine.drained[name] is not drained:
        return
    if machine.node is None or machine.reactor is None or machine.reactor.frozen:
        machine.world.schedule(PATIENCE, lambda: _drain(machine, name, drained))
        return
    machine.obeyed[name] = machine.world.now
    failback = machine.node.parts.keeper.failback
    (failback.drain if drained else failback.undrain)((name,))


@dataclass(frozen=True)
class ConfirmDown(NodeFault):
    """``flip confirm-down``, at every node that runs."""

    kind: ClassVar[str] = "confirm-down"
    form: ClassVar[str] = "NODE[,NODE]@TIME"
    example: ClassVar[str] = "flip1@20"
    meaning: ClassVar[str] = (
        "the operator tells all nodes that run that these servers are off; they had better be."
    )

    def __post_init__(self) -> None:
        if self.span.end is not None:
            raise BadFault("it happens once, and has no end")

    @property
    def lasts(self) -> bool:
        return False

    def problems(self, config: Config) -> Iterator[str]:
        if len(self.nodes) == len(config.servers):
            yield "it names all servers: nobody is left to be told"

    def impose(self, world: World) -> None:
        for machine in world.machines.values():
            if machine.running and machine.id not in self.nodes:
                try:
                    machine.running_node.parts.membership.confirm_down(self.nodes)
                except CannotConfirm as error:
                    world.note(f"{machine.id} does not believe it: {error}")

    def befall(self, machine: Machine) -> None:
        raise AssertionError("it befalls the others")

    def relieve(self, machine: Machine) -> None:
        raise AssertionError("it has no end")


@dataclass(frozen=True)
class NoWitness(NodeFault):
    """The way to the gateway is cut."""

    kind: ClassVar[str] = "no-witness"
    example: ClassVar[str] = "flip1@20-40"
    meaning: ClassVar[str] = "the node reaches no witness."

    def problems(self, config: Config) -> Iterator[str]:
        if config.witness is None:
            yield f"{shown(self.nodes[0])} has no witness to lose: none is configured"

    def befall(self, machine: Machine) -> None:
        for source, target in self._ways(machine):
            machine.world.network.cut(source, target)

    def relieve(self, machine: Machine) -> None:
        for source, target in self._ways(machine):
            machine.world.network.heal(source, target)

    def _ways(self, machine: Machine) -> Iterator[tuple[Sequence[str], Sequence[str]]]:
        witness = machine.world.base.witness
        witnesses = witness.addresses if witness is not None else ()
        yield (machine.address,), witnesses
        yield witnesses, (machine.address,)
