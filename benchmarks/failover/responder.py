"""What runs in each node's namespace: it answers probes, and tells of addresses that come and go.

Standard output gets a line per event: the time (CLOCK_MONOTONIC, which all
namespaces share), ``+`` or ``-``, the address. It ends when standard input does.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from collections.abc import Iterator

from benchmarks.failover.datagrams import PORT, Echo, udp
from benchmarks.failover.realtime import hurry

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=B3xI8x")
_ADDRESS = struct.Struct("=BBBBI")  # struct ifaddrmsg
_ATTRIBUTE = struct.Struct("=HH")
NEW, GONE, GET = 20, 21, 22  # RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR
GROUPS = 0x10 | 0x100  # RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
DUMP = 0x301  # NLM_F_REQUEST, NLM_F_DUMP
LOCAL = {socket.AF_INET: 2, socket.AF_INET6: 1}  # IFA_LOCAL, IFA_ADDRESS


def changes(data: bytes) -> Iterator[tuple[bool, str]]:
    """Addresses in messages of the kernel: (whether it is there now, address)."""
    offset = 0
    while offset + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size:
            raise ValueError(f"a netlink message of {length} octets")
        if kind in (NEW, GONE):
            message = data[offset + _HEADER.size : offset + length]
            family = message[0]
            for name, value in _attributes(message[_ADDRESS.size :]):
                if name == LOCAL.get(socket.AddressFamily(family)):
                    yield kind == NEW, socket.inet_ntop(family, value)
        offset += _aligned(length)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + _ATTRIBUTE.size <= len(data):
        length, name = _ATTRIBUTE.unpack_from(data, offset)
        yield name, data[offset + _ATTRIBUTE.size : offset + length]
        offset += max(_ATTRIBUTE.size, _aligned(length))


def _aligned(length: int) -> int:
    return length + 3 & ~3


def events() -> socket.socket:
    """A socket with all addresses that are there, and each change from now on."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    kernel.setsockopt(socket.SOL_SOCKET, 33, 1 << 26)  # SO_RCVBUFFORCE
    kernel.bind((0, GROUPS))
    request = _HEADER.pack(_HEADER.size + _ADDRESS.size, GET, DUMP, 1, 0)
    kernel.send(request + _ADDRESS.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
    return kernel


def waiting(kernel: socket.socket) -> Iterator[bytes]:
    """All datagrams that wait: what is told of one event must not be late for that of another."""
    with contextlib.suppress(BlockingIOError):
        while True:
            yield kernel.recv(1 << 16, socket.MSG_DONTWAIT)


def main() -> None:
    """Answer as the node whose number is the argument."""
    hurry()
    server, kernel, ending = udp(PORT, asked=True), events(), sys.stdin.fileno()
    echo = Echo(server, int(sys.argv[1]))
    here: set[str] = set()
    while True:
        ready, _, _ = select.select([server, kernel, ending], [], [])
        for data in waiting(kernel):
            now = time.monotonic()
            for present, address in changes(data):
                if present != (address in here):  # a renewed one is no news
                    here ^= {address}
                    print(f"{now:.6f}", "+" if present else "-", address, flush=True)
        echo.answer()
        if ending in ready:
            return


if __name__ == "__main__":
    main()
