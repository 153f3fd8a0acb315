"""Relays on the paths between nodes, so that a path can be cut without any privilege."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol, connectionDone
from twisted.python.failure import Failure

HOST = "127.0.0.1"
LARGEST_DATAGRAM = 65536  # bytes; Twisted cuts longer ones than its limit silently
TRIES = 20  # at a port number that is free for UDP and for TCP


class Link:
    """The path from one node to another: a port that forwards UDP and TCP.

    :param reactor: UDP and TCP.
    :ivar port: where the sender finds it, once `listen` was called.
    :ivar destination: the receiver's port.
    :ivar passed: datagrams forwarded.
    :ivar dropped: datagrams that came while the link was cut.
    :ivar ends: of all connections that pass through now.
    """

    def __init__(self, reactor: Any) -> None:
        self.port = 0
        self.destination = 0
        self.passed = self.dropped = 0
        self.is_cut = False
        self.ends: set[_End] = set()
        self._reactor = reactor
        self._datagrams = _Datagrams(self)
        self._connections = _Connections(self)
        self._ports: list[Any] = []

    def listen(self) -> None:
        """Open the port.

        :raises CannotListenError: no port number was free for both.
        """
        for attempt in range(1, TRIES + 1):
            tcp = self._reactor.listenTCP(0, self._connections, interface=HOST)
            self.port = tcp.getHost().port
            try:
                udp = self._reactor.listenUDP(
                    self.port, self._datagrams, interface=HOST, maxPacketSize=LARGEST_DATAGRAM
                )
            except CannotListenError:
                tcp.stopListening()
                if attempt == TRIES:
                    raise
            else:
                self._ports = [tcp, udp]
                return

    def cut(self) -> None:
        """Let nothing through: packets vanish, connections stay open and silent."""
        self.is_cut = True

    def heal(self) -> None:
        """Let everything through again, except on connections that have lost something."""
        self._abort()
        self.is_cut = False

    def close(self) -> Deferred[Any]:
        """Close the port and all connections."""
        self._abort()
        ports, self._ports = self._ports, []
        return gatherResults([maybeDeferred(port.stopListening) for port in ports])

    def endpoint(self) -> TCP4ClientEndpoint:
        """The receiver's TCP port."""
        return TCP4ClientEndpoint(self._reactor, HOST, self.destination)

    def _abort(self) -> None:
        for end in list(self.ends):
            end.transport.abortConnection()


class _Datagrams(DatagramProtocol):
    """The UDP side of a link."""

    noisy = False
    transport: Any

    def __init__(self, link: Link) -> None:
        self._link = link

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if self._link.is_cut:
            self._link.dropped += 1
            return
        self._link.passed += 1
        try:
            self.transport.write(datagram, (HOST, self._link.destination))
        except OSError:
            # A full buffer: on a real network this datagram would be lost too.
            self._link.dropped += 1


class _End(Protocol):
    """One of the two ends of a connection that passes through a link."""

    transport: Any

    def __init__(self, link: Link, peer: _End | None = None) -> None:
        self.peer = peer
        self._link = link

    def connectionMade(self) -> None:
        self._link.ends.add(self)

    def dataReceived(self, data: bytes) -> None:
        if self.peer is not None and not self._link.is_cut:
            self.peer.transport.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._link.ends.discard(self)
        if self.peer is not None:
            self.peer.transport.loseConnection()

    def join(self, peer: _End) -> None:
        """Take what `peer` gets, no faster than it comes."""
        self.peer = peer
        self.transport.registerProducer(peer.transport, True)


class _Incoming(_End):
    """The end towards the sender; makes the other one."""

    def connectionMade(self) -> None:
        super().connectionMade()
        # Nothing can be passed on before there is somewhere to send it to.
        self.transport.pauseProducing()
        if not self._link.is_cut:
            outgoing = _End(self._link, self)
            connecting = connectProtocol(self._link.endpoint(), outgoing)
            connecting.addCallbacks(self._connected, lambda _: self.transport.abortConnection())

    def _connected(self, outgoing: _End) -> None:
        if self not in self._link.ends:
            outgoing.transport.abortConnection()
            return
        self.join(outgoing)
        outgoing.join(self)
        self.transport.resumeProducing()


class _Connections(Factory):
    """The TCP side of a link."""

    noisy = False

    def __init__(self, link: Link) -> None:
        self._link = link

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        return _Incoming(self._link)
