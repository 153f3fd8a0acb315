"""Keeps the table of addresses and interfaces true, by the kernel's news or by asking again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from flip.addresses.exchange import Exchange
from flip.addresses.messages import Message, split
from flip.addresses.pace import Pace
from flip.addresses.reader import NetlinkReader
from flip.addresses.rtnetlink import (
    DELETE_ADDRESS,
    DELETE_LINK,
    IPV4_ADDRESSES,
    IPV6_ADDRESSES,
    LINKS,
    NEW_ADDRESS,
    NEW_LINK,
    AddressNews,
    LinkNews,
    all_addresses,
    all_links,
    read_address,
    read_link,
)
from flip.addresses.sockets import Sock
from flip.addresses.table import Table
from flip.errors import AddressError, MalformedMessage
from flip.log import Logger

GROUPS = LINKS | IPV4_ADDRESSES | IPV6_ADDRESSES
AGAIN = 1.0  # seconds until the kernel is asked again that could not be

_log = Logger()


class Watch:
    """Listens; whenever news were lost, lists everything and makes up the difference.

    :param opened: opens a socket that is a member of these groups.
    """

    def __init__(
        self,
        reactor: Any,
        pace: Pace,
        table: Table,
        exchange: Exchange,
        opened: Callable[[int], Sock],
    ) -> None:
        self._reactor = reactor
        self._pace = pace
        self._table = table
        self._exchange = exchange
        self._opened = opened
        self._reader: NetlinkReader | None = None
        self._later: list[Callable[[], None]] | None = None  # changes while all is being listed
        self._stale = False  # news were lost
        self._asking = False

    async def open(self) -> None:
        """Listen, and list what is there.

        :raises AddressError: it cannot be.
        """
        try:
            sock = self._opened(GROUPS)
        except OSError as error:
            raise AddressError(f"It gives no news: {error.strerror}.", error.errno or 0) from error
        self._reader = NetlinkReader(self._reactor, sock, self._pace, self._received, self.doubt)
        self._asking = self._stale = True
        try:
            while self._stale:
                await self._list()
        finally:
            self._asking = False

    def close(self) -> None:
        """Listen no more."""
        if self._reader:
            self._reader.close()
            self._reader = None

    def drain(self) -> None:
        """Hear what the kernel has told by now."""
        if self._reader:
            self._reader.drain()

    def change(self, change: Callable[[], None]) -> None:
        """Make a change of the table: now, and again on top of a listing that is under way."""
        if self._later is not None:
            self._later.append(change)
        change()

    def doubt(self) -> None:
        """News were lost: list everything again."""
        if not self._reader:
            return
        self._stale = True
        if not self._asking:
            self._asking = True
            Deferred.fromCoroutine(self._ask_again()).addErrback(
                lambda failure: _log.failure("an error in listing the addresses", failure)
            )

    async def _ask_again(self) -> None:
        try:
            while self._stale and self._reader:
                _log.warn("the kernel's news were lost: listing all addresses again")
                try:
                    await self._list()
                except AddressError as error:
                    self._stale = True
                    _log.error("{error} Asking again in {again} s.", error=error, again=AGAIN)
                    await deferLater(self._reactor, AGAIN)
        finally:
            self._asking = False

    async def _list(self) -> None:
        # When the queue runs over, the kernel drops news until it has been read to its end. Its
        # older news are part of the list: on top of that they would bring back what is gone.
        self.drain()
        self._stale, self._later = False, []
        try:
            links = await self._exchange.listing(all_links(), _link)
            addresses = await self._exchange.listing(all_addresses(), _address)
            # What happened meanwhile may be in the lists or not: it is done again, in order.
            self.drain()
            self._table.replace(links, addresses)
            for change in self._later:
                change()
        finally:
            self._later = None

    def _received(self, datagram: memoryview) -> None:
        try:
            for message in split(datagram):
                self._hear(message)
        except MalformedMessage as error:
            _log.warn("the kernel's news cannot be used: {error}", error=error)
            self.doubt()

    def _hear(self, message: Message) -> None:
        table = self._table
        if message.kind in (NEW_ADDRESS, DELETE_ADDRESS):
            address = read_address(message.payload)
            if address is not None:
                there = message.kind == NEW_ADDRESS
                take = table.address_there if there else table.address_gone
                self.change(lambda: take(address))
        elif message.kind in (NEW_LINK, DELETE_LINK):
            link = read_link(message.payload)
            if link is not None:
                heed = table.link_there if message.kind == NEW_LINK else table.link_gone
                self.change(lambda: heed(link))


def _link(message: Message) -> LinkNews | None:
    return read_link(message.payload) if message.kind == NEW_LINK else None


def _address(message: Message) -> AddressNews | None:
    return read_address(message.payload) if message.kind == NEW_ADDRESS else None
