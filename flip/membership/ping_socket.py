"""Sockets that can ping: of which kind this process may have one, and what is missing if none.

Linux has sockets for pings (SOCK_DGRAM, IPPROTO_ICMP) that need no privilege but a group in
`net.ipv4.ping_group_range` (which is for IPv6, too); everywhere else it takes a raw one.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from flip.errors import CannotPing
from flip.membership.port import mark

GROUPS = "net.ipv4.ping_group_range"

IP_RECVERR = 11  # Linux, <linux/in.h>
IPV6_RECVERR = 25  # <linux/in6.h>
MSG_ERRQUEUE = 0x2000  # <linux/socket.h>
_EXTENDED_ERROR = struct.Struct("=IBBBBII")  # struct sock_extended_err, <linux/errqueue.h>
_ERRORS = {(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)}
_NOT_PERMITTED = (errno.EPERM, errno.EACCES)
_NOT_KNOWN = (errno.EPROTONOSUPPORT, errno.EINVAL, errno.EPROTOTYPE, errno.ESOCKTNOSUPPORT)


class PingSocket(NamedTuple):
    """:ivar raw: it gets the answers to everybody's pings, IPv4's with the IP header."""

    socket: socket.socket
    raw: bool


def open_ping_socket(family: int) -> PingSocket:
    """A socket that does not block, marked CS6; the caller closes it.

    :raises CannotPing: this process may have none; says what is missing.
    :raises OSError: the host has no such family, or no descriptor left.
    """
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
        try:
            opened = socket.socket(family, kind, protocol)
        except OSError as error:
            if error.errno not in _NOT_PERMITTED + _NOT_KNOWN:
                raise
            continue
        opened.setblocking(False)
        mark(opened)
        _report_errors(opened)
        return PingSocket(opened, raw=kind == socket.SOCK_RAW)
    raise CannotPing(
        f"It takes CAP_NET_RAW (systemd: AmbientCapabilities=CAP_NET_RAW), or a group of this"
        f" process (it has {_groups()}) in {GROUPS}: sysctl -w {GROUPS}='0 2147483647'."
    )


def complaint(families: Iterable[int]) -> str | None:
    """Why this process could not ping addresses of these families; None: it can."""
    for family in sorted(set(families)):
        try:
            open_ping_socket(family).socket.close()
        except CannotPing as error:
            return str(error)
        except OSError as error:
            return f"there are no sockets of this kind: {error.strerror}"
    return None


def reported(opened: socket.socket) -> list[tuple[str, str]]:
    """What came back in place of answers: addresses, and what is wrong with them.

    Reading them is also what keeps the kernel from waking this process again.
    """
    found: list[tuple[str, str]] = []
    while True:
        try:
            _, controls, _, address = opened.recvmsg(1024, 512, MSG_ERRQUEUE)
        except OSError:  # there are no more; what the error was, is in the queue or not known
            return found
        for level, kind, data in controls:
            if (level, kind) in _ERRORS and len(data) >= _EXTENDED_ERROR.size:
                number = _EXTENDED_ERROR.unpack_from(data)[0]
                found.append((asked(address), os.strerror(number)))


def asked(address: tuple[Any, ...]) -> str:
    """An address as configurations have it: one that one link understands, with the link."""
    host: str = address[0]
    scope = address[3] if len(address) == 4 else 0
    return f"{host}%{socket.if_indextoname(scope)}" if scope and "%" not in host else host


def _report_errors(opened: socket.socket) -> None:
    """Have ICMP errors wait in a queue of their own: "no route to host" says more than silence."""
    try:
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            opened.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    except OSError:
        pass  # not Linux: silence it is


def _groups() -> str:
    return ", ".join(str(group) for group in sorted({os.getegid(), *os.getgroups()}))
