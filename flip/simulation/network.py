"""An in-memory network: UDP and TCP with latency, loss, duplicates, reordering and cuts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from typing import Any, Protocol

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IDelayedCall, IUDPTransport
from zope.interface import implementer

from flip.simulation.distributions import Distribution, Uniform
from flip.simulation.streams import Address, Connector, Listener

LATENCY = Uniform(0.0005, 0.002)  # of a network in good order
OVERTAKEN = Uniform(0.0, 0.05)  # what a datagram takes longer that others overtake


class Reactor(Protocol):
    """What the network needs of a process's reactor."""

    address: str
    dead: bool
    streams: dict[Any, None]

    def callLater(
        self, delay: float, callable: Callable[..., Any], /, *args: Any
    ) -> IDelayedCall: ...

    def deliver(self, arrival: Callable[[], object]) -> None: ...

    def receive(self, arrival: Callable[[], object]) -> bool: ...


class Network:
    """Everything between the machines.

    :param schedule: calls a function after so many seconds.
    :ivar latency: seconds from one machine to another.
    :ivar loss: the chance that a packet is lost; TCP sends it again.
    :ivar duplication: the chance that a datagram arrives twice.
    :ivar reordering: the chance that later datagrams overtake one.
    :ivar udp_only: a firewall lets no TCP through.
    :ivar changes: how often something was cut or healed.
    :ivar sent: datagrams by the address that sent them.
    :ivar sent_bytes: bytes, of datagrams and of streams, by the address that sent them.
    """

    def __init__(
        self, schedule: Callable[[float, Callable[[], object]], object], rng: random.Random
    ) -> None:
        self.latency: Distribution = LATENCY
        self.loss = 0.0
        self.duplication = 0.0
        self.reordering = 0.0
        self.udp_only = False
        self.changes = 0
        self.sent: Counter[str] = Counter()
        self.sent_bytes: Counter[str] = Counter()
        self.schedule = schedule
        self._rng = rng
        self._cut: set[tuple[str, str]] = set()
        self._holding: set[tuple[str, str]] = set()
        self._held: list[tuple[Address, bytes, Address]] = []
        self._udp: dict[Address, _UDPPort] = {}
        self._tcp: dict[Address, Listener] = {}
        self._watchers: list[Callable[[Address, bytes, Address], None]] = []

    def cut(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Nothing gets from one of `sources` to one of `targets` any more."""
        self._cut |= set(product(sources, targets))
        self.changes += 1

    def heal(
        self, sources: Iterable[str] | None = None, targets: Iterable[str] | None = None
    ) -> None:
        """Undo cuts: all of them, or those from `sources` to `targets`."""
        self.changes += 1
        if sources is None or targets is None:
            self._cut.clear()
        else:
            self._cut -= set(product(sources, targets))

    @property
    def whole(self) -> bool:
        """Whether nothing is cut."""
        return not self._cut

    def passes(self, source: str, target: str) -> bool:
        """Whether packets get from one address to another."""
        return source == target or (source, target) not in self._cut

    def mutual(self, one: str, two: str) -> bool:
        """Whether packets get from each of two addresses to the other."""
        return self.passes(one, two) and self.passes(two, one)

    def carries(self, source: str, target: str) -> bool:
        """Whether a segment of TCP that is sent now arrives, and its acknowledgement as well."""
        return (
            not self.udp_only
            and self.mutual(source, target)
            and not (self.loss and self._rng.random() < self.loss)
        )

    def delay(self) -> float:
        """Seconds for one packet."""
        return self.latency.draw(self._rng)

    def watch(self, watcher: Callable[[Address, bytes, Address], None]) -> None:
        """Call `watcher` with the source, content and target of every datagram that is sent."""
        self._watchers.append(watcher)

    def hold_up(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Keep the datagrams from `sources` to `targets` until `let_through`."""
        self._holding |= set(product(sources, targets))

    def let_through(self) -> None:
        """Deliver what was held up, all of it now."""
        self._holding.clear()
        held, self._held = self._held, []
        for source, packet, target in held:
            if self.passes(source[0], target[0]):
                self.schedule(self.delay(), partial(self.arrive, source, packet, target))

    def open_udp(self, reactor: Reactor, address: Address, protocol: Any) -> _UDPPort:
        if address in self._udp:
            raise CannotListenError(*address, OSError("address in use"))
        port = self._udp[address] = _UDPPort(self, reactor, address, protocol)
        return port

    def close_udp(self, port: _UDPPort) -> None:
        if self._udp.get(port.address) is port:
            del self._udp[port.address]

    def open_tcp(self, reactor: Reactor, address: Address, factory: Any) -> Listener:
        if address in self._tcp:
            raise CannotListenError(*address, OSError("address in use"))
        port = self._tcp[address] = Listener(self, reactor, address, factory)
        return port

    def close_tcp(self, port: Listener) -> None:
        if self._tcp.get(port.address) is port:
            del self._tcp[port.address]

    def listener(self, address: Address) -> Listener | None:
        """Who accepts connections at an address."""
        return self._tcp.get(address)

    def connect_tcp(
        self, reactor: Reactor, target: Address, factory: Any, timeout: float
    ) -> Connector:
        connector = Connector(self, reactor, factory, target, timeout)
        connector.knock()
        return connector

    def send_datagram(self, source: Address, packet: bytes, target: Address) -> None:
        here, there = source[0], target[0]
        self.sent[here] += 1
        self.sent_bytes[here] += len(packet)
        for watcher in self._watchers:
            watcher(source, packet, target)
        if self._holding and (here, there) in self._holding:
            self._held.append((source, packet, target))
            return
        rng = self._rng
        copies = 2 if self.duplication and rng.random() < self.duplication else 1
        for _ in range(copies):
            if self.loss and rng.random() < self.loss:
                continue
            if self._cut and not self.passes(here, there):
                continue
            delay = self.latency.draw(rng)
            if self.reordering and rng.random() < self.reordering:
                delay += OVERTAKEN.draw(rng)
            self.schedule(delay, partial(self.arrive, source, packet, target))

    def arrive(self, source: Address, packet: bytes, target: Address) -> bool:
        """A datagram reaches its target, if anybody listens there; False: it was not seen yet."""
        port = self._udp.get(target)
        return port is not None and port.reactor.receive(partial(port.receive, packet, source))


@implementer(IUDPTransport)
class _UDPPort:
    def __init__(self, network: Network, reactor: Reactor, address: Address, protocol: Any) -> None:
        self.address = address
        self.reactor = reactor
        self._network = network
        self._protocol = protocol

    def write(self, packet: bytes, addr: Address | None = None) -> None:
        assert addr is not None
        if not self.reactor.dead:
            self._network.send_datagram(self.address, packet, addr)

    def receive(self, packet: bytes, source: Address) -> None:
        self._protocol.datagramReceived(packet, source)

    def close(self) -> None:
        self._network.close_udp(self)

    def stopListening(self) -> Deferred[None]:
        self.close()
        return succeed(None)

    def connect(self, host: str, port: int) -> None:
        raise NotImplementedError("flip never connects a UDP socket")

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", *self.address)

    def setBroadcastAllowed(self, enabled: bool) -> None:
        raise NotImplementedError("flip never broadcasts")

    def getBroadcastAllowed(self) -> bool:
        return False
