"""Announcements and probes, on the fake sockets of a kernel that was started."""

from __future__ import annotations

import errno
import socket
import struct

from hamcrest import assert_that, contains_string, empty, equal_to, has_length
from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses import announcement, probe
from flip.addresses.kernel import Address
from flip.addresses.linux import PROBE_LIMIT
from flip.errors import AddressError
from flip.hooks import frames
from tests.addresses.scripted import MACS, NO_ARP, RUNNING, UP, Bench, FakeSocket, Interface
from tests.matchers import contains_exactly, not_

ADDRESS = Address("eth0", "192.0.2.7", 32)
ADDRESS6 = Address("eth0", "2001:db8::7", 128)
OWN, OWN6 = (socket.inet_pton(f, ip) for f, ip in ((2, "192.0.2.7"), (10, "2001:db8::7")))
GATEWAY, GATEWAY6 = b"\xc0\0\2\xfe", bytes.fromhex("fe8000000000000000000000000000fe")
MAC, STRANGER = MACS["eth0"], bytes.fromhex("02aabbccddee")


class NeighboursTestCase(SynchronousTestCase):
    """A kernel that was started, on a host with a gateway on eth0."""

    def setUp(self) -> None:
        gateways = {"eth0": ([GATEWAY], [GATEWAY6])}
        for at, name in enumerate(("gateways4", "gateways6")):
            self.patch(announcement, name, lambda i, at=at: gateways.get(i, ([], []))[at])
        self.patch(announcement, "forwards", lambda interface: interface == "eth1")
        self.bench = Bench()
        self.host, self.kernel = self.bench.host, self.bench.kernel
        self.successResultOf(self.kernel.start())
        self.packets = self.host.sock("packets")
        self.addCleanup(self.finish)

    def finish(self) -> None:
        """Nothing is left behind."""
        self.kernel.stop()
        self.bench.turn()
        assert_that(self.bench.reactor.getDelayedCalls(), empty())

    def sent(self) -> list[tuple[str, bytes]]:
        """The frames that were sent, and where."""
        return [
            (name.decode(), frame)
            for name, _, frame in (s.partition(b"|") for s in self.packets.sent)
        ]


