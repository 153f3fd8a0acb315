"""Tells the neighbours, on Linux, that an address lives here now.

Neighbours that keep the old owner's hardware address would send into the void
for minutes. Packets may get lost, so each is sent a few times; arping would wait
a second between two of them, here the whole takes 10 ms.
"""

from __future__ import annotations

import socket
import time
from itertools import islice

from flip.hooks import frames
from flip.hooks.request import Address

ROUNDS, PAUSE = 3, 0.005  # seconds between two rounds
ROUTES = 1000  # of a routing table that are looked at: a router may have a million
ETHERNET = 1  # ARPHRD_ETHER
ROUTE_GATEWAY = 0x2  # RTF_GATEWAY


def announce(interface: str, address: Address) -> None:
    """Announce an address on an interface; one that is not Ethernet has no neighbours to tell.

    :raises PermissionError: CAP_NET_RAW is missing.
    :raises OSError: the interface is gone or down.
    """
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
        packets.bind((interface, 0))
        mac, kind = packets.getsockname()[4], packets.getsockname()[3]
        if kind != ETHERNET:
            return
        sent = frames_for(interface, mac, address)
        for turn in range(ROUNDS):
            if turn:
                time.sleep(PAUSE)
            for frame in sent:
                packets.send(frame)


def frames_for(interface: str, mac: bytes, address: Address) -> list[bytes]:
    """Everything that announces an address, in the order of sending."""
    own = address.ip.packed
    if address.version == 4:
        asked = [frames.request_to(mac, own, gateway) for gateway in gateways4(interface)]
        return [frames.gratuitous_request(mac, own), frames.gratuitous_reply(mac, own), *asked]
    asked = [frames.solicitation_to(mac, own, gateway) for gateway in gateways6(interface)]
    return [frames.unsolicited_advertisement(mac, own, forwards(interface)), *asked]


def gateways4(interface: str) -> list[bytes]:
    """The IPv4 gateways of an interface's routes, each once."""
    found = []
    for line in _lines("/proc/net/route")[1:]:
        fields = line.split()
        if fields[0] == interface and int(fields[3], 16) & ROUTE_GATEWAY:
            # Printed as a number of this machine's byte order.
            found.append(socket.htonl(int(fields[2], 16)).to_bytes(4, "big"))
    return list(dict.fromkeys(found))


def gateways6(interface: str) -> list[bytes]:
    """The IPv6 gateways of an interface's routes, each once."""
    found = []
    for line in _lines("/proc/net/ipv6_route"):
        fields = line.split()
        if fields[9] == interface and int(fields[8], 16) & ROUTE_GATEWAY:
            found.append(bytes.fromhex(fields[4]))
    return list(dict.fromkeys(found))


def forwards(interface: str) -> bool:
    """Whether this host is an IPv6 router on an interface."""
    return _lines(f"/proc/sys/net/ipv6/conf/{interface}/forwarding") == ["1\n"]


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="ascii") as file:
            return list(islice(file, ROUTES))
    except FileNotFoundError:
        return []
