"""Tests for `flip.demo.relay`, without sockets."""

from __future__ import annotations

import errno
from typing import Any

from hamcrest import assert_that, contains_exactly, empty, equal_to, is_
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError, ConnectionDone
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Protocol
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flip.demo.relay import HOST, TRIES, Link


class Datagrams:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.written: list[tuple[bytes, Any]] = []
        self.error: OSError | None = None

    def write(self, packet: bytes, address: Any) -> None:
        if self.error is not None:
            raise self.error
        self.written.append((packet, address))


class Port:
    """A listening port."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.open = True

    def getHost(self) -> Any:
        return self

    @property
    def port(self) -> int:
        return self.number

    def stopListening(self) -> None:
        self.open = False


class Reactor(MemoryReactorClock):
    """Hands out port numbers from 5001; those in `taken` are not free for UDP."""

    def __init__(self, taken: range = range(0)) -> None:
        super().__init__()
        self.taken = taken
        self.ports: list[Port] = []
        self.datagrams: Any = None

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        super().listenTCP(port, factory, backlog, interface)
        self.ports.append(Port(5001 + len(self.ports)))
        return self.ports[-1]

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> Any:
        if port in self.taken:
            raise CannotListenError(interface, port, OSError(errno.EADDRINUSE, "in use"))
        self.datagrams = protocol
        protocol.transport = Datagrams()
        udp = Port(port)
        self.ports.append(udp)
        return udp


class Peer(StringTransport):
    """What is at the other end of one of the link's connections."""

    protocol: Protocol

    def __init__(self, factory: IProtocolFactory) -> None:
        super().__init__()
        protocol = factory.buildProtocol(IPv4Address("TCP", HOST, 1234))
        assert isinstance(protocol, Protocol)
        self.protocol = protocol
        protocol.makeConnection(self)


class LinkTests(SynchronousTestCase):
    """What passes through a link."""

    def setUp(self) -> None:
        self.reactor = Reactor()
        self.link = Link(self.reactor)
        self.link.listen()
        self.link.destination = 4000

    def send(self, packet: bytes) -> None:
        self.reactor.datagrams.datagramReceived(packet, (HOST, 1234))

    def written(self) -> list[tuple[bytes, Any]]:
        sent: list[tuple[bytes, Any]] = self.reactor.datagrams.transport.written
        return sent

    def connect(self) -> Peer:
        """The sender connects."""
        return Peer(self.reactor.tcpServers[-1][1])

    def accept(self) -> Peer:
        """The receiver accepts the connection that the link makes."""
        host, port, factory, *_ = self.reactor.tcpClients[-1]
        assert_that((host, port), equal_to((HOST, self.link.destination)))
        return Peer(factory)

    def test_port(self) -> None:
        """It listens at one number for both, and on loopback only."""
        assert_that(self.link.port, equal_to(5001))
        assert_that([port.number for port in self.reactor.ports], contains_exactly(5001, 5001))
        assert_that(self.reactor.tcpServers[-1][3], equal_to(HOST))

    def test_taken(self) -> None:
        """A number that UDP cannot have is given back, and another one tried."""
        reactor = Reactor(taken=range(5001, 5003))
        link = Link(reactor)
        link.listen()
        assert_that(link.port, equal_to(5003))
        assert_that(
            [port.open for port in reactor.ports], contains_exactly(False, False, True, True)
        )

    def test_all_taken(self) -> None:
        """That has an end, and nothing stays open."""
        reactor = Reactor(taken=range(5001, 9000))
        self.assertRaises(CannotListenError, Link(reactor).listen)
        assert_that(len(reactor.ports), equal_to(TRIES))
        assert_that([port for port in reactor.ports if port.open], empty())

    def test_datagrams(self) -> None:
        """Datagrams go to where the receiver is now, whole and counted."""
        self.send(b"a")
        self.link.destination = 4001
        self.send(b"b" * 9000)
        expected = [(b"a", (HOST, 4000)), (b"b" * 9000, (HOST, 4001))]
        assert_that(self.written(), equal_to(expected))
        assert_that((self.link.passed, self.link.dropped), equal_to((2, 0)))

    def test_cut_datagrams(self) -> None:
        """While it is cut they vanish, and are not kept for later."""
        self.link.cut()
        self.send(b"a")
        self.link.heal()
        self.send(b"b")
        assert_that(self.written(), equal_to([(b"b", (HOST, 4000))]))
        assert_that((self.link.passed, self.link.dropped), equal_to((1, 1)))

    def test_full_buffer(self) -> None:
        """A datagram that cannot be sent is lost, no more."""
        self.reactor.datagrams.transport.error = OSError(errno.ENOBUFS, "no buffer")
        self.send(b"a")
        assert_that(self.link.dropped, equal_to(1))

    def test_connection(self) -> None:
        """What either end writes comes out of the other."""
        sender = self.connect()
        assert_that(sender.producerState, equal_to("paused"))
        receiver = self.accept()
        assert_that(sender.producerState, equal_to("producing"))
        sender.protocol.dataReceived(b"question")
        receiver.protocol.dataReceived(b"answer")
        assert_that(receiver.value(), equal_to(b"question"))
        assert_that(sender.value(), equal_to(b"answer"))

    def test_connection_ends(self) -> None:
        """When one end closes, so does the other."""
        sender, receiver = self.connect(), self.accept()
        sender.protocol.connectionLost(Failure(ConnectionDone()))
        assert_that(receiver.disconnecting, is_(True))
        receiver.protocol.connectionLost(Failure(ConnectionDone()))
        assert_that(self.link.ends, empty())

    def test_refused(self) -> None:
        """Where nobody listens, the sender is told."""
        sender = self.connect()
        _, _, factory, *_ = self.reactor.tcpClients[-1]
        connector = self.reactor.connectors[-1]
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
        assert_that(sender.disconnected, is_(True))

    def test_gave_up(self) -> None:
        """A sender that did not wait leaves no open connection behind."""
        sender = self.connect()
        sender.protocol.connectionLost(Failure(ConnectionDone()))
        receiver = self.accept()
        assert_that(receiver.disconnected, is_(True))

    def test_cut_connection(self) -> None:
        """A cut connection is silent and open; healed, it is reset: it has lost something."""
        sender, receiver = self.connect(), self.accept()
        self.link.cut()
        sender.protocol.dataReceived(b"question")
        receiver.protocol.dataReceived(b"answer")
        assert_that((receiver.value(), sender.value()), equal_to((b"", b"")))
        assert_that((sender.disconnected, receiver.disconnected), equal_to((False, False)))
        self.link.heal()
        assert_that((sender.disconnected, receiver.disconnected), equal_to((True, True)))

    def test_connection_while_cut(self) -> None:
        """A connection made meanwhile gets no answer, not even a refusal."""
        self.link.cut()
        sender = self.connect()
        assert_that(self.reactor.tcpClients, empty())
        assert_that(sender.disconnected, is_(False))
        self.link.heal()
        assert_that(sender.disconnected, is_(True))
        self.connect()
        assert_that(len(self.reactor.tcpClients), equal_to(1))

    def test_close(self) -> None:
        """Closed, nothing is left open."""
        sender, receiver = self.connect(), self.accept()
        self.successResultOf(self.link.close())
        assert_that([port for port in self.reactor.ports if port.open], empty())
        assert_that((sender.disconnected, receiver.disconnected), equal_to((True, True)))