class AnnounceTests(NeighboursTestCase):
    """Announcements."""

    def announce(self, *addresses: Address) -> list[tuple[str, bytes]]:
        """Announce, without waiting; what was sent."""
        self.successResultOf(self.kernel.announce(addresses))
        return self.sent()

    def test_ipv4(self) -> None:
        """A gratuitous request and reply, and a question to the gateway."""
        expected = [
            ("eth0", frames.gratuitous_request(MAC, OWN)),
            ("eth0", frames.gratuitous_reply(MAC, OWN)),
            ("eth0", frames.request_to(MAC, OWN, GATEWAY)),
        ]
        assert_that(self.announce(ADDRESS), equal_to(expected))

    def test_ipv6(self) -> None:
        """An advertisement, and a question to the gateway; a router says that it is one."""
        expected = [
            ("eth0", frames.unsolicited_advertisement(MAC, OWN6, False)),
            ("eth0", frames.solicitation_to(MAC, OWN6, GATEWAY6)),
            ("eth1", frames.unsolicited_advertisement(MACS["eth1"], OWN6, True)),
        ]
        other = ADDRESS6._replace(interface="eth1")
        assert_that(self.announce(ADDRESS6, other), equal_to(expected))

    def test_nobody_to_tell(self) -> None:
        """Not where nobody listens: lo, NOARP, no carrier, no such interface."""
        self.host.set_link(2, Interface("eth0", UP | RUNNING | NO_ARP))
        self.host.set_link(3, Interface("eth1", UP))
        self.bench.turn()
        addresses = [ADDRESS._replace(interface=name) for name in ("lo", "eth0", "eth1", "eth7")]
        assert_that(self.announce(*addresses), empty())

    def test_full_queue(self) -> None:
        """What does not fit into a queue is sent later, nothing twice and in order."""
        full = [OSError(errno.ENOBUFS, "full"), OSError(errno.EAGAIN, "not now")]
        for refused in ([], full[:1], full, full * 3):
            self.packets.sent.clear()
            self.packets.refusals.extend(refused)
            announced = self.kernel.announce([ADDRESS, ADDRESS6])
            self.assertEqual(announced.called, not refused)
            for _ in refused:
                self.bench.turn(0.005)
            self.successResultOf(announced)
            kinds = [frame[12:14].hex() for _, frame in self.sent()]
            assert_that(kinds, equal_to(["0806"] * 3 + ["86dd"] * 2))

    def test_queue_stays_full(self) -> None:
        """After a second it is an error, and the interface is named."""
        self.packets.refusals.extend(OSError(errno.ENOBUFS, "full") for _ in range(10_000))
        announced = self.kernel.announce([ADDRESS])
        for _ in range(120):
            self.bench.turn(0.01)
        failure = self.failureResultOf(announced, AddressError)
        assert_that(str(failure.value), contains_string("eth0 has taken no packet for 1.0 s"))

    def test_gone_meanwhile(self) -> None:
        """A link that goes down, or away, while it is announced on is left out."""
        for number in (errno.ENETDOWN, errno.ENODEV, errno.ENXIO):
            self.packets.sent.clear()
            self.packets.refusals.append(OSError(number, "gone"))
            assert_that(self.announce(ADDRESS), has_length(2))

    def test_refused(self) -> None:
        """Other errors are the caller's."""
        self.packets.refusals.append(OSError(errno.EPERM, "Operation not permitted"))
        failure = self.failureResultOf(self.kernel.announce([ADDRESS]), AddressError)
        assert_that(failure.value.errno, equal_to(errno.EPERM))
        bad = self.kernel.announce([Address("eth0", "192.0.2", 32)])
        assert_that(
            str(self.failureResultOf(bad, AddressError).value), contains_string("no address")
        )

    def test_stopped(self) -> None:
        """A stopped kernel announces nothing."""
        self.kernel.stop()
        self.failureResultOf(self.kernel.announce([ADDRESS]), AddressError)

    def test_reactor(self) -> None:
        """A thousand announcements on a slow interface leave the reactor its turns."""
        self.packets._sent_to = lambda sock, data: self.bench.pass_time(0.0001)
        announced, _, longest = self.bench.turns(lambda: self.kernel.announce([ADDRESS] * 1000))
        self.successResultOf(announced)
        assert_that(self.packets.sent, has_length(3000))
        assert_that(longest < 0.01, f"{longest} s in one turn")


def arp(mac: bytes, sender: bytes, operation: int = frames.REPLY) -> bytes:
    """What somebody says about himself."""
    return frames.arp(operation, mac, sender, MAC, OWN)


def advertisement(mac: bytes, target: bytes, option: int = frames.TARGET_LINK_LAYER) -> bytes:
    """An ICMPv6 message as a raw socket gives it."""
    head = struct.pack("!BBHI", frames.NEIGHBOUR_ADVERTISEMENT, 0, 0, frames.OVERRIDE)
    return head + target + bytes((option, 1)) + mac


