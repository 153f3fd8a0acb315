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
from twisted.internet.error import (
    CannotListenError,
    ConnectionAborted,
    ConnectionDone,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import IDelayedCall, ITCPTransport, IUDPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

Address = tuple[str, int]

LATENCY = 0.0005, 0.002  # seconds, the least and the most, of a network in good order


class Reactor(Protocol):
    """What the network needs of a host's reactor."""

    address: str
    dead: bool

    def callLater(
        self, delay: float, callable: Callable[..., Any], /, *args: Any
    ) -> IDelayedCall: ...

    def deliver(self, arrival: Callable[[], None]) -> None: ...


class Network:
    """Everything between the hosts.

    :param schedule: calls a function after so many seconds.
    :ivar latency: seconds, the least and the most; a wide range reorders.
    :ivar loss: the chance that a datagram is lost.
    :ivar duplication: the chance that it arrives twice.
    :ivar changes: how often something was cut or healed.
    """

    def __init__(
        self, schedule: Callable[[float, Callable[[], None]], object], rng: random.Random
    ) -> None:
        self.latency = LATENCY
        self.loss = 0.0
        self.duplication = 0.0
        self.changes = 0
        self.udp_only = False
        self.sent: Counter[str] = Counter()
        self._schedule = schedule
        self._rng = rng
        self._cut: set[tuple[str, str]] = set()
        self._holding: set[tuple[str, str]] = set()
        self._held: list[tuple[Address, bytes, Address]] = []
        self._udp: dict[Address, _UDPPort] = {}
        self._tcp: dict[Address, _TCPPort] = {}

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

    def passes(self, source: str, target: str) -> bool:
        """Whether packets get from one address to another."""
        return source == target or (source, target) not in self._cut

    def hold_up(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Keep the datagrams from `sources` to `targets` until `let_through`."""
        self._holding |= set(product(sources, targets))

    def let_through(self) -> None:
        """Deliver what was held up, all of it now."""
        self._holding.clear()
        held, self._held = self._held, []
        for source, packet, target in held:
            if self.passes(source[0], target[0]):
                self._schedule(self._delay(), partial(self.arrive, source, packet, target))

    def _delay(self) -> float:
        return self._rng.uniform(*self.latency)

    def open_udp(self, reactor: Reactor, address: Address, protocol: Any) -> _UDPPort:
        if address in self._udp:
            raise CannotListenError(*address, OSError("address in use"))
        port = self._udp[address] = _UDPPort(self, reactor, address, protocol)
        return port

    def open_tcp(self, reactor: Reactor, address: Address, factory: Any) -> _TCPPort:
        if address in self._tcp:
            raise CannotListenError(*address, OSError("address in use"))
        port = self._tcp[address] = _TCPPort(self, reactor, address, factory)
        return port

    def close(self, port: _UDPPort | _TCPPort) -> None:
        ports: dict[Address, Any] = self._udp if isinstance(port, _UDPPort) else self._tcp
        if ports.get(port.address) is port:
            del ports[port.address]

    def send_datagram(self, source: Address, packet: bytes, target: Address) -> None:
        self.sent[source[0]] += 1
        if (source[0], target[0]) in self._holding:
            self._held.append((source, packet, target))
            return
        copies = 1 + (self._rng.random() < self.duplication)
        for _ in range(copies):
            if self.passes(source[0], target[0]) and self._rng.random() >= self.loss:
                self._schedule(self._delay(), lambda: self.arrive(source, packet, target))

    def arrive(self, source: Address, packet: bytes, target: Address) -> None:
        """A datagram reaches its target, if anybody listens there."""
        port = self._udp.get(target)
        if port is not None:
            port.reactor.deliver(lambda: port.receive(packet, source))

    def connect_tcp(
        self, reactor: Reactor, target: Address, factory: Any, timeout: float
    ) -> _Connector:
        connector = _Connector(reactor, factory, target, timeout)

        def answer() -> None:
            port = self._tcp.get(target)
            here = reactor.address
            if not self.passes(here, target[0]) or not self.passes(target[0], here):
                return
            if self.udp_only or port is None or port.reactor.dead:
                if not self.udp_only:
                    reactor.deliver(lambda: connector.fail(ConnectionRefusedError()))
                return
            near, far = _Stream(self, reactor, target[0]), _Stream(self, port.reactor, here)
            near.peer, far.peer = far, near
            port.reactor.deliver(lambda: far.open(port.factory.buildProtocol(_address(here, 1))))
            reactor.deliver(lambda: connector.succeed(near))

        self._schedule(2 * self._delay(), answer)
        return connector

    def send_bytes(self, source: str, target: str, arrival: Callable[[], None]) -> None:
        """TCP: in order and never lost, unless the path is cut."""
        if self.passes(source, target) and self.passes(target, source) and not self.udp_only:
            self._schedule(self.latency[1], arrival)


def _address(host: str, port: int) -> IPv4Address:
    return IPv4Address("TCP", host, port)


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
        self._network.close(self)

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


class _TCPPort:
    def __init__(self, network: Network, reactor: Reactor, address: Address, factory: Any) -> None:
        self.address = address
        self.reactor = reactor
        self.factory = factory
        self._network = network

    def close(self) -> None:
        self._network.close(self)

    def stopListening(self) -> Deferred[None]:
        self.close()
        return succeed(None)


class _Connector:
    def __init__(self, reactor: Reactor, factory: Any, target: Address, timeout: float) -> None:
        self._factory = factory
        self._target = target
        self._over = False
        self._timeout = reactor.callLater(timeout, self.fail, TimeoutError())
        factory.doStart()
        factory.startedConnecting(self)

    def getDestination(self) -> IPv4Address:
        return _address(*self._target)

    def succeed(self, stream: _Stream) -> None:
        if self._finish():
            stream.open(self._factory.buildProtocol(_address(*self._target)))

    def fail(self, error: Exception) -> None:
        if self._finish():
            self._factory.clientConnectionFailed(self, Failure(error))

    def stopConnecting(self) -> None:
        self.fail(ConnectionAborted())

    disconnect = stopConnecting

    def _finish(self) -> bool:
        if self._over:
            return False
        self._over = True
        if self._timeout.active():
            self._timeout.cancel()
        return True


@implementer(ITCPTransport)
class _Stream:
    """One end of a connection."""

    disconnecting = False

    def __init__(self, network: Network, reactor: Reactor, peer_address: str) -> None:
        self.peer: _Stream
        self._network = network
        self._reactor = reactor
        self._peer_address = peer_address
        self._protocol: Any = None
        self._early: list[bytes] = []
        self._closed = False

    def open(self, protocol: Any) -> None:
        if protocol is None:
            self.abortConnection()
            return
        self._protocol = protocol
        protocol.makeConnection(self)
        for data in self._early:
            protocol.dataReceived(data)

    def write(self, data: bytes) -> None:
        if not self._closed and not self.disconnecting and not self._reactor.dead:
            self._to_peer(lambda: self.peer._receive(data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if not self.disconnecting:
            self.disconnecting = True
            self._to_peer(lambda: self.peer._end(ConnectionDone()))
            self._reactor.callLater(0, self._end, ConnectionDone())

    def abortConnection(self) -> None:
        self._to_peer(lambda: self.peer._end(ConnectionAborted()))
        self._reactor.callLater(0, self._end, ConnectionAborted())

    def getPeer(self) -> IPv4Address:
        return _address(self._peer_address, 0)

    def getHost(self) -> IPv4Address:
        return _address(self._reactor.address, 0)

    def getTcpNoDelay(self) -> bool:
        return True

    getTcpKeepAlive = getTcpNoDelay

    def setTcpNoDelay(self, enabled: bool) -> None:
        pass

    setTcpKeepAlive = setTcpNoDelay

    def loseWriteConnection(self) -> None:
        raise NotImplementedError("flip never half-closes")

    def _to_peer(self, arrival: Callable[[], None]) -> None:
        reactor = self.peer._reactor
        self._network.send_bytes(
            self._reactor.address, self._peer_address, lambda: reactor.deliver(arrival)
        )

    def _receive(self, data: bytes) -> None:
        if self._closed:
            return
        if self._protocol is None:
            self._early.append(data)
        else:
            self._protocol.dataReceived(data)

    def _end(self, reason: Exception) -> None:
        if not self._closed:
            self._closed = True
            if self._protocol is not None:
                self._protocol.connectionLost(Failure(reason))
