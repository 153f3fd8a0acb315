"""The Ethernet segment that all machines are on: who answers for an address, and who says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flip.addresses.kernel import Address

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World


class Segment:
    """Carries announcements to the neighbours, and questions to the other machines.

    The neighbours, who use what the machines serve, are always reached. Machines reach one
    another as the network between them allows.

    :ivar strangers: by IP address, the MAC of somebody outside of the cluster who has it.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.strangers: dict[str, str] = {}

    def announce(self, machine: Machine, address: Address) -> None:
        """A machine tells its neighbours that an address is there."""
        point = machine.placement.point_of(address)
        if point is not None:
            for announced in self._world.observers.announced:
                announced(machine, point)

    def answers(self, asker: Machine, ip: str) -> Iterator[tuple[float, str]]:
        """Who answers a machine that asks for an address: after how many seconds, and its MAC.

        A kernel does, whatever the processes on its machine do.
        """
        network = self._world.network
        if ip in self.strangers:
            yield 2 * network.delay(), self.strangers[ip]
        for machine in self._world.machines.values():
            mac = machine.stack.mac_of(ip)
            passes = network.mutual(asker.address, machine.address)
            if machine is not asker and mac is not None and passes:
                yield 2 * network.delay(), mac