class ProbeTests(NeighboursTestCase):
    """Probes."""

    def setUp(self) -> None:
        super().setUp()
        self.arp, self.nd = self.host.sock("arp"), self.host.sock("advertisements")

    def hear_arp(self, frame: bytes, interface: str = "eth0") -> None:
        """A frame comes in."""
        self.arp.queue.append((frame, ([], 0, (interface, 0x0806, 0, 1, frame[6:12]))))
        self.bench.turn()

    def hear_nd(self, message: bytes, number: int = 2, hops: int = 255) -> None:
        """A message comes in."""
        ancillary = [
            (socket.IPPROTO_IPV6, 50, bytes(16) + struct.pack("=I", number)),
            (socket.IPPROTO_IPV6, 52, struct.pack("=i", hops)),
        ]
        self.nd.queue.append((message, (ancillary, 0, ("fe80::1", 0, 0, number))))
        self.bench.turn()

    def asked(self, address: Address = ADDRESS) -> Deferred[str | None]:
        """A probe that nobody has answered yet."""
        answered = self.kernel.probe(address)
        self.assertNoResult(answered)
        return answered

    def test_question4(self) -> None:
        """An ARP request of nobody: it changes no neighbour's table."""
        self.asked()
        expected = "ffffffffffff" + MAC.hex() + "080600010800060400 01" + MAC.hex() + "00000000"
        expected += "000000000000" + OWN.hex()
        assert_that(self.sent(), equal_to([("eth0", bytes.fromhex(expected.replace(" ", "")))]))
        self.bench.turn(PROBE_LIMIT)

    def test_question6(self) -> None:
        """A solicitation of nobody, to those that may have such an address, without options."""
        self.asked(ADDRESS6)
        ((_, frame),) = self.sent()
        assert_that(frame[:14].hex(), equal_to("3333ff000007" + MAC.hex() + "86dd"))
        assert_that(frame[14:22].hex(), equal_to("6c00000000183aff"))
        addresses = bytes(16).hex() + "ff0200000000000000000001ff000007"
        assert_that(frame[22:54].hex(), equal_to(addresses))
        assert_that(frame[54:56].hex() + frame[58:].hex(), equal_to("870000000000" + OWN6.hex()))
        pseudo = frame[22:54] + struct.pack("!II", 24, 58)
        assert_that(frames.checksum(pseudo + frame[54:]), equal_to(0))
        self.bench.turn(PROBE_LIMIT)

    def test_answered(self) -> None:
        """The first stranger who says that he has it; replies and requests count alike."""
        for operation in (frames.REPLY, frames.REQUEST):
            answered = self.asked()
            self.hear_arp(arp(STRANGER, OWN, operation))
            assert_that(self.successResultOf(answered), equal_to("02:aa:bb:cc:dd:ee"))
        answered = self.asked(ADDRESS6)
        self.hear_nd(advertisement(STRANGER, OWN6))
        assert_that(self.successResultOf(answered), equal_to("02:aa:bb:cc:dd:ee"))

    def test_nobody(self) -> None:
        """None, at the limit."""
        answered = self.asked()
        self.bench.turn(PROBE_LIMIT - 0.001)
        self.assertNoResult(answered)
        self.bench.turn(0.001)
        assert_that(self.successResultOf(answered), equal_to(None))
        self.hear_arp(arp(STRANGER, OWN))  # too late

    def test_no_answers(self) -> None:
        """This host's own interfaces, other addresses, other interfaces, other probes."""
        answered, answered6 = self.asked(), self.asked(ADDRESS6)
        self.hear_arp(arp(MACS["eth1"], OWN))
        self.hear_arp(arp(STRANGER, GATEWAY))
        self.hear_arp(arp(STRANGER, OWN), "eth1")
        self.hear_arp(frames.arp(frames.REQUEST, STRANGER, bytes(4), bytes(6), OWN))
        self.hear_nd(advertisement(MACS["eth1"], OWN6))
        self.hear_nd(advertisement(STRANGER, GATEWAY6))
        self.hear_nd(advertisement(STRANGER, OWN6), number=3)
        self.hear_nd(advertisement(STRANGER, OWN6), number=77)
        self.hear_nd(advertisement(STRANGER, OWN6), hops=254)
        self.hear_nd(advertisement(STRANGER, OWN6, option=1))
        self.assertNoResult(answered)
        self.assertNoResult(answered6)
        self.bench.turn(PROBE_LIMIT)
        assert_that(self.successResultOf(answered), equal_to(None))
        assert_that(self.successResultOf(answered6), equal_to(None))

    def test_many(self) -> None:
        """Many at once, each with its own answer; two may ask for one address."""
        addresses = [Address("eth0", f"10.0.{n}.1", 32) for n in range(200)]
        probes = [self.kernel.probe(address) for address in addresses]
        again = self.kernel.probe(addresses[3])
        for n in range(0, 200, 2):
            self.hear_arp(arp(STRANGER, bytes((10, 0, n, 1))))
        self.hear_arp(arp(STRANGER, bytes((10, 0, 3, 1))))
        self.bench.turn(PROBE_LIMIT)
        found = [n for n, result in enumerate(map(self.successResultOf, probes)) if result]
        assert_that(found, equal_to(sorted({*range(0, 200, 2), 3})))
        assert_that(self.successResultOf(again), equal_to("02:aa:bb:cc:dd:ee"))

    def test_listening(self) -> None:
        """The kernel passes nothing on while nobody waits."""
        sockets: list[FakeSocket] = [self.arp, self.nd]
        assert_that([sock.listening for sock in sockets], equal_to([False, False]))
        first, _second = self.asked(), self.asked(ADDRESS6)
        assert_that([sock.listening for sock in sockets], equal_to([True, True]))
        self.hear_arp(arp(STRANGER, OWN))
        self.successResultOf(first)
        assert_that([sock.listening for sock in sockets], equal_to([True, True]))
        self.bench.turn(PROBE_LIMIT)
        assert_that([sock.listening for sock in sockets], equal_to([False, False]))

    def test_nobody_to_ask(self) -> None:
        """None at once: lo, no carrier, no such interface."""
        self.host.set_link(3, Interface("eth1", UP))
        self.bench.turn()
        for name in ("lo", "eth1", "eth7"):
            answered = self.kernel.probe(ADDRESS._replace(interface=name))
            assert_that(self.successResultOf(answered), equal_to(None))
        assert_that(self.sent(), empty())

    def test_refused(self) -> None:
        """A kernel that does not send fails the probe, and nobody waits."""
        self.packets.refusals.append(OSError(errno.EPERM, "Operation not permitted"))
        self.failureResultOf(self.kernel.probe(ADDRESS), AddressError)
        assert_that(self.arp.listening, equal_to(False))
        bad = self.kernel.probe(Address("eth0", "192.0.2", 32))
        self.failureResultOf(bad, AddressError)

    def test_cancelled(self) -> None:
        """A probe that nobody wants any more waits no more."""
        answered = self.asked()
        answered.cancel()
        self.failureResultOf(answered, CancelledError)
        assert_that(self.arp.listening, equal_to(False))

    def test_stopped(self) -> None:
        """Nobody answers any more."""
        answered = self.asked()
        self.kernel.stop()
        assert_that(self.successResultOf(answered), equal_to(None))


