"""What befalls a node's view of the others: a failure detector that errs as badly as can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flip.holdings.outlook import NO_RIVALS, Outlook, Rivals
from flip.simulation.faults.fault import NodeFault

if TYPE_CHECKING:
    from flip.simulation.machine import Machine


class _Alone(Outlook):
    """By this view nobody else is there, and nobody else claims anything."""

    def eligible(self, system: str) -> frozenset[str]:
        return frozenset(self._servers[system]) & {self._roster.me}

    def rivals(self, system: str, datum: str) -> Rivals:
        return NO_RIVALS


@dataclass(frozen=True)
class Mistrust(NodeFault):
    """The node wants everything: what ordinary systems rely on is gone.

    The promise of exclusive systems must not depend on it.
    """

    kind: ClassVar[str] = "mistrust"
    example: ClassVar[str] = "flip1@5-20"
    meaning: ClassVar[str] = "the node takes all others for dead, whatever they say."

    def befall(self, machine: Machine) -> None:
        self._see(machine, _Alone)

    def relieve(self, machine: Machine) -> None:
        self._see(machine, Outlook)

    def _see(self, machine: Machine, view: type[Outlook]) -> None:
        if machine.node is not None:
            keeper = machine.node.parts.keeper
            keeper.outlook.__class__ = view  # all that it has learnt stays, and is learnt on
            for system in keeper.systems.values():
                system.mark_all()
