"""`flip.membership.ping` and `ping_socket`: pings without a network, and what is missing."""

from __future__ import annotations

import errno
import os
import random
import socket
import struct
from collections import deque
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, has_length, none
from twisted.internet.testing import MemoryReactor
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import CannotPing
from flip.membership import icmp
from flip.membership.ping import BURST, Ping
from flip.membership.ping_socket import IP_RECVERR, PingSocket, complaint, open_ping_socket
from flip.membership.port import CS6
from tests.membership.test_icmp import answer

GATEWAY, GATEWAY6 = "10.0.0.254", "fd00::1"


class FakeSocket:
    """Packets to be read, and what was sent."""

    def __init__(self, family: int) -> None:
        self.family = family
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.waiting: deque[tuple[bytes, tuple[Any, ...]] | OSError] = deque()
        self.reports: deque[tuple[int, tuple[str, int]]] = deque()
        self.refuses: OSError | None = None
        self.closed = False

    def sendto(self, packet: bytes, address: tuple[str, int]) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.sent.append((packet, address))

    def recvfrom(self, size: int) -> tuple[bytes, tuple[Any, ...]]:
        if not self.waiting:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        found = self.waiting.popleft()
        if isinstance(found, OSError):
            raise found
        return found

    def recvmsg(self, size: int, controls: int, flags: int) -> Any:
        if not self.reports:
            raise BlockingIOError(errno.EAGAIN, "nothing")
        number, address = self.reports.popleft()
        data = struct.pack("=IBBBBII", number, 2, 3, 1, 0, 0, 0) + bytes(16)
        return b"", [(socket.IPPROTO_IP, IP_RECVERR, data)], 0, address

    def fileno(self) -> int:
        return -1 if self.closed else 7

    def close(self) -> None:
        self.closed = True


