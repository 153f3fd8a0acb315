"""TCP of the in-memory network: in order, sent again when lost, reset when a process dies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    ConnectionRefusedError,
    TimeoutError,
)
from twisted.internet.interfaces import ITCPTransport
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from flip.simulation.network import Network, Reactor

Address = tuple[str, int]

RETRANSMISSION = 0.2  # seconds, as in Linux; doubled each time
PATIENCE = 60.0  # seconds between two tries at which a sender gives up
SYN_RETRY = 1.0  # seconds until a connection request is sent again; doubled each time


def _address(host: str, port: int) -> IPv4Address:
    return IPv4Address("TCP", host, port)


class Listener:
    """A port that accepts connections."""

    def __init__(self, network: Network, reactor: Reactor, address: Address, factory: Any) -> None:
        self.address = address
        self.reactor = reactor
        self.factory = factory
        self._network = network

    def accept(self, host: str) -> Any:
        """The protocol for a connection from `host`, None when it is turned away."""
        return self.factory.buildProtocol(_address(host, 1))

    def close(self) -> None:
        self._network.close_tcp(self)

    def stopListening(self) -> Deferred[None]:
        self.close()
        return succeed(None)


class Connector:
    """A connection that is being made."""

    def __init__(
        self, network: Network, reactor: Reactor, factory: Any, target: Address, timeout: float
    ) -> None:
        self._network = network
        self._reactor = reactor
        self._factory = factory
        self._target = target
        self._over = False
        self._retry = SYN_RETRY
        self._timeout = reactor.callLater(timeout, self.fail, TimeoutError())
        factory.doStart()
        factory.startedConnecting(self)

    def getDestination(self) -> IPv4Address:
        return _address(*self._target)

    def knock(self) -> None:
        """Send a SYN, and again until something is answered or time is up."""
        network = self._network
        if self._over or self._reactor.dead:
            return
        if network.carries(self._reactor.address, self._target[0]):
            network.schedule(2 * network.delay(), self._answer)
        else:
            network.schedule(self._retry, self.knock)
            self._retry *= 2

    def _answer(self) -> None:
        listener = self._network.listener(self._target)
        near, here = self._reactor, self._reactor.address
        if self._over or near.dead:
            return
        if listener is None:
            near.deliver(partial(self.fail, ConnectionRefusedError()))
            return
        stream = Stream(self._network, near, self._target[0])
        peer = Stream(self._network, listener.reactor, here)
        stream.peer, peer.peer = peer, stream
        listener.reactor.deliver(
            lambda: peer.open(listener.factory.buildProtocol(_address(here, 1)))
        )
        near.deliver(partial(self.succeed, stream))

    def succeed(self, stream: Stream) -> None:
        if self._finish():
            stream.open(self._factory.buildProtocol(_address(*self._target)))
        else:
            stream.abortConnection()

    def fail(self, error: Exception) -> None:
        if self._finish():
            self._factory.clientConnectionFailed(self, Failure(error))

    def stopConnecting(self) -> None:
        self.fail(ConnectionAborted())

    def _finish(self) -> bool:
        if self._over:
            return False
        self._over = True
        if self._timeout.active():
            self._timeout.cancel()
        return True


@implementer(ITCPTransport)
class Stream:
    """One end of a connection."""

    disconnecting = False

    def __init__(self, network: Network, reactor: Reactor, peer_address: str) -> None:
        self.peer: Stream
        self._network = network
        self._reactor = reactor
        self._peer_address = peer_address
        self._protocol: Any = None
        self._early: list[bytes] = []
        self._closed = False
        self._queue: list[Callable[[], None]] = []  # what the other end has yet to see, in order
        self._sending = False
        self._retry = RETRANSMISSION
        reactor.streams[self] = None

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
            self._network.sent_bytes[self._reactor.address] += len(data)
            self._send(partial(self.peer._receive, data))

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        if not self.disconnecting:
            self.disconnecting = True
            self._send(partial(self.peer._end, ConnectionDone()))
            self._reactor.callLater(0, self._end, ConnectionDone())

    def abortConnection(self) -> None:
        if not self._closed:
            self.break_off()
            self._reactor.callLater(0, self._end, ConnectionAborted())

    def break_off(self, *, silently: bool = False) -> None:
        """Send nothing more but a reset, or (`silently`) not even that."""
        self._queue.clear()
        if not silently:
            self._send(partial(self.peer._end, ConnectionLost()))

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

    def _send(self, arrival: Callable[[], None]) -> None:
        self._queue.append(arrival)
        if not self._sending:
            self._sending = True
            self._transmit()

    def _transmit(self) -> None:
        network = self._network
        if network.carries(self._reactor.address, self._peer_address):
            self._retry = RETRANSMISSION
            arrivals, self._queue = self._queue, []
            network.schedule(network.delay(), partial(self._arrive, arrivals))
        elif self._retry <= PATIENCE:
            network.schedule(self._retry, self._transmit)
            self._retry *= 2

    def _arrive(self, arrivals: list[Callable[[], None]]) -> None:
        peer = self.peer
        if peer._reactor.dead:
            if not self._closed and not self._reactor.dead:
                self._reactor.deliver(partial(self._end, ConnectionLost()))  # reset by the peer
            return
        for arrival in arrivals:
            peer._reactor.deliver(arrival)
        self._sending = bool(self._queue)
        if self._queue:
            self._transmit()

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
            self._reactor.streams.pop(self, None)
            if self._protocol is not None:
                self._protocol.connectionLost(Failure(reason))
