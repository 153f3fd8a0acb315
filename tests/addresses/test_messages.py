"""Netlink's bytes, against messages written down by hand, and against rubbish."""

from __future__ import annotations

import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable

from hamcrest import assert_that, equal_to, instance_of
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses import messages, rtnetlink
from flip.addresses.kernel import Address, label_fits
from flip.addresses.messages import Message, Request, Verdict
from flip.errors import AddressError, MalformedMessage

LITTLE = sys.byteorder == "little"
NOT_LITTLE = None if LITTLE else "the expected bytes are those of a little-endian machine"

addresses4 = st.ip_addresses(v=4).map(str)
addresses6 = st.ip_addresses(v=6).map(str)


def places() -> st.SearchStrategy[Address]:
    """Any address on an interface."""
    return st.one_of(
        st.builds(Address, st.just("eth0"), addresses4, st.integers(0, 32)),
        st.builds(Address, st.just("eth0"), addresses6, st.integers(0, 128)),
    )


def bytes_of(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


def only(data: bytes) -> Message:
    """The one message of a datagram."""
    (message,) = messages.split(memoryview(data))
    return message


class RequestTests(SynchronousTestCase):
    """Requests, byte by byte (x86)."""

    skip = NOT_LITTLE

    def test_new_ipv4(self) -> None:
        """As `ip addr replace 10.0.0.1/24 dev #2 label eth0:x valid_lft 5 preferred_lft 5`."""
        request = rtnetlink.new_address(Address("eth0", "10.0.0.1", 24), 2, 5, "x")
        expected = (
            "58000000 1400 0505 07000000 00000000"  # length, RTM_NEWADDR, flags, sequence, port
            "02 18 00 00 02000000"  # AF_INET, /24, flags, universe, interface
            "0800 0200 0a000001"  # IFA_LOCAL
            "0800 0100 0a000001"  # IFA_ADDRESS
            "0800 0800 00000000"  # IFA_FLAGS
            "1400 0600 05000000 05000000 00000000 00000000"  # IFA_CACHEINFO
            "0500 0b00 f1 000000"  # IFA_PROTO
            "0b00 0300 657468303a7800 00"  # IFA_LABEL
        )
        assert_that(messages.frame(request, 7).hex(" "), equal_to(bytes_of(expected).hex(" ")))

    def test_new_ipv6(self) -> None:
        """No detection of duplicates, no route, preferred for 0 s."""
        request = rtnetlink.new_address(Address("eth0", "fd00::1", 128), 3, None, "x")
        address = "fd000000 00000000 00000000 00000001"
        expected = (
            f"64000000 1400 0505 01000000 00000000 0a 80 00 00 03000000"
            f"1400 0200 {address} 1400 0100 {address} 0800 0800 02020000"
            "1400 0600 00000000 ffffffff 00000000 00000000 0500 0b00 f1 000000"
        )
        assert_that(messages.frame(request, 1).hex(" "), equal_to(bytes_of(expected).hex(" ")))

    def test_delete(self) -> None:
        """With the prefix length, or another address could be meant."""
        request = rtnetlink.delete_address(Address("eth0", "10.0.0.1", 32), 2)
        expected = (
            "28000000 1500 0500 ffffffff 00000000 02 20 00 00 02000000"
            "0800 0200 0a000001 0800 0100 0a000001"
        )
        data = messages.frame(request, 0xFFFFFFFF)
        assert_that(data.hex(" "), equal_to(bytes_of(expected).hex(" ")))

    def test_promote(self) -> None:
        """As `sysctl net.ipv4.conf.#2.promote_secondaries=1`, without /proc."""
        expected = (
            "34000000 1300 0500 01000000 00000000 0000 0000 02000000 00000000 00000000"
            "1400 1a00 1000 0200 0c00 0100 0800 1400 01000000"
        )
        data = messages.frame(rtnetlink.promote_secondaries(2), 1)
        assert_that(data.hex(" "), equal_to(bytes_of(expected).hex(" ")))

    def test_lists(self) -> None:
        """Dumps of everything."""
        links = "28000000 1200 0103 01000000 00000000" + "00" * 16 + "08001d0008000000"
        assert_that(messages.frame(rtnetlink.all_links(), 1), equal_to(bytes_of(links)))
        addresses = "18000000 1600 0103 01000000 00000000" + "00" * 8
        assert_that(messages.frame(rtnetlink.all_addresses(), 1), equal_to(bytes_of(addresses)))

    def test_loopback(self) -> None:
        """127.0.0.0/8 is of the scope of the host, as the kernel's own is."""
        request = rtnetlink.new_address(Address("lo", "127.0.0.9", 8), 1, None, None)
        assert_that(request.payload[3], equal_to(254))


class AnswerTests(SynchronousTestCase):
    """Answers."""

    skip = NOT_LITTLE

    def test_acknowledged(self) -> None:
        """An error of 0 is none."""
        data = bytes_of(
            "24000000 0200 0001 05000000 01000000 00000000 28000000140005050500000001000000"
        )
        message = only(data)
        assert_that((message.kind, message.sequence), equal_to((messages.ERROR, 5)))
        assert_that(messages.verdict(message), equal_to(Verdict(0)))

    def test_refused(self) -> None:
        """The kernel's words come with the number, whether or not it repeats the request."""
        words = "1300 0100 496e76616c696420707265666978 00 00"  # NLMSGERR_ATTR_MSG
        request = "18000000 1400 0505 05000000 01000000"
        for flags, repeated in (("0003", ""), ("0002", "0220000002000000")):
            body = bytes_of(f"eaffffff {request} {repeated} {words}")
            header = bytes_of(f"0200 {flags} 05000000 01000000")
            data = struct.pack("=I", 4 + len(header + body)) + header + body
            expected = Verdict(errno.EINVAL, "Invalid prefix")
            assert_that(messages.verdict(only(data)), equal_to(expected))

    def test_without_words(self) -> None:
        """Then the number speaks."""
        assert_that(str(Verdict(errno.EPERM)), equal_to("Operation not permitted"))
        assert_that(str(Verdict(errno.EPERM, "no")), equal_to("no"))

    def test_address(self) -> None:
        """As a kernel tells of `10.0.0.1/32 label eth0:x valid_lft 3` on an interface of old."""
        payload = bytes_of(
            "02 20 00 00 02000000 0800 0100 0a000001 0800 0200 0a000001 0b00 0300 657468303a7800 00"
            "0800 0800 80000000 1400 0600 03000000 03000000 41420000 41420000"
        )
        expected = rtnetlink.AddressNews(2, "10.0.0.1", 32, 0x80, 3, "eth0:x", False)
        assert_that(rtnetlink.read_address(memoryview(payload)), equal_to(expected))

    def test_point_to_point(self) -> None:
        """The address is the local one, not the neighbour's."""
        payload = bytes_of("02 20 80 00 02000000 0800 0100 0a000002 0800 0200 0a000001")
        news = rtnetlink.read_address(memoryview(payload))
        assert news is not None
        assert_that((news.ip, news.flags, news.valid), equal_to(("10.0.0.1", 0x80, None)))

    def test_other_families(self) -> None:
        """MPLS or a bridge: no addresses, no interfaces of ours."""
        assert_that(rtnetlink.read_address(memoryview(bytes(8))), equal_to(None))
        assert_that(rtnetlink.read_link(memoryview(b"\7" + bytes(15))), equal_to(None))


class LawTests(SynchronousTestCase):
    """What holds for all addresses, and for all bytes."""

    @settings(max_examples=300, deadline=None)
    @given(
        places(),
        st.integers(1, 2**31 - 1),
        st.one_of(st.none(), st.integers(1, 2**32 - 2)),
        st.one_of(st.none(), st.text("abc.:-é", min_size=1, max_size=5)),
    )
    def test_round_trip(
        self, address: Address, number: int, valid: int | None, label: str | None
    ) -> None:
        """What is asked for is what is read when the kernel repeats it."""
        label = label if label and label_fits("eth0", label) else None
        request = rtnetlink.new_address(address, number, valid, label)
        news = rtnetlink.read_address(only(messages.frame(request, 1)).payload)
        whole = f"eth0:{label}" if label and address.version == 4 else ""
        assert news is not None
        assert_that(news._replace(flags=0), equal_to((number, *address[1:], 0, valid, whole, True)))

    @settings(max_examples=300, deadline=None)
    @given(addresses6)
    def test_spelling(self, ip: str) -> None:
        """Addresses are spelled as `ipaddress` does."""
        packed = ipaddress.ip_address(ip).packed
        assert_that(rtnetlink.spelling(socket.AF_INET6, packed), equal_to(ip))

    @settings(max_examples=300, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary())))
    def test_framing(self, requests: list[tuple[int, int, bytes]]) -> None:
        """Any requests, one after another, come out again."""
        data = b"".join(
            messages.frame(Request(*request), number) for number, request in enumerate(requests)
        )
        found = [(m.kind, m.flags, bytes(m.payload)) for m in messages.split(memoryview(data))]
        asked = [(kind, flags | 1, payload) for kind, flags, payload in requests]
        assert_that(found, equal_to(asked))

    @settings(max_examples=300, deadline=None)
    @given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=300)))
    def test_attributes(self, values: dict[int, bytes]) -> None:
        """Any attributes come out again, also as nested ones."""
        data = b"".join(messages.attribute(kind, value) for kind, value in values.items())
        found = messages.attributes(memoryview(data))
        assert_that({kind: bytes(value) for kind, value in found.items()}, equal_to(values))

    @settings(max_examples=1000, deadline=None)
    @given(st.binary(max_size=200))
    def test_rubbish(self, data: bytes) -> None:
        """Any bytes are read, or refused with one kind of error."""
        self.read_all(data)

    @settings(max_examples=1000, deadline=None)
    @given(places(), st.data())
    def test_damaged(self, address: Address, data: st.DataObject) -> None:
        """So is a message with some bytes changed, or cut off."""
        request = rtnetlink.new_address(address, 2, 5, "x")
        kind = data.draw(st.sampled_from([2, 3, 16, 20]))
        whole = bytearray(messages.frame(request._replace(kind=kind), 1))
        for _ in range(data.draw(st.integers(0, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        self.read_all(bytes(whole[: data.draw(st.integers(0, len(whole)))]))

    def test_truncated(self) -> None:
        """An address that ends anywhere too early is refused, and never taken for another."""
        for address in (Address("eth0", "10.0.0.1", 32), Address("eth0", "fd00::1", 128)):
            whole = rtnetlink.new_address(address, 2, 5, "x").payload
            for end in range(len(whole)):
                try:
                    news = rtnetlink.read_address(memoryview(whole[:end]))
                except MalformedMessage:
                    continue
                assert news is not None
                assert_that((news.number, news.ip, news.prefix), equal_to((2, *address[1:])))

    def read_all(self, data: bytes) -> None:
        """Read bytes in every way; other errors than `MalformedMessage` escape."""
        readers: list[Callable[[memoryview], object]] = [
            messages.attributes,
            rtnetlink.read_address,
            rtnetlink.read_link,
        ]
        payloads = [memoryview(data)]
        try:
            for message in messages.split(memoryview(data)):
                payloads.append(message.payload)
                assert_that(messages.verdict(message), instance_of(Verdict))
        except MalformedMessage:
            pass
        for payload in payloads:
            for reader in readers:
                try:
                    reader(payload)
                except MalformedMessage:
                    continue

    def test_impossible_addresses(self) -> None:
        """What is no address is refused before the kernel is asked."""
        for ip, prefix in (
            ("10.0.0", 8),
            ("", 0),
            ("fd00::1::", 128),
            ("10.0.0.1", 64),
            ("::", 129),
        ):
            with self.assertRaises(AddressError):
                rtnetlink.delete_address(Address("eth0", ip, prefix), 1)