class PingTests(SynchronousTestCase):
    """Over sockets that are not there."""

    raw = False

    def setUp(self) -> None:
        self.reactor = MemoryReactor()
        self.sockets: dict[int, FakeSocket] = {}
        self.refuses: Exception | None = None
        self.heard: list[tuple[str, int]] = []
        self.ping = Ping(self.reactor, random.Random(1), self.open)
        self.ping.start(lambda address, nonce: self.heard.append((address, nonce)))

    def open(self, family: int) -> PingSocket:
        if self.refuses is not None:
            raise self.refuses
        opened: Any = FakeSocket(family)
        self.sockets[family] = opened
        return PingSocket(opened, self.raw)

    @property
    def socket(self) -> FakeSocket:
        """The one of IPv4."""
        return self.sockets[socket.AF_INET]

    def read(self) -> None:
        """The reactor finds something to read."""
        for reader in self.reactor.getReaders():
            reader.doRead()

    def reply(self, at: int = -1, address: str = GATEWAY) -> None:
        """The answer to what was sent arrives."""
        packet = answer(icmp.V4, self.socket.sent[at][0])
        header = b"\x45" + bytes(19) if self.raw else b""
        self.socket.waiting.append((header + packet, (address, 0)))
        self.read()

    def test_round_trip(self) -> None:
        """A ping is sent to the address, and its answer is told of."""
        self.ping.ask(GATEWAY, 42)
        assert_that(self.socket.sent[0][1], equal_to((GATEWAY, 0)))
        self.reply()
        assert_that([self.heard, self.ping.trouble], equal_to([[(GATEWAY, 42)], None]))

    def test_families(self) -> None:
        """IPv6 has a socket of its own, and types of its own."""
        self.ping.ask(GATEWAY, 1)
        self.ping.ask(GATEWAY6, 2)
        assert_that({*self.sockets}, equal_to({socket.AF_INET, socket.AF_INET6}))
        packet, address = self.sockets[socket.AF_INET6].sent[0]
        assert_that([packet[0], address], equal_to([128, (GATEWAY6, 0)]))
        self.sockets[socket.AF_INET6].waiting.append((answer(icmp.V6, packet), (GATEWAY6, 0, 0, 0)))
        self.read()
        assert_that(self.heard, equal_to([(GATEWAY6, 2)]))

    def test_link_local(self) -> None:
        """An address of one link is told of with its link, as it was asked for."""
        name = socket.if_indextoname(1)
        self.ping.ask(f"fe80::1%{name}", 2)
        packet, _ = self.sockets[socket.AF_INET6].sent[0]
        self.sockets[socket.AF_INET6].waiting.append(
            (answer(icmp.V6, packet), ("fe80::1", 0, 0, 1))
        )
        self.read()
        assert_that(self.heard, equal_to([(f"fe80::1%{name}", 2)]))

    def test_sequence(self) -> None:
        """Each ping has the next number."""
        for nonce in range(3):
            self.ping.ask(GATEWAY, nonce)
        numbers = [int.from_bytes(packet[6:8], "big") for packet, _ in self.socket.sent]
        assert_that(numbers, equal_to([0, 1, 2]))

    def test_flood(self) -> None:
        """Rubbish is no answer, and the reactor gets its turn in between."""
        self.ping.ask(GATEWAY, 1)
        self.socket.waiting += [(b"rubbish" * n, ("192.0.2.1", 0)) for n in range(3 * BURST)]
        self.read()
        assert_that(self.socket.waiting, has_length(2 * BURST))
        assert_that(self.heard, empty())

    def test_no_permission(self) -> None:
        """What is missing is told, and tried again: the sysctl may be set meanwhile."""
        self.refuses = CannotPing("It takes CAP_NET_RAW.")
        self.ping.ask(GATEWAY, 1)
        assert_that(str(self.ping.trouble), contains_string("CAP_NET_RAW"))
        self.refuses = None
        self.ping.ask(GATEWAY, 2)
        self.reply()
        assert_that([self.heard, self.ping.trouble], equal_to([[(GATEWAY, 2)], None]))

    def test_unsent(self) -> None:
        """No route, a firewall, a full buffer: an error of one ping is no error of flip."""
        self.ping.ask(GATEWAY, 1)
        for number in (errno.ENETUNREACH, errno.EPERM, errno.ENOBUFS, errno.EHOSTUNREACH):
            self.socket.refuses = OSError(number, os.strerror(number))
            self.ping.ask(GATEWAY, 2)
            assert_that(self.ping.trouble, equal_to(f"{GATEWAY}: {os.strerror(number)}"))
        self.socket.refuses = None
        self.reply()
        assert_that(self.ping.trouble, none())

    def test_reported(self) -> None:
        """An ICMP error says why there is silence; the socket is still read afterwards."""
        self.ping.ask(GATEWAY, 1)
        self.socket.reports.append((errno.EHOSTUNREACH, (GATEWAY, 0)))
        (reader,) = self.reactor.getReaders()
        self.reactor.removeReader(reader)  # as the reactor does: it takes this for the end
        reader.connectionLost(Failure(ConnectionError()))
        assert_that(self.ping.trouble, equal_to(f"{GATEWAY}: No route to host"))
        self.reply()
        assert_that([self.heard, self.ping.trouble], equal_to([[(GATEWAY, 1)], None]))

    def test_reported_to_others(self) -> None:
        """A report on a ping to somewhere else is none of ours."""
        self.ping.ask(GATEWAY, 1)
        self.socket.reports.append((errno.EHOSTUNREACH, ("192.0.2.1", 0)))
        self.socket.waiting.append(OSError(errno.EHOSTUNREACH, "No route to host"))
        self.read()
        assert_that([self.ping.trouble, [*self.socket.reports]], equal_to([None, []]))

    def test_stop(self) -> None:
        """Then the sockets are closed, and nothing is sent."""
        self.ping.ask(GATEWAY, 1)
        (reader,) = self.reactor.getReaders()
        self.ping.stop()
        self.ping.ask(GATEWAY, 2)
        reader.connectionLost(Failure(ConnectionError()))
        assert_that([self.socket.closed, len(self.socket.sent)], equal_to([True, 1]))
        assert_that(self.reactor.getReaders(), empty())


