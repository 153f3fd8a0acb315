"""The Ethernet frames that tell neighbours where an address lives: bytes in, bytes out.

ARP is RFC 826 and RFC 5227, neighbour discovery RFC 4861. Hardware addresses are
6 bytes; protocol addresses 4 for ARP, 16 for neighbour discovery.
"""

from __future__ import annotations

import struct

ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
BROADCAST = b"\xff" * 6
REQUEST, REPLY = 1, 2  # ARP operations
ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
SOLICITED_NODE = bytes.fromhex("ff0200000000000000000001ff")  # and the target's last 3 bytes
ICMPV6 = 58
NEIGHBOUR_SOLICITATION, NEIGHBOUR_ADVERTISEMENT = 135, 136
CS6 = 0xC0  # the traffic class of network control (RFC 4594): not to queue behind bulk data
SOURCE_LINK_LAYER, TARGET_LINK_LAYER = 1, 2  # options
ROUTER, OVERRIDE = 1 << 31, 1 << 29  # flags of an advertisement


def arp(operation: int, mac: bytes, sender: bytes, target_mac: bytes, target: bytes) -> bytes:
    """An ARP packet as a broadcast frame."""
    header = BROADCAST + mac + ETHERTYPE_ARP.to_bytes(2, "big")
    kinds = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return header + kinds + mac + sender + target_mac + target


def gratuitous_request(mac: bytes, address: bytes) -> bytes:
    """ "Who has my address?": what most systems, and all switches, learn from."""
    return arp(REQUEST, mac, address, bytes(6), address)


def gratuitous_reply(mac: bytes, address: bytes) -> bytes:
    """ "My address is here", to everybody: some devices learn from replies only."""
    return arp(REPLY, mac, address, mac, address)


def request_to(mac: bytes, address: bytes, neighbour: bytes) -> bytes:
    """ "Who has the neighbour?" from my address: its target must remember who asked.

    For gateways that ignore gratuitous packets.
    """
    return arp(REQUEST, mac, address, bytes(6), neighbour)


def unsolicited_advertisement(mac: bytes, address: bytes, router: bool) -> bytes:
    """ "My address is here" to all nodes, with the override flag: forget the old place.

    :param router: whether this host forwards; neighbours stop using a router that
        says it is none.
    """
    flags = OVERRIDE | (ROUTER if router else 0)
    body = struct.pack("!BBHI", NEIGHBOUR_ADVERTISEMENT, 0, 0, flags) + address
    return discovery(mac, address, ALL_NODES, body + _option(TARGET_LINK_LAYER, mac))


def solicitation_to(mac: bytes, address: bytes, neighbour: bytes) -> bytes:
    """ "Who has the neighbour?" from my address; see `request_to`."""
    body = struct.pack("!BBHI", NEIGHBOUR_SOLICITATION, 0, 0, 0) + neighbour
    destination = SOLICITED_NODE + neighbour[-3:]
    return discovery(mac, address, destination, body + _option(SOURCE_LINK_LAYER, mac))


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071) of an even number of bytes."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _option(kind: int, mac: bytes) -> bytes:
    return bytes((kind, 1)) + mac  # length in units of 8 bytes


def discovery(mac: bytes, source: bytes, destination: bytes, message: bytes) -> bytes:
    """A message of neighbour discovery as a multicast frame; its checksum is filled in."""
    pseudo_header = source + destination + struct.pack("!II", len(message), ICMPV6)
    total = checksum(pseudo_header + message)
    message = message[:2] + total.to_bytes(2, "big") + message[4:]
    # Neighbours drop discovery that may have crossed a router: the hop limit must be 255.
    header = (
        struct.pack("!IHBB", 6 << 28 | CS6 << 20, len(message), ICMPV6, 255) + source + destination
    )
    ethernet = b"\x33\x33" + destination[-4:] + mac + ETHERTYPE_IPV6.to_bytes(2, "big")
    return ethernet + header + message