class ParseTests(SynchronousTestCase):
    """What neighbours, or strangers, send."""

    def test_arp(self) -> None:
        """Ethernet and IPv4 only, of any length that holds it."""
        frame = arp(STRANGER, OWN)
        assert_that(probe.read_arp(frame + bytes(18)), equal_to((STRANGER, OWN)))
        assert_that(probe.read_arp(frame[:-1]), equal_to(None))
        for at in (15, 17, 18, 19):
            damaged = bytearray(frame)
            damaged[at] ^= 1
            assert_that(probe.read_arp(bytes(damaged)), equal_to(None))

    def test_advertisement(self) -> None:
        """The target and its MAC, wherever that option stands."""
        message = advertisement(STRANGER, OWN6)
        assert_that(probe.read_advertisement(message), equal_to((STRANGER, OWN6)))
        moved = message[:24] + bytes((14, 2)) + bytes(14) + message[24:]
        assert_that(probe.read_advertisement(moved), equal_to((STRANGER, OWN6)))
        for broken in (message[:-1], b"\x87" + message[1:], message[:25] + b"\0" + message[26:]):
            assert_that(probe.read_advertisement(broken), equal_to(None))

    @settings(max_examples=500, deadline=None)
    @given(st.binary(max_size=120))
    @example(advertisement(STRANGER, OWN6)[:24] + b"\2\0")
    def test_rubbish(self, data: bytes) -> None:
        """Any bytes are read, or are nothing."""
        for read in (probe.read_arp, probe.read_advertisement):
            for content in (data, b"\x88\0" + data):
                said = read(content)
                if said is not None:
                    assert_that([*map(len, said)], not_(contains_exactly(0, 0)))
                    assert_that(len(said[0]), equal_to(6))
