"""The sockets of this layer, and how Linux opens them."""

from __future__ import annotations

import ctypes
import socket
import struct
from typing import Any, Protocol

NETLINK_ROUTE = 0
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
SO_PRIORITY, SO_ATTACH_FILTER, SO_RCVBUFFORCE = 12, 26, 33
INTERNETWORK_CONTROL = 6  # the priority that CS6 means on a VLAN or in a queueing discipline
ETHERTYPE_ARP = 0x0806
ICMPV6_FILTER, IPV6_RECVPKTINFO, IPV6_RECVHOPLIMIT = 1, 49, 51
NEIGHBOUR_ADVERTISEMENT = 136

# The kernel drops news when its queue is full: this one holds about 10,000 (measured), for the
# time in which this process stands still.
RECEIVE_BUFFER = 4 * 1024 * 1024  # bytes; the kernel doubles it
LARGEST = 256 * 1024  # bytes of one datagram; the kernel's own limit is smaller


class Sock(Protocol):
    """What is used of a `socket.socket`."""

    def fileno(self) -> int: ...
    def close(self) -> None: ...
    def send(self, data: bytes, /) -> int: ...
    def sendto(self, data: bytes, address: Any, /) -> int: ...
    def recvfrom_into(self, buffer: Any, nbytes: int, flags: int, /) -> tuple[int, Any]: ...
    def recvmsg(self, size: int, ancillary: int, /) -> tuple[bytes, list[Any], int, Any]: ...
    def setsockopt(self, level: int, option: int, value: Any, /) -> None: ...


class Sockets(Protocol):
    """Opens sockets; each call raises `OSError` where the kernel does not give one."""

    def netlink(self, groups: int) -> Sock:
        """To the kernel's routing tables, member of these groups."""

    def packets(self) -> Sock:
        """Sends Ethernet frames, receives none."""

    def arp(self) -> Sock:
        """Receives the ARP frames of all interfaces, once `listen_to_arp` says so."""

    def advertisements(self) -> Sock:
        """Receives ICMPv6, once `listen_to_advertisements` says so."""


class HostSockets:
    """The sockets of this host, all non-blocking."""

    def netlink(self, groups: int) -> socket.socket:
        opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE)
        try:
            opened.setblocking(False)
            _enlarge(opened)
            opened.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)
            opened.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
            opened.bind((0, groups))
        except OSError:
            opened.close()
            raise
        return opened

    def packets(self) -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, SO_PRIORITY, INTERNETWORK_CONTROL)
        return opened

    def arp(self) -> socket.socket:
        opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE_ARP))
        opened.setblocking(False)
        listen_to_arp(opened, False)
        return opened

    def advertisements(self) -> socket.socket:
        opened = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
        opened.setblocking(False)
        listen_to_advertisements(opened, False)
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        opened.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1)
        return opened


def listen_to_arp(sock: Sock, listening: bool) -> None:
    """Let the kernel drop all ARP here, or all that names no sender's address.

    A socket that is closed costs 8 to 28 ms of waiting for the kernel's readers, so it is kept.
    """
    load, equal, give = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
    sender = 14 + 14  # the sender's IPv4 address, after Ethernet's header
    program = (
        [(load, 0, 0, sender), (equal, 1, 0, 0), (give, 0, 0, 0xFFFF), (give, 0, 0, 0)]
        if listening
        else [(give, 0, 0, 0)]
    )
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
    held = ctypes.create_string_buffer(code, len(code))
    pointer = struct.pack("@HP", len(program), ctypes.addressof(held))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, pointer)


def listen_to_advertisements(sock: Sock, listening: bool) -> None:
    """Let the kernel drop all ICMPv6 here, or all but neighbours' advertisements."""
    blocked = [0xFFFFFFFF] * 8
    if listening:
        blocked[NEIGHBOUR_ADVERTISEMENT // 32] &= ~(1 << NEIGHBOUR_ADVERTISEMENT % 32)
    sock.setsockopt(socket.IPPROTO_ICMPV6, ICMPV6_FILTER, struct.pack("=8I", *blocked))


def _enlarge(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
