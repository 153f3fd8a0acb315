"""The addresses and interfaces that are there, as far as the kernel has told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from flip.addresses.kernel import Address, Assigned, Link
from flip.addresses.rtnetlink import (
    DETECTION_FAILED,
    ETHERNET,
    LOOPBACK,
    NO_ARP,
    OPTIMISTIC,
    RUNNING,
    TENTATIVE,
    UP,
    AddressNews,
    LinkNews,
)

MAC_SIZE = 6  # bytes, Ethernet's
Content = dict[tuple[str, int], Assigned]  # of an interface: (ip, prefix): how


class Table:
    """Takes news in the order in which the kernel tells it.

    :ivar addresses: what is where; a view.
    :ivar links: the interfaces by name; a view.
    :ivar unpromoted: the interfaces, by number, where IPv4 addresses go with the first one of
        their subnet.
    :param now: the time in seconds.
    :param touched: is called with each address and interface's name that may have changed.
    """

    def __init__(self, now: Callable[[], float], touched: Callable[[Address | str], None]) -> None:
        self._now = now
        self._touched = touched
        self._addresses: dict[Address, Assigned] = {}
        self._links: dict[str, Link] = {}
        self._names: dict[int, str] = {}
        self._orphans: dict[int, Content] = {}  # of interfaces that have not been heard of yet
        self.addresses: Mapping[Address, Assigned] = MappingProxyType(self._addresses)
        self.links: Mapping[str, Link] = MappingProxyType(self._links)
        self.unpromoted: set[int] = set()
        self._lengths: set[int] = set()  # the prefix lengths that IPv6 addresses have had here

    def replace(self, links: Iterable[LinkNews], addresses: Iterable[AddressNews]) -> None:
        """Forget everything but this."""
        for address in list(self._addresses):
            self._drop(address)
        for link in list(self._links.values()):
            self._forget(link.number)
        self._orphans.clear()
        for link_news in links:
            self.link_there(link_news)
        for address_news in addresses:
            self.address_there(address_news)

    def link_there(self, news: LinkNews) -> None:
        """An interface is there, or has changed, perhaps its name."""
        old_name = self._names.get(news.number)
        name = news.name or old_name
        if name is None:
            return
        content: Content = self._orphans.pop(news.number, {})
        if old_name != name:
            content |= self._forget(news.number)
        if name in self._links and self._links[name].number != news.number:
            self._forget(self._links[name].number)  # the news of its end was lost, or comes late
        self._names[news.number] = name
        self._links[name] = self._link(name, news, self._links.get(name))
        self._touched(name)
        if news.promotes is not None:
            (self.unpromoted.discard if news.promotes else self.unpromoted.add)(news.number)
        for (ip, prefix), assigned in content.items():
            self._set(Address(name, ip, prefix), assigned)

    def link_gone(self, news: LinkNews) -> None:
        """An interface is gone, and all that was on it."""
        self._forget(news.number)
        self._orphans.pop(news.number, None)

    def address_there(self, news: AddressNews) -> None:
        """An address is there, or has another lifetime."""
        until = None if news.valid is None else self._now() + news.valid
        flagged = news.flags & (TENTATIVE | DETECTION_FAILED)
        serving = not flagged or bool(news.flags & OPTIMISTIC and flagged == TENTATIVE)
        label = news.label.partition(":")[2] or None  # without one it is the interface's name
        self.put(news.number, news.ip, news.prefix, Assigned(until, label, news.marked, serving))

    def address_gone(self, news: AddressNews) -> None:
        """An address is gone."""
        self.remove(news.number, news.ip, news.prefix)

    def put(self, number: int, ip: str, prefix: int, assigned: Assigned) -> None:
        """An address is there: on the interface of this number, if that is there still."""
        name = self._names.get(number)
        if name is None:
            self._orphans.setdefault(number, {})[ip, prefix] = assigned
        else:
            self._set(Address(name, ip, prefix), assigned)

    def remove(self, number: int, ip: str, prefix: int) -> None:
        """An address is not there."""
        name = self._names.get(number)
        if name is None:
            self._orphans.get(number, {}).pop((ip, prefix), None)
        else:
            self._drop(Address(name, ip, prefix))

    def name(self, number: int) -> str | None:
        """The name of an interface, None when it is not known."""
        return self._names.get(number)

    def other_prefix(self, address: Address) -> Address | None:
        """The same IPv6 address with another prefix length, if that is on the interface."""
        if address.version == 4 or address in self._addresses:
            return None
        others = (address._replace(prefix=length) for length in self._lengths)
        return next((other for other in others if other in self._addresses), None)

    def _set(self, address: Address, assigned: Assigned) -> None:
        self._addresses[address] = assigned
        if address.version == 6:
            self._lengths.add(address.prefix)
        self._touched(address)

    def _drop(self, address: Address) -> Assigned | None:
        self._touched(address)
        return self._addresses.pop(address, None)

    def _forget(self, number: int) -> Content:
        """Forget an interface; what was on it."""
        name = self._names.pop(number, None)
        if name is None:
            return {}
        del self._links[name]
        self._touched(name)
        self.unpromoted.discard(number)
        there = [address for address in self._addresses if address.interface == name]
        dropped = {(there.ip, there.prefix): self._drop(there) for there in there}
        return {key: assigned for key, assigned in dropped.items() if assigned}

    def _link(self, name: str, news: LinkNews, old: Link | None) -> Link:
        mac = news.mac if news.mac is not None else old.mac if old else b""
        silent = news.flags & (LOOPBACK | NO_ARP)
        announces = news.hardware == ETHERNET and len(mac) == MAC_SIZE and not silent
        up = bool(news.flags & UP and news.flags & RUNNING)
        return Link(news.number, name, mac, up, announces)
