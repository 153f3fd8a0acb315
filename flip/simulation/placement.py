"""What the addresses on a machine make live there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

from flip.addresses.kernel import Address, Assigned, Link, Put, Remove
from flip.config import Config
from flip.config.values import System

if TYPE_CHECKING:
    from flip.simulation.machine import Machine, Point


def provided(system: System) -> bool:
    """Whether flip itself, and no hook, sets the addresses of a system."""
    return system.provider is not None


def addresses_in(config: Config, node: str | None = None) -> Iterator[tuple[Point, Address]]:
    """The addresses that flip sets, of all systems or of those that a node lists."""
    names = config.systems if node is None else config.servers[node].systems
    for name in names:
        system = config.systems[name]
        if provided(system):
            for datum, point in system.points.items():
                for member in point.members:
                    yield (name, datum), _address(member, point.config)


def _address(member: str, config: Mapping[str, Any]) -> Address:
    interface = ip_interface(member)
    prefix = interface.network.prefixlen
    if "/" not in member:
        prefix = config.get("prefix", prefix)
    return Address(config["interface"], str(interface.ip), prefix)


def interfaces(config: Config, node: str | None = None) -> list[str]:
    """The interfaces that these addresses are to be on."""
    return sorted({address.interface for _, address in addresses_in(config, node)})


class Placement:
    """Follows the stack of a machine: a data point is served there while one of its addresses
    is, also on a link that is down, which comes up again when it will."""

    def __init__(self, machine: Machine, config: Config) -> None:
        self._machine = machine
        self._points: dict[Address, Point] = {}
        self._addresses: dict[Point, list[Address]] = {}
        self.adopt(config)
        machine.stack.watch(self)
        machine.stack.lapsing = self._lapsing
        machine.stack.refuses = self._refuses

    def adopt(self, config: Config) -> None:
        """Learn which data points the addresses of a configuration belong to."""
        for point, address in addresses_in(config):
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

    def connected(self, system: str) -> bool:
        """Whether the links of all addresses of a system are up."""
        links = self._machine.stack.links
        needed = {one.interface for one, point in self._points.items() if point[0] == system}
        return all(name in links and links[name].up for name in needed)

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

    def _refuses(self, change: Put | Remove) -> bool:
        """Whether the kernel fails where a hook would."""
        point = self.point_of(change.address)
        event = "alive" if isinstance(change, Put) else "down"
        return point is not None and (event, point[1]) in self._machine.failing

    def _lapsing(self, address: Address) -> None:
        point, machine = self.point_of(address), self._machine
        if point is not None:
            for lapsed in machine.world.observers.lapsed:
                lapsed(machine, point)

    def link_changed(self, name: str, link: Link | None) -> None:
        machine = self._machine
        for link_changed in machine.world.observers.link_changed:
            link_changed(machine, name, link is not None and link.up)
