"""What befalls addresses and what they are on: links, interfaces, and what others do to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from flip.config import Config
from flip.config.places import meant, shown
from flip.errors import BadFault
from flip.simulation.faults import notation
from flip.simulation.faults.fault import Fault, NodeFault
from flip.simulation.faults.scoped import Scoped

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.world import World

STRANGER = "02:ff:ff:ff:ff:ff"  # its MAC


@dataclass(frozen=True)
class _OfInterface(Scoped):
    form: ClassVar[str] = "NODE[,NODE][/INTERFACE]@TIME[-TIME]"
    part: ClassVar[str] = "interface"
    lacking: ClassVar[str] = "has no addresses that flip itself sets"

    def parts(self, config: Config, node: str) -> Sequence[str]:
        from flip.simulation.placement import interfaces  # and Twisted

        return interfaces(config, node)


@dataclass(frozen=True)
class LinkDown(_OfInterface):
    """A cable is pulled out."""

    kind: ClassVar[str] = "link"
    example: ClassVar[str] = "flip1@20-40"
    meaning: ClassVar[str] = (
        "the link of an interface that has addresses is down; gossip takes another way."
    )

    def befall(self, machine: Machine, name: str) -> None:
        machine.stack.set_link(name, up=False)

    def relieve(self, machine: Machine, name: str) -> None:
        machine.stack.set_link(name, up=True)


@dataclass(frozen=True)
class Unplug(_OfInterface):
    """A network card that fails, a VLAN that is configured anew."""

    kind: ClassVar[str] = "unplug"
    example: ClassVar[str] = "flip1/eth0@20-40"
    meaning: ClassVar[str] = "an interface vanishes with its addresses, and comes back without."

    def befall(self, machine: Machine, name: str) -> None:
        machine.stack.pull_out(name)

    def relieve(self, machine: Machine, name: str) -> None:
        machine.stack.plug_in(name)


@dataclass(frozen=True)
class Vanish(Scoped):
    """Somebody takes away what is live, and tells nobody."""

    kind: ClassVar[str] = "vanish"
    form: ClassVar[str] = "NODE[,NODE][/DATUM]@TIME"
    example: ClassVar[str] = "flip1/192.168.0.2@20"
    meaning: ClassVar[str] = (
        "what is live of a data point is gone, and no hook took it away: an address that somebody"
        " removed."
    )
    part: ClassVar[str] = "data point that would be missed"
    lacking: ClassVar[str] = (
        "has nothing that would be missed: neither addresses that flip sets nor a `verify` hook"
    )

    def __post_init__(self) -> None:
        if self.span.end is not None:
            raise BadFault("it happens once, and has no end")

    @property
    def lasts(self) -> bool:
        return False

    def parts(self, config: Config, node: str) -> Sequence[str]:
        from flip.simulation.placement import provided

        systems = (config.systems[name] for name in config.servers[node].systems)
        return [
            datum
            for system in systems
            if provided(system) or system.verify is not None
            for datum in system.data
        ]

    def befall(self, machine: Machine, name: str) -> None:
        for point in sorted(machine.served):
            if point[1] == name:
                machine.take_away(point)

    def relieve(self, machine: Machine, name: str) -> None:
        raise AssertionError("it has no end")


@dataclass(frozen=True)
class Overrun(NodeFault):
    """More happens to links and addresses than a socket can hold."""

    kind: ClassVar[str] = "overrun"
    example: ClassVar[str] = "flip1@20-40"
    meaning: ClassVar[str] = (
        "half of what the kernel tells of links and addresses does not fit the socket."
    )

    def problems(self, config: Config) -> Iterator[str]:
        from flip.simulation.placement import interfaces

        for node in self.nodes:
            if not interfaces(config, node):
                yield f"{shown(node)} {_OfInterface.lacking}"

    def befall(self, machine: Machine) -> None:
        machine.overruns = 0.5

    def relieve(self, machine: Machine) -> None:
        machine.overruns = 0.0


@dataclass(frozen=True)
class Conflict(Fault):
    """Somebody outside of the cluster has an address of it.

    :ivar datum: the data point, in whatever system.
    """

    kind: ClassVar[str] = "conflict"
    form: ClassVar[str] = "DATUM@TIME[-TIME]"
    example: ClassVar[str] = "192.168.0.2@20-40"
    meaning: ClassVar[str] = "a machine that does not belong to the cluster answers for an address."

    datum: str

    @classmethod
    def parse(cls, text: str) -> Self:
        datum, span = notation.timed(text)
        return cls(span, datum)

    @property
    def rest(self) -> str:
        return f"{self.datum}@{self.span}"

    def problems(self, config: Config) -> Iterator[str]:
        from flip.simulation.placement import provided

        data = [d for system in config.systems.values() if provided(system) for d in system.data]
        if self.datum not in data:
            yield f"flip sets no address {shown(self.datum)}{meant(self.datum, data)}"

    def impose(self, world: World) -> None:
        for ip in self._addresses(world):
            world.segment.strangers[ip] = STRANGER

    def lift(self, world: World, others: Sequence[Fault]) -> None:
        for ip in self._addresses(world):
            world.segment.strangers.pop(ip, None)
        for other in others:
            if isinstance(other, Conflict):
                other.impose(world)

    def _addresses(self, world: World) -> Iterator[str]:
        from flip.simulation.placement import addresses_in

        for (_, datum), address in addresses_in(world.base):
            if datum == self.datum:
                yield address.ip
