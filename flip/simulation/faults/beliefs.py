"""What befalls a node's view of the others: a failure detector that errs as badly as can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from flip.config import Config
from flip.config.places import shown
from flip.simulation.faults.fault import NodeFault

if TYPE_CHECKING:
    from flip.holdings.outlook import Outlook
    from flip.simulation.machine import Machine


@dataclass(frozen=True)
class Mistrust(NodeFault):
    """The node wants everything: what ordinary systems rely on is gone.

    The promise of exclusive systems must not depend on it.
    """

    kind: ClassVar[str] = "mistrust"
    example: ClassVar[str] = "flip1@5-20"
    meaning: ClassVar[str] = "the node takes all others for dead, whatever they say."

    def problems(self, config: Config) -> Iterator[str]:
        for node in self.nodes:
            names = config.servers[node].systems
            if not names or not all(config.systems[name].exclusive for name in names):
                yield f"{shown(node)} lists systems that are not exclusive, which rely on trust"

    can_happen: ClassVar[bool] = False

    def befall(self, machine: Machine) -> None:
        from flip.simulation.solitude import Alone  # and Twisted, of which the language has no need

        self._see(machine, Alone)

    def relieve(self, machine: Machine) -> None:
        from flip.holdings.outlook import Outlook

        self._see(machine, Outlook)

    def _see(self, machine: Machine, view: type[Outlook]) -> None:
        if machine.node is not None:
            keeper = machine.node.parts.keeper
            keeper.outlook.__class__ = view  # all that it has learnt stays, and is learnt on
            for system in keeper.systems.values():
                system.mark_all()
