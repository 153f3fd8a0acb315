"""What is sent where: the frames of an announcement, and the gateways that are asked."""

from __future__ import annotations

import ipaddress
import socket

from hamcrest import assert_that, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.hooks import announce, frames

MAC = bytes.fromhex("020000000001")


def little(address: str) -> str:
    """An IPv4 address as /proc/net/route prints it on this machine."""
    return f"{socket.ntohl(int.from_bytes(socket.inet_aton(address), 'big')):08X}"


ROUTES = (
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    f"eth0\t00000000\t{little('192.0.2.254')}\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    f"eth1\t00000000\t{little('192.0.2.1')}\t0003\t0\t0\t9\t00000000\t0\t0\t0\n"
    f"eth0\t{little('198.51.100.0')}\t{little('192.0.2.254')}\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    f"eth0\t{little('192.0.2.0')}\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
)
NOTHING = "0" * 32
ROUTES6 = (
    f"{NOTHING} 00 {NOTHING} 00 fe8000000000000000000000000000fe 400 1 0 00000003     eth0\n"
    f"20010db8{'0' * 24} 40 {NOTHING} 00 {NOTHING} 100 1 0 00000001     eth0\n"
)


class AnnouncementTests(SynchronousTestCase):
    """`frames_for` an address, with the routing tables of a made-up host."""

    def setUp(self) -> None:
        self.files = {"/proc/net/route": ROUTES, "/proc/net/ipv6_route": ROUTES6}
        self.patch(
            announce, "_lines", lambda path: self.files.get(path, "").splitlines(keepends=True)
        )

    def test_gateways(self) -> None:
        """The gateways of this interface, each once."""
        assert_that(announce.gateways4("eth0"), equal_to([socket.inet_aton("192.0.2.254")]))
        assert_that(announce.gateways4("eth2"), equal_to([]))
        gateway = ipaddress.ip_address("fe80::fe").packed
        assert_that(announce.gateways6("eth0"), equal_to([gateway]))

    def test_ipv4(self) -> None:
        """Request and reply to everybody, a question to each gateway."""
        own, gateway = socket.inet_aton("192.0.2.7"), socket.inet_aton("192.0.2.254")
        sent = announce.frames_for("eth0", MAC, ipaddress.ip_interface("192.0.2.7/24"))
        expected = [
            frames.gratuitous_request(MAC, own),
            frames.gratuitous_reply(MAC, own),
            frames.request_to(MAC, own, gateway),
        ]
        assert_that(sent, equal_to(expected))

    def test_ipv6(self) -> None:
        """An advertisement to everybody, a solicitation to each gateway; a router says it is."""
        address = ipaddress.ip_interface("2001:db8::7/128")
        own, gateway = address.ip.packed, ipaddress.ip_address("fe80::fe").packed
        for forwarding, router in (("0\n", False), ("1\n", True)):
            self.files["/proc/sys/net/ipv6/conf/eth0/forwarding"] = forwarding
            expected = [
                frames.unsolicited_advertisement(MAC, own, router),
                frames.solicitation_to(MAC, own, gateway),
            ]
            assert_that(announce.frames_for("eth0", MAC, address), equal_to(expected))

    def test_no_ipv6(self) -> None:
        """A kernel without IPv6 has no such files."""
        self.files.clear()
        assert_that(announce.gateways6("eth0"), equal_to([]))
        assert_that(announce.gateways4("eth0"), equal_to([]))
