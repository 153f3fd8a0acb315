"""Linux: its netlink for addresses and interfaces, its packet sockets for the neighbours."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from flip.addresses import capabilities
from flip.addresses.announcement import announcement
from flip.addresses.changes import Changes
from flip.addresses.exchange import Exchange
from flip.addresses.kernel import Address, Assigned, Link, Observer, Put, Remove
from flip.addresses.pace import Pace
from flip.addresses.packets import Packets
from flip.addresses.probe import AdvertisementReader, ArpReader, Asked, question
from flip.addresses.reader import Reader
from flip.addresses.sockets import HostSockets, Sockets
from flip.addresses.table import Table
from flip.addresses.telling import Telling
from flip.addresses.watch import Watch
from flip.errors import AddressError

PROBE_LIMIT = 0.2  # seconds; a neighbour on the same Ethernet answers within a few milliseconds


class LinuxKernel:
    """The kernel of this host; see `flip.addresses.kernel.Kernel` for what it does.

    :param probe_limit: how long a probe waits for an answer, in seconds.
    :param missing: says which capabilities this process lacks.
    """

    def __init__(
        self,
        reactor: Any,
        probe_limit: float = PROBE_LIMIT,
        sockets: Sockets | None = None,
        missing: Callable[[], Sequence[str]] = capabilities.missing,
    ) -> None:
        self._reactor = reactor
        self._sockets = sockets or HostSockets()
        self._missing = missing
        pace = Pace(reactor)
        self._table = Table(reactor.seconds, lambda what: self._telling.touched(what))
        self._telling = Telling(reactor, pace, self._table.addresses, self._table.links)
        self._exchange = Exchange(
            reactor, pace, lambda: self._sockets.netlink(0), lambda: self._watch.doubt()
        )
        self._watch = Watch(reactor, pace, self._table, self._exchange, self._sockets.netlink)
        self._changes = Changes(reactor.seconds, self._table, self._watch, self._exchange)
        self._packets = Packets(reactor, pace)
        self._asked = Asked(reactor, self._table.links, probe_limit)
        self._readers: list[Reader] = []

    def start(self) -> Deferred[None]:
        """Open the sockets and learn what is there."""
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        complaint = capabilities.complaint(self._missing())
        if complaint:
            raise AddressError(f"{complaint}.", errno.EPERM)
        try:
            self._open_packets()
            self._exchange.open()
            await self._watch.open()
        except AddressError:
            self.stop()
            raise
        self._telling.open()

    def stop(self) -> None:
        """Close the sockets."""
        self._telling.close()
        self._watch.close()
        self._exchange.close()
        self._asked.close()
        for reader in self._readers:
            reader.close()
        self._readers.clear()
        self._packets.close()

    def apply(self, changes: Sequence[Put | Remove]) -> Deferred[list[AddressError | None]]:
        """Make changes, in batches."""
        return self._changes.make(tuple(changes))

    def addresses(self) -> Mapping[Address, Assigned]:
        """What is there now."""
        return self._table.addresses

    def links(self) -> Mapping[str, Link]:
        """The interfaces by name."""
        return self._table.links

    def announce(self, addresses: Iterable[Address]) -> Deferred[None]:
        """Tell all neighbours once."""
        frames = announcement(addresses, self._table.links)
        return Deferred.fromCoroutine(self._packets.send(frames))

    def probe(self, address: Address) -> Deferred[str | None]:
        """Ask the neighbours once who has an address."""
        return Deferred.fromCoroutine(self._probe(address))

    async def _probe(self, address: Address) -> str | None:
        link = self._table.links.get(address.interface)
        if link is None or not link.up or not link.announces:
            return None
        frame = question(address, link.mac)
        answered = self._asked.wait(address)
        try:
            await self._packets.send([frame])
        except AddressError:
            answered.addErrback(lambda failure: failure.trap(CancelledError))
            answered.cancel()
            raise
        return await answered

    def observe(self, observer: Observer) -> None:
        """Tell an observer of all later changes."""
        self._telling.observe(observer)

    def _open_packets(self) -> None:
        try:
            self._packets.open(self._sockets.packets())
            arp = ArpReader(self._reactor, self._sockets.arp(), self._asked)
            self._readers.append(arp)
        except OSError as error:
            raise AddressError(
                f"There is no packet socket: {error.strerror}.", error.errno or 0
            ) from error
        try:
            sock = self._sockets.advertisements()
        except OSError as error:
            if error.errno != errno.EAFNOSUPPORT:
                raise AddressError(
                    f"There is no ICMPv6 socket: {error.strerror}.", error.errno or 0
                ) from error
            return  # this kernel has no IPv6, so no address of it is asked for
        self._readers.append(
            AdvertisementReader(self._reactor, sock, self._asked, self._table.name)
        )