class RawPingTests(PingTests):
    """The same over raw sockets, which get everybody's answers."""

    raw = True

    def test_identifier(self) -> None:
        """The answer to another program's ping is none, should it carry our nonce or not."""
        self.ping.ask(GATEWAY, 42)
        packet = bytearray(self.socket.sent[0][0])
        theirs = icmp.request(icmp.V4, int.from_bytes(packet[4:6], "big") ^ 1, 0, 42)
        self.socket.sent.append((theirs, (GATEWAY, 0)))
        self.reply()
        assert_that(self.heard, empty())
        self.reply(at=0)
        assert_that(self.heard, equal_to([(GATEWAY, 42)]))


class Kernel:
    """Gives out sockets, or not."""

    def __init__(self, case: SynchronousTestCase, **refusals: int) -> None:
        self.refusals = refusals
        self.options: list[tuple[int, int, int]] = []
        self.opened: list[tuple[int, int, int]] = []
        case.patch(socket, "socket", self.open)

    def open(self, family: int, kind: int, protocol: int) -> Any:
        name = "dgram" if kind == socket.SOCK_DGRAM else "raw"
        if name in self.refusals:
            number = self.refusals[name]
            raise OSError(number, os.strerror(number))
        self.opened.append((family, kind, protocol))
        opened: Any = FakeSocket(family)
        opened.setblocking = lambda flag: None
        opened.setsockopt = lambda *option: self.options.append(option)
        return opened


class SocketTests(SynchronousTestCase):
    """Which socket a process may have."""

    def test_unprivileged(self) -> None:
        """A ping socket, marked CS6, with errors reported."""
        kernel = Kernel(self)
        assert_that(open_ping_socket(socket.AF_INET).raw, equal_to(False))
        expected = (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
        assert_that(kernel.opened, equal_to([expected]))
        assert_that(kernel.options[0], equal_to((socket.IPPROTO_IP, socket.IP_TOS, CS6)))
        assert_that(kernel.options[1], equal_to((socket.IPPROTO_IP, IP_RECVERR, 1)))

    def test_ipv6(self) -> None:
        """The same for IPv6."""
        kernel = Kernel(self)
        open_ping_socket(socket.AF_INET6)
        expected = (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6)
        assert_that(kernel.opened, equal_to([expected]))
        assert_that(kernel.options[0], equal_to((socket.IPPROTO_IPV6, socket.IPV6_TCLASS, CS6)))

    def test_raw(self) -> None:
        """A raw one where the group is not allowed, or the system has no other."""
        for number in (errno.EACCES, errno.EPERM, errno.EPROTONOSUPPORT):
            Kernel(self, dgram=number)
            assert_that(open_ping_socket(socket.AF_INET).raw, equal_to(True))

    def test_neither(self) -> None:
        """What is missing is named: the capability, the sysctl, and the groups that there are."""
        Kernel(self, dgram=errno.EACCES, raw=errno.EPERM)
        self.patch(os, "getegid", lambda: 4321)
        self.patch(os, "getgroups", lambda: [1234])
        found = self.assertRaises(CannotPing, open_ping_socket, socket.AF_INET)
        for word in ("CAP_NET_RAW", "1234, 4321", "sysctl -w net.ipv4.ping_group_range="):
            assert_that(str(found), contains_string(word))
        assert_that(complaint([socket.AF_INET]), equal_to(str(found)))

    def test_no_family(self) -> None:
        """A host without IPv6 says so."""
        Kernel(self, dgram=errno.EAFNOSUPPORT)
        text = str(complaint([socket.AF_INET6]))
        assert_that(text, contains_string("Address family not supported"))

    def test_permitted(self) -> None:
        """Nothing to complain of."""
        Kernel(self)
        assert_that(complaint([socket.AF_INET, socket.AF_INET6]), none())
