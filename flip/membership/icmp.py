"""ICMP echo messages (RFC 792, RFC 4443): made, and read without trust.

    type 1 | code 1 | checksum 2 | identifier 2 | sequence 2 | tag 4 | nonce 8

The identifier tells one socket's answers from another's, where the kernel does not; the
nonce, random for every question, tells an answer from what a stranger makes up.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

TAG = b"flip"
SEQUENCES = 1 << 16

_HEADER = struct.Struct(">BBHHH4sQ")
_IPV4_HEADER = 20  # bytes, at least


class Kind(NamedTuple):
    """The types of one version of ICMP.

    :ivar summed: whether this process fills in and checks the checksum. In ICMPv6 it covers
        addresses that only the kernel knows, and is the kernel's business.
    """

    request: int
    reply: int
    summed: bool


V4 = Kind(8, 0, summed=True)
V6 = Kind(128, 129, summed=False)


class Reply(NamedTuple):
    """An echo reply that can be an answer to a question of this program."""

    identifier: int
    nonce: int


def request(kind: Kind, identifier: int, sequence: int, nonce: int) -> bytes:
    """An echo request."""
    fields = identifier, sequence % SEQUENCES, TAG, nonce
    blank = _HEADER.pack(kind.request, 0, 0, *fields)
    return _HEADER.pack(kind.request, 0, checksum(blank), *fields) if kind.summed else blank


def read_reply(kind: Kind, packet: bytes) -> Reply | None:
    """Parse an ICMP message; None for whatever is not a whole and intact echo reply of ours."""
    if len(packet) != _HEADER.size or (kind.summed and checksum(packet) != 0):
        return None
    type_, code, _, identifier, _, tag, nonce = _HEADER.unpack(packet)
    if (type_, code, tag) != (kind.reply, 0, TAG):
        return None
    return Reply(identifier, nonce)


def without_ip_header(packet: bytes) -> bytes:
    """The payload of an IPv4 packet, which is what a raw socket hands over; else nothing."""
    if len(packet) < _IPV4_HEADER or packet[0] >> 4 != 4:
        return b""
    length = (packet[0] & 0x0F) * 4
    return packet[length:] if length >= _IPV4_HEADER else b""


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071): 0 over data that carries its own."""
    total: int = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
