"""`flip.membership.icmp`: echo messages, and what is no answer."""

from __future__ import annotations

import struct

from hamcrest import assert_that, equal_to, none
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.icmp import (
    V4,
    V6,
    Kind,
    Reply,
    checksum,
    read_reply,
    request,
    without_ip_header,
)

NONCES = st.integers(0, 2**64 - 1)
WORDS = st.integers(0, 2**16 - 1)
KINDS = st.sampled_from((V4, V6))


def answer(kind: Kind, packet: bytes) -> bytes:
    """What a host makes of an echo request: the same with another type."""
    blank = bytes([kind.reply, 0, 0, 0]) + packet[4:]
    return blank[:2] + struct.pack(">H", checksum(blank)) + blank[4:]


class EchoTests(SynchronousTestCase):
    """Requests and their answers."""

    def test_bytes(self) -> None:
        """A request for IPv4, byte by byte, with its checksum."""
        packet = request(V4, 0x1234, 0x0102, 0x0A0B0C0D0E0F1011)
        expected = "0800 e0b4 1234 0102 666c6970 0a0b0c0d0e0f1011"
        assert_that(packet.hex(), equal_to(expected.replace(" ", "")))

    def test_bytes_of_ipv6(self) -> None:
        """The kernel fills in the checksum of ICMPv6, which covers addresses."""
        packet = request(V6, 0x1234, 0x0102, 1)
        assert_that(packet[:8].hex(), equal_to("8000000012340102"))

    @given(KINDS, WORDS, st.integers(0, 2**20), NONCES)
    def test_answer(self, kind: Kind, identifier: int, sequence: int, nonce: int) -> None:
        """A host's answer has the request's identifier and nonce."""
        packet = request(kind, identifier, sequence, nonce)
        assert_that(read_reply(kind, answer(kind, packet)), equal_to(Reply(identifier, nonce)))

    @given(KINDS, NONCES)
    def test_request(self, kind: Kind, nonce: int) -> None:
        """A request is no answer: a raw socket on the loopback interface gets its own."""
        assert_that(read_reply(kind, request(kind, 1, 1, nonce)), none())

    @given(NONCES, st.integers(0, 19), st.integers(1, 255))
    def test_damaged(self, nonce: int, at: int, flip: int) -> None:
        """Whatever byte is damaged on the way, it is no answer."""
        packet = bytearray(answer(V4, request(V4, 7, 7, nonce)))
        packet[at] ^= flip
        assert_that(read_reply(V4, bytes(packet)), none())

    @given(KINDS, st.binary(max_size=100))
    def test_rubbish(self, kind: Kind, packet: bytes) -> None:
        """Anything else is no answer and no error."""
        tag = packet[8:12]
        if len(packet) != 20 or tag != b"flip":
            assert_that(read_reply(kind, packet), none())

    def test_others(self) -> None:
        """Nor is the answer to another program's ping."""
        foreign = request(V4, 7, 7, 1).replace(b"flip", b"ping")
        assert_that(read_reply(V4, answer(V4, foreign)), none())

    def test_unreachable(self) -> None:
        """Nor is an ICMP error that carries the request."""
        inner = request(V4, 7, 7, 1)
        blank = bytes([3, 1, 0, 0, 0, 0, 0, 0]) + inner
        packet = blank[:2] + struct.pack(">H", checksum(blank)) + blank[4:]
        assert_that(read_reply(V4, packet), none())


class HeaderTests(SynchronousTestCase):
    """IPv4's header, which raw sockets hand over."""

    def test_plain(self) -> None:
        """20 bytes without options."""
        assert_that(without_ip_header(b"\x45" + bytes(19) + b"icmp"), equal_to(b"icmp"))

    def test_options(self) -> None:
        """Up to 60 with."""
        assert_that(without_ip_header(b"\x4f" + bytes(59) + b"icmp"), equal_to(b"icmp"))

    def test_broken(self) -> None:
        """One that is too short, says so of itself, or is of another version, has no payload."""
        for packet in (b"", b"\x45", b"\x44" + bytes(30), b"\x65" + bytes(30)):
            assert_that(without_ip_header(packet), equal_to(b""))


class ChecksumTests(SynchronousTestCase):
    """RFC 1071."""

    def test_example(self) -> None:
        """The RFC's own example: its sum is ddf2."""
        data = bytes.fromhex("0001f203f4f5f6f7")
        assert_that(checksum(data), equal_to(~0xDDF2 & 0xFFFF))

    @given(st.binary(min_size=2, max_size=64).filter(lambda data: len(data) % 2 == 0))
    def test_verified(self, data: bytes) -> None:
        """Over data that carries it, it is 0."""
        blank = b"\0\0" + data
        assert_that(checksum(struct.pack(">H", checksum(blank)) + data), equal_to(0))
