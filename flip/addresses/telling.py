"""Tells observers what is different since they were last told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from flip.addresses.kernel import Address, Assigned, Link, Observer
from flip.addresses.pace import Pace
from flip.log import Logger

_log = Logger()


class Telling:
    """Remembers what was told; in a turn of the reactor of its own it tells the difference.

    So an address that went and came back meanwhile is no news, and nobody is told of old news
    that was read late.
    """

    def __init__(
        self,
        reactor: Any,
        pace: Pace,
        addresses: Mapping[Address, Assigned],
        links: Mapping[str, Link],
    ) -> None:
        self._reactor = reactor
        self._pace = pace
        self._addresses = addresses
        self._links = links
        self._observers: list[Observer] = []
        self._told_addresses: set[Address] = set()
        self._told_links: dict[str, Link] = {}
        self._touched: dict[Address | str, None] = {}  # in the order of the news
        self._telling = self._open = False

    def observe(self, observer: Observer) -> None:
        """Tell this one, too."""
        self._observers.append(observer)

    def open(self) -> None:
        """Tell of all that changes from now on; what is there is known."""
        self._touched.clear()
        self._told_addresses = set(self._addresses)
        self._told_links = dict(self._links)
        self._open = True

    def close(self) -> None:
        """Tell nothing more."""
        self._open = False
        self._touched.clear()

    def touched(self, what: Address | str) -> None:
        """An address, or the interface of a name, may have changed."""
        if self._open:
            self._touched[what] = None
            if not self._telling:
                self._telling = True
                self._reactor.callLater(0, self._begin)

    def _begin(self) -> None:
        Deferred.fromCoroutine(self._tell()).addErrback(
            lambda failure: _log.failure("an error in telling what changed", failure)
        )

    async def _tell(self) -> None:
        while self._touched:
            await self._pace.turn()
            what = next(iter(self._touched), None)  # it may have been closed meanwhile
            if what is not None:
                del self._touched[what]
                self._compare(what)
        self._telling = False

    def _compare(self, what: Address | str) -> None:
        if isinstance(what, str):
            link = self._links.get(what)
            if link == self._told_links.get(what):
                return
            if link is None:
                del self._told_links[what]
            else:
                self._told_links[what] = link
            self._each(lambda observer: observer.link_changed(what, link))
        elif (assigned := self._addresses.get(what)) is None:
            if what in self._told_addresses:
                self._told_addresses.discard(what)
                self._each(lambda observer: observer.vanished(what))
        elif what not in self._told_addresses:
            self._told_addresses.add(what)
            self._each(lambda observer: observer.appeared(what, assigned))

    def _each(self, tell: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            maybeDeferred(tell, observer).addErrback(
                lambda failure: _log.failure("an error in hearing of an address", failure)
            )
