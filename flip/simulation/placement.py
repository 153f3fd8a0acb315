"""What the addresses on a machine make live there."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_interface
from typing import TYPE_CHECKING

from flip.addresses.kernel import Address, Assigned, Link
from flip.config import Config
from flip.config.values import System

if TYPE_CHECKING:
    from flip.simulation.machine import Machine, Point


def provided(system: System) -> bool:
    """Whether flip itself, and no hook, sets the addresses of a system."""
    return getattr(system, "provider", None) is not None


def interfaces(config: Config) -> list[str]:
    """The interfaces that addresses are to be on."""
    return sorted({address.interface for _, address in _addresses(config)})


def _addresses(config: Config) -> Iterator[tuple[Point, Address]]:
    for name, system in config.systems.items():
        if provided(system):
            for datum in system.data:
                special = system.special.get(datum)
                members = (datum,) if special is None else special.members
                own = system.config if special is None else special.config
                for member in members:
                    ip = ip_interface(member).ip
                    prefix = own.get("prefix", ip.max_prefixlen)
                    yield (name, datum), Address(own["interface"], str(ip), prefix)


class Placement:
    """Follows the stack of a machine: a data point is served there while one of its addresses
    is, also on a link that is down, which comes up again when it will."""

    def __init__(self, machine: Machine, config: Config) -> None:
        self._machine = machine
        self._points: dict[Address, Point] = {}
        self._addresses: dict[Point, list[Address]] = {}
        self.adopt(config)
        machine.stack.watch(self)

    def adopt(self, config: Config) -> None:
        """Learn which data points the addresses of a configuration belong to."""
        for point, address in _addresses(config):
            if self._points.setdefault(address, point) == point:
                known = self._addresses.setdefault(point, [])
                if address not in known:
                    known.append(address)

    def point_of(self, address: Address) -> Point | None:
        """The data point that an address belongs to."""
        return self._points.get(address)

    def addresses_of(self, point: Point) -> list[Address]:
        """The addresses of a data point; none where hooks make it live."""
        return self._addresses.get(point, [])

    def whole(self, point: Point) -> bool:
        """Whether all of a data point's addresses are there, and can be reached."""
        return all(map(self._machine.stack.reachable, self.addresses_of(point)))

    def assigned(self, address: Address, assigned: Assigned) -> None:
        """Part of `flip.simulation.stack.Watcher`, as the next two."""
        point = self.point_of(address)
        if point is not None:
            self._machine.serve(point)

    def vanished(self, address: Address) -> None:
        point = self.point_of(address)
        if point is not None and not any(
            other in self._machine.stack for other in self.addresses_of(point)
        ):
            self._machine.cease(point)

    def link_changed(self, name: str, link: Link | None) -> None:
        machine = self._machine
        for link_changed in machine.world.observers.link_changed:
            link_changed(machine, name, link is not None and link.up)
