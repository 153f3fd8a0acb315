"""The network stack of a machine: links and addresses, which outlive processes."""

from __future__ import annotations

import errno
import math
import random
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple, Protocol

from flip.addresses.kernel import Address, Assigned, Link, Put, Remove
from flip.errors import AddressError
from flip.simulation.clock import Agenda, Clock
from flip.simulation.lifetimes import Lifetimes


class Watcher(Protocol):
    """Hears at once of every change."""

    def assigned(self, address: Address, assigned: Assigned) -> None:
        """An address is there, or has another lifetime."""

    def vanished(self, address: Address) -> None:
        """An address is gone."""

    def link_changed(self, name: str, link: Link | None) -> None:
        """A link came, changed, or (None) is gone."""


class _Entry(NamedTuple):
    """How an address is there.

    :ivar end: of its lifetime, by the machine's clock.
    """

    end: float
    label: str | None
    marked: bool


class Stack:
    """What the kernel of one machine knows of links and addresses.

    :param interfaces: the names of its network interfaces, all of them up.
    :param number: tells its MAC addresses from those of other machines.
    :ivar refuses: says which changes fail.
    :ivar lapsing: called with an address whose lifetime is over, before it vanishes.
    """

    def __init__(
        self,
        agenda: Agenda,
        clock: Clock,
        rng: random.Random,
        interfaces: Collection[str],
        number: int = 0,
    ) -> None:
        self.refuses: Callable[[Put | Remove], bool] = lambda change: False
        self.lapsing: Callable[[Address], None] = lambda address: None
        self._clock = clock
        self._number = number
        self._made = 0  # interfaces, so far
        self._links: dict[str, Link] = {}
        self._entries: dict[Address, _Entry] = {}
        self._watchers: list[Watcher] = []
        self._lifetimes = {
            version: Lifetimes(agenda, clock, rng, self._lapse) for version in (4, 6)
        }
        for name in interfaces:
            self.plug_in(name)

    @property
    def links(self) -> Mapping[str, Link]:
        """The interfaces, by name."""
        return self._links

    def __contains__(self, address: Address) -> bool:
        return address in self._entries

    def reachable(self, address: Address) -> bool:
        """Whether an address is there, and its link up."""
        return address in self._entries and self._links[address.interface].up

    def mac_of(self, ip: str) -> str | None:
        """What neighbours who ask for an address are told, None for no answer."""
        for address in self._entries:
            if address.ip == ip and self.reachable(address):
                return self._links[address.interface].mac.hex(":")
        return None

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of all changes from now on."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Tell it no more; nothing happens to one that was told nothing."""
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def dump(self) -> dict[Address, Assigned]:
        """Everything that is there; as in Linux, of what is left of a lifetime whole seconds."""
        return {address: self._told(entry) for address, entry in self._entries.items()}

    def change(self, change: Put | Remove) -> AddressError | None:
        """What a process asks for; returns why it is not done."""
        address = change.address
        if self.refuses(change):
            return AddressError(f"({address}: no buffer space available)", errno.ENOBUFS)
        if isinstance(change, Remove):
            self.remove(address)
        elif address.interface not in self._links:
            return AddressError(f"({address}: no such device)", errno.ENODEV)
        else:
            valid = self._seconds(change)
            if valid is not None and valid < 1:
                return AddressError(f"({address}: its time is over)", errno.ETIME)
            self._put(change, valid)
        return None

    def _seconds(self, put: Put) -> int | None:
        """The lifetime that is asked for, as far as it ends in time."""
        if put.by is None:
            return put.valid
        left = math.floor(put.by - self._clock.seconds())
        return left if put.valid is None else min(put.valid, left)

    def _put(self, put: Put, valid: int | None) -> None:
        address = put.address
        there = self._entries.get(address)
        end = math.inf if valid is None else self._clock.seconds() + valid
        label = put.label if there is None else there.label
        entry = self._entries[address] = _Entry(end, label, marked=True)
        for watcher in list(self._watchers):
            watcher.assigned(address, self._told(entry))
        self._lifetimes[address.version].begin(address, valid)

    def remove(self, address: Address) -> None:
        """An address is removed, whoever does it, or its time is over."""
        if self._entries.pop(address, None) is not None:
            self._lifetimes[address.version].forget(address)
            for watcher in list(self._watchers):
                watcher.vanished(address)

    def _lapse(self, address: Address) -> None:
        self.lapsing(address)
        self.remove(address)

    def set_link(self, name: str, *, up: bool) -> None:
        """A link gets or loses its carrier; its addresses stay."""
        link = self._links.get(name)
        if link is not None and link.up != up:
            self._links[name] = link._replace(up=up)
            self._tell_link(name)

    def pull_out(self, name: str) -> None:
        """An interface vanishes, and its addresses with it."""
        if name in self._links:
            for address in [one for one in self._entries if one.interface == name]:
                self.remove(address)
            del self._links[name]
            self._tell_link(name)

    def plug_in(self, name: str) -> None:
        """An interface comes, or comes back with another index."""
        if name not in self._links:
            self._made += 1
            mac = bytes((2, 0, 0, *self._number.to_bytes(2, "big"), self._made % 256))
            self._links[name] = Link(self._made + 1, name, mac, up=True, announces=name != "lo")
            self._tell_link(name)

    def lose_power(self) -> None:
        """All addresses are gone."""
        for address in list(self._entries):
            self.remove(address)

    def replan(self) -> None:
        """The machine's clock goes at another speed from now on."""
        for lifetimes in self._lifetimes.values():
            lifetimes.replan()

    def _told(self, entry: _Entry) -> Assigned:
        if entry.end == math.inf:
            return Assigned(None, entry.label, entry.marked)
        now = self._clock.seconds()
        return Assigned(now + math.floor(max(0.0, entry.end - now)), entry.label, entry.marked)

    def _tell_link(self, name: str) -> None:
        for watcher in list(self._watchers):
            watcher.link_changed(name, self._links.get(name))
