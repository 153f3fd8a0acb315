"""Tests for `flip.membership.port`."""

from __future__ import annotations

import errno
import socket
from typing import Any, cast

from hamcrest import assert_that, calling, contains_exactly, empty, equal_to, has_item, has_length
from hamcrest import raises as fails
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.port import (
    BURST,
    CS6,
    RECEIVE_BUFFER,
    SO_RCVBUFFORCE,
    GossipPort,
    enlarge,
    listen_udp,
    mark,
)

PEER = ("10.0.0.2", 2200)


class FakeSocket:
    """A socket that gives what is in `inbox` and keeps what it is told."""

    def __init__(self, family: int = socket.AF_INET) -> None:
        self.family = family
        self.inbox: list[bytes | OSError] = []
        self.sent: list[tuple[bytes, Any]] = []
        self.options: dict[tuple[int, int], int] = {}
        self.refuse: dict[int, OSError] = {}
        self.most = 212_992

    @property
    def typed(self) -> socket.socket:
        """This object, for those who ask for a real socket."""
        return cast(socket.socket, self)

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        if not self.inbox:
            raise BlockingIOError(errno.EAGAIN, "nothing there")
        arrival = self.inbox.pop(0)
        if isinstance(arrival, OSError):
            raise arrival
        return arrival[:size], PEER

    def sendto(self, datagram: bytes, address: Any) -> None:
        self.sent.append((datagram, address))

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if option in self.refuse:
            raise self.refuse[option]
        if option == socket.SO_RCVBUF and value > self.most:
            raise OSError(errno.ENOBUFS, "No buffer space available")
        self.options[level, option] = value

    def getsockopt(self, level: int, option: int) -> int:
        return self.options.get((level, option), 42_080)


class Listener(DatagramProtocol):
    """Keeps what arrives; fails where it is told to."""

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.failures: list[OSError] = []

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        self.received.append(datagram)
        if datagram == b"trip":
            raise ZeroDivisionError

    def receive_failed(self, error: OSError) -> None:
        self.failures.append(error)


class GossipPortTests(SynchronousTestCase):
    """Reading and writing."""

    def setUp(self) -> None:
        self.listener = Listener()
        self.port = GossipPort(2200, self.listener, "10.0.0.1", 8192, MemoryReactorClock())
        self.socket = FakeSocket()
        self.port.socket = self.socket.typed

    def test_timers_get_their_turn(self) -> None:
        """A flood, if of empty datagrams, is read in bursts."""
        self.socket.inbox = [b""] * (BURST + 7)
        self.port.doRead()
        assert_that(self.listener.received, has_length(BURST))
        self.port.doRead()
        assert_that(self.listener.received, has_length(BURST + 7))

    def test_error_in_place_of_a_datagram(self) -> None:
        """What the kernel reports does not close the port."""
        error = OSError(errno.EHOSTUNREACH, "No route to host")
        self.socket.inbox = [error, b"later"]
        self.port.doRead()
        self.port.doRead()
        assert_that(self.listener.failures, contains_exactly(error))
        assert_that(self.listener.received, equal_to([b"later"]))

    def test_bug(self) -> None:
        """Nor does an error in what handles a datagram; it is logged."""
        self.socket.inbox = [b"trip", b"later"]
        self.port.doRead()
        self.port.doRead()
        assert_that(self.flushLoggedErrors(ZeroDivisionError), has_length(1))
        assert_that(self.listener.received, equal_to([b"trip", b"later"]))

    def test_write(self) -> None:
        """A datagram goes to its address as it is."""
        self.port.write(b"datagram", PEER)
        assert_that(self.socket.sent, equal_to([(b"datagram", PEER)]))
        assert_that(calling(self.port.write).with_args(b"datagram"), fails(ValueError))


class ListenTests(SynchronousTestCase):
    """Which port it is."""

    def test_without_sockets(self) -> None:
        """A reactor that has no sockets is asked for its own kind of port."""
        asked: list[tuple[Any, ...]] = []

        class Reactor(Clock):
            def listenUDP(self, *args: Any, **named: Any) -> str:
                asked.append((*args, named["interface"]))
                return "a port"

        listener = Listener()
        assert_that(listen_udp(Reactor(), 2200, listener, "10.0.0.1"), equal_to("a port"))
        assert_that(asked, contains_exactly((2200, listener, "10.0.0.1")))


class SocketTests(SynchronousTestCase):
    """Options of the socket."""

    def test_as_root(self) -> None:
        """Who may exceeds the limit of the host."""
        self.patch(__import__("sys"), "platform", "linux")
        sock = FakeSocket()
        enlarge(sock.typed)
        assert_that(sock.options, equal_to({(socket.SOL_SOCKET, SO_RCVBUFFORCE): RECEIVE_BUFFER}))

    def test_as_anybody(self) -> None:
        """Who may not asks for as much as it gets."""
        self.patch(__import__("sys"), "platform", "linux")
        sock = FakeSocket()
        sock.refuse[SO_RCVBUFFORCE] = PermissionError(errno.EPERM, "Operation not permitted")
        sock.most = 10**9
        enlarge(sock.typed)
        assert_that(sock.options, equal_to({(socket.SOL_SOCKET, socket.SO_RCVBUF): RECEIVE_BUFFER}))

    def test_bsd(self) -> None:
        """Where too much is refused, less is asked for, and never less than there was."""
        self.patch(__import__("sys"), "platform", "freebsd14")
        sock = FakeSocket()
        enlarge(sock.typed)
        assert_that(sock.options, equal_to({(socket.SOL_SOCKET, socket.SO_RCVBUF): 131_072}))
        sock = FakeSocket()
        sock.most = 0
        enlarge(sock.typed)
        assert_that(sock.options, empty())

    def test_marked(self) -> None:
        """Both families are marked as network control; where that fails, gossip goes on."""
        four, six = FakeSocket(), FakeSocket(socket.AF_INET6)
        for sock in (four, six):
            mark(sock.typed)
        assert_that(four.options, equal_to({(socket.IPPROTO_IP, socket.IP_TOS): CS6}))
        assert_that(six.options, equal_to({(socket.IPPROTO_IPV6, socket.IPV6_TCLASS): CS6}))
        four.refuse[socket.IP_TOS] = PermissionError(errno.EPERM, "Operation not permitted")
        mark(four.typed)

    def test_real_socket(self) -> None:
        """A real socket takes both."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            enlarge(sock)
            mark(sock)
            assert_that(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= before)
            assert_that([sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS)], has_item(CS6))
