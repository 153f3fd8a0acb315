"""Asks the neighbours who has an address, without saying that it could be here.

IPv4: an ARP probe, whose sender has no address (RFC 5227, 2.1.1). IPv6: a neighbour
solicitation from the unspecified address (RFC 4862, 5.4.2). Both leave the neighbours'
tables as they are, and whoever has the address answers.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred

from flip.addresses.kernel import Address, Link
from flip.addresses.packets import Frame
from flip.addresses.reader import Reader
from flip.addresses.rtnetlink import pack
from flip.addresses.sockets import (
    NEIGHBOUR_ADVERTISEMENT,
    Sock,
    listen_to_advertisements,
    listen_to_arp,
)
from flip.hooks import frames

READ = 256  # frames read in one turn of the reactor
SIZE = 256  # bytes of a frame or message that are read; all that matters is in the first 100
ARP = struct.Struct("!14x HHBBH 6s4s6s4s")  # an Ethernet header, then what RFC 826 says
ARP_START = (1, 0x0800, 6, 4)  # Ethernet and IPv4, with addresses of these sizes
ADVERTISEMENT = struct.Struct("!BBH I 16s")  # kind, code, checksum, flags, target
HOP_LIMIT, PACKET_INFO = 52, 50  # IPV6_HOPLIMIT, IPV6_PKTINFO
LINK_LOCAL_HOPS = 255  # what came over a router has fewer (RFC 4861, 7.1.2)


def question(address: Address, mac: bytes) -> Frame:
    """The frame that asks who has an address.

    :raises AddressError: there is no such address.
    """
    asked = pack(address.ip)
    if address.version == 4:
        return address.interface, frames.arp(frames.REQUEST, mac, bytes(4), bytes(6), asked)
    body = struct.pack("!BBHI", frames.NEIGHBOUR_SOLICITATION, 0, 0, 0) + asked
    destination = frames.SOLICITED_NODE + asked[-3:]
    return address.interface, frames.discovery(mac, bytes(16), destination, body)


def read_arp(frame: bytes) -> tuple[bytes, bytes] | None:
    """Who says that it has which IPv4 address, (MAC, address), in an ARP frame of any kind."""
    if len(frame) < ARP.size:
        return None
    *start, _, mac, sender, _, _ = ARP.unpack_from(frame)
    return (mac, sender) if tuple(start) == ARP_START and sender != bytes(4) else None


def read_advertisement(message: bytes) -> tuple[bytes, bytes] | None:
    """Who says that it has which IPv6 address, (MAC, address), in an ICMPv6 message."""
    if len(message) < ADVERTISEMENT.size:
        return None
    kind, code, _, _, target = ADVERTISEMENT.unpack_from(message)
    if kind != NEIGHBOUR_ADVERTISEMENT or code != 0:
        return None
    at = ADVERTISEMENT.size
    while at + 8 <= len(message) and message[at + 1]:
        if message[at] == frames.TARGET_LINK_LAYER:
            return message[at + 2 : at + 8], target
        at += 8 * message[at + 1]
    return None  # the answer to a multicast solicitation has it (RFC 4861, 7.2.4)


class Asked:
    """The questions that wait for an answer.

    :param links: the interfaces by name.
    :param limit: how long a question waits, in seconds.
    """

    def __init__(self, reactor: Any, links: Mapping[str, Link], limit: float) -> None:
        self._reactor = reactor
        self._links = links
        self._limit = limit
        self._waiting: dict[tuple[str, bytes], list[Deferred[str | None]]] = {}
        self.listen: list[Callable[[bool], None]] = []  # what to call with whether one waits

    def wait(self, address: Address) -> Deferred[str | None]:
        """Wait for an answer until the limit."""
        key = address.interface, pack(address.ip)
        answered: Deferred[str | None] = Deferred(lambda _: self._forget(key, answered))
        if not self._waiting:
            self._listen(True)
        self._waiting.setdefault(key, []).append(answered)
        return answered.addTimeout(self._limit, self._reactor, lambda _, limit: None)

    def hear(self, interface: str, mac: bytes, ip: bytes) -> None:
        """Somebody on an interface says that it has an address."""
        waiting = self._waiting.get((interface, ip))
        if waiting is None or any(link.mac == mac for link in self._links.values()):
            return
        self._end((interface, ip), waiting, mac.hex(":"))

    def close(self) -> None:
        """Nobody will answer any more."""
        for key, waiting in list(self._waiting.items()):
            self._end(key, waiting, None)

    def _end(
        self, key: tuple[str, bytes], waiting: list[Deferred[str | None]], mac: str | None
    ) -> None:
        for answered in list(waiting):
            self._forget(key, answered)
            answered.callback(mac)

    def _forget(self, key: tuple[str, bytes], answered: Deferred[str | None]) -> None:
        waiting = self._waiting[key]
        waiting.remove(answered)
        if not waiting:
            del self._waiting[key]
            if not self._waiting:
                self._listen(False)

    def _listen(self, listening: bool) -> None:
        for listen in self.listen:
            listen(listening)


class ArpReader(Reader):
    """Reads what neighbours say in ARP, while a question waits."""

    def __init__(self, reactor: Any, sock: Sock, asked: Asked) -> None:
        self._asked = asked
        asked.listen.append(lambda listening: listen_to_arp(sock, listening))
        super().__init__(reactor, sock)

    def read(self) -> None:
        """Read what is there."""
        for _ in range(READ):
            try:
                frame, _, _, sender = self.sock.recvmsg(SIZE, 0)
            except BlockingIOError:
                return
            said = read_arp(frame)
            if said is not None:
                self._asked.hear(sender[0], *said)


class AdvertisementReader(Reader):
    """Reads what neighbours say in neighbour discovery, while a question waits."""

    def __init__(
        self, reactor: Any, sock: Sock, asked: Asked, names: Callable[[int], str | None]
    ) -> None:
        self._asked = asked
        self._names = names
        asked.listen.append(lambda listening: listen_to_advertisements(sock, listening))
        super().__init__(reactor, sock)

    def read(self) -> None:
        """Read what is there."""
        for _ in range(READ):
            try:
                message, ancillary, _, _ = self.sock.recvmsg(SIZE, SIZE)
            except BlockingIOError:
                return
            about = {kind: data for _, kind, data in ancillary}
            said = read_advertisement(message)
            if said is None or about.get(HOP_LIMIT) != struct.pack("=i", LINK_LOCAL_HOPS):
                continue
            (number,) = struct.unpack_from("=16xI", about[PACKET_INFO])
            name = self._names(number)
            if name is not None:
                self._asked.hear(name, *said)
