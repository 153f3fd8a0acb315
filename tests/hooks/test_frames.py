"""The bytes of announcements, against frames written down by hand from the RFCs."""

from __future__ import annotations

import ipaddress

from hamcrest import assert_that, equal_to, has_length
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.hooks import frames

MAC = bytes.fromhex("020000000001")
ADDRESS = ipaddress.ip_address("192.0.2.7").packed
GATEWAY = ipaddress.ip_address("192.0.2.254").packed
ADDRESS6 = ipaddress.ip_address("2001:db8::7").packed
GATEWAY6 = ipaddress.ip_address("fe80::aa:bbcc").packed
ETHERNET_ARP = "ffffffffffff 020000000001 0806 0001 0800 06 04"


class ArpTests(SynchronousTestCase):
    """ARP over Ethernet is 42 bytes."""

    def test_gratuitous_request(self) -> None:
        """Sender and target address are the announced one; the target MAC is not known."""
        expected = f"{ETHERNET_ARP} 0001 020000000001 c0000207 000000000000 c0000207"
        assert_that(frames.gratuitous_request(MAC, ADDRESS), equal_to(bytes.fromhex(expected)))

    def test_gratuitous_reply(self) -> None:
        """The target MAC is what the neighbours' tables should hold (RFC 5944, 4.6)."""
        expected = f"{ETHERNET_ARP} 0002 020000000001 c0000207 020000000001 c0000207"
        assert_that(frames.gratuitous_reply(MAC, ADDRESS), equal_to(bytes.fromhex(expected)))

    def test_request_to_a_gateway(self) -> None:
        """An ordinary question of the announced address."""
        expected = f"{ETHERNET_ARP} 0001 020000000001 c0000207 000000000000 c00002fe"
        assert_that(frames.request_to(MAC, ADDRESS, GATEWAY), equal_to(bytes.fromhex(expected)))


class DiscoveryTests(SynchronousTestCase):
    """Neighbour discovery over Ethernet is 86 bytes with one option."""

    def test_advertisement(self) -> None:
        """To all nodes, hop limit 255, override flag, the MAC as an option."""
        expected = (
            "333300000001 020000000001 86dd"
            "6c000000 0020 3a ff 20010db8000000000000000000000007"
            "ff020000000000000000000000000001"
            "88 00 f91e 20000000 20010db8000000000000000000000007 02 01 020000000001"
        )
        frame = frames.unsolicited_advertisement(MAC, ADDRESS6, router=False)
        assert_that(frame, has_length(86))
        self.assert_sum(frame)
        assert_that(frame.hex(), equal_to(expected.replace(" ", "")))

    def test_router(self) -> None:
        """A router says so, or its neighbours would drop their routes."""
        frame = frames.unsolicited_advertisement(MAC, ADDRESS6, router=True)
        assert_that(frame[58:62].hex(), equal_to("a0000000"))
        self.assert_sum(frame)

    def test_solicitation(self) -> None:
        """To the gateway's solicited-node group, from the announced address and its MAC."""
        frame = frames.solicitation_to(MAC, ADDRESS6, GATEWAY6)
        assert_that(frame[:6].hex(), equal_to("3333ffaabbcc"))
        assert_that(frame[38:54].hex(), equal_to("ff0200000000000000000001ffaabbcc"))
        assert_that(frame[54], equal_to(135))
        assert_that(frame[62:78], equal_to(GATEWAY6))
        assert_that(frame[78:].hex(), equal_to("0101020000000001"))
        self.assert_sum(frame)

    def assert_sum(self, frame: bytes) -> None:
        """A receiver's sum over pseudo header and message is 0."""
        pseudo_header = frame[22:54] + b"\0\0\0\x20" + b"\0\0\0\x3a"
        assert_that(frames.checksum(pseudo_header + frame[54:]), equal_to(0))


class ChecksumTests(SynchronousTestCase):
    """The Internet checksum."""

    def test_example(self) -> None:
        """The example of RFC 1071, section 3."""
        assert_that(frames.checksum(bytes.fromhex("0001f203f4f5f6f7")), equal_to(0xFFFF - 0xDDF2))

    @given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=40))
    @settings(deadline=None)
    def test_a_message_with_its_sum_sums_to_zero(self, words: list[int]) -> None:
        """That is how receivers check it."""
        data = b"".join(word.to_bytes(2, "big") for word in words)
        total = frames.checksum(data).to_bytes(2, "big")
        self.assertIn(frames.checksum(data + total), (0, 0xFFFF))
