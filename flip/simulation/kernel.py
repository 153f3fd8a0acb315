"""The kernel as one process of the simulation sees it: `flip.addresses.kernel.Kernel`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail, succeed

from flip.addresses.kernel import Address, Assigned, Link, Observer, Put, Remove
from flip.errors import AddressError

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.reactor import VirtualReactor

AT_ONCE = 50  # changes that one call to the kernel makes
PROBE_LIMIT = 0.2  # seconds for which an answer to a probe is waited for


class SimulatedKernel:
    """Asks the stack of a process's machine, and hears what it tells.

    Like a real process it makes the first changes at once, by system calls, and those beyond
    `AT_ONCE` in steps between which other things happen to it. What the stack tells waits in
    a socket of a process that is frozen, and never comes to one that is dead. Where the
    machine's `overruns` make that socket too small, everything is asked for again.
    """

    def __init__(self, machine: Machine, reactor: VirtualReactor) -> None:
        self._machine = machine
        self._stack = machine.stack
        self._segment = machine.world.segment
        self._reactor = reactor
        self._addresses: dict[Address, Assigned] = {}
        self._links: dict[str, Link] = {}
        self._observers: list[Observer] = []
        self._asked: dict[Deferred[list[AddressError | None]], None] = {}
        self._runs = False

    def start(self) -> Deferred[None]:
        self._stack.watch(self)
        self._runs = True
        self._addresses, self._links = self._stack.dump(), dict(self._stack.links)
        started: Deferred[None] = Deferred()
        self._tell(lambda: started.callback(None))
        return started

    def stop(self) -> None:
        self._runs = False
        self._stack.unwatch(self)
        asked, self._asked = self._asked, {}
        for done in asked:
            done.errback(_unavailable())

    def apply(self, changes: Sequence[Put | Remove]) -> Deferred[list[AddressError | None]]:
        if not self._runs:
            return fail(_unavailable())
        done: Deferred[list[AddressError | None]] = Deferred()
        self._asked[done] = None
        self._make(list(changes), [], done)
        return done

    def _make(
        self,
        changes: list[Put | Remove],
        results: list[AddressError | None],
        done: Deferred[list[AddressError | None]],
    ) -> None:
        results += map(self._stack.change, changes[:AT_ONCE])
        rest = changes[AT_ONCE:]

        def go_on() -> None:
            if rest:
                self._make(rest, results, done)
            else:
                del self._asked[done]
                done.callback(results)

        self._tell(go_on)

    def addresses(self) -> Mapping[Address, Assigned]:
        return self._addresses

    def links(self) -> Mapping[str, Link]:
        return self._links

    def announce(self, addresses: Iterable[Address]) -> Deferred[None]:
        for address in addresses:
            link = self._stack.links.get(address.interface)
            if link is not None and link.up and link.announces:
                self._segment.announce(self._machine, address)
        return succeed(None)

    def probe(self, address: Address) -> Deferred[str | None]:
        link = self._stack.links.get(address.interface)
        if link is None or not link.up or not link.announces:
            return succeed(None)
        found: Deferred[str | None] = Deferred()
        limit = self._reactor.callLater(PROBE_LIMIT, found.callback, None)

        def hear(mac: str) -> None:
            if limit.active():
                limit.cancel()
                found.callback(mac)

        for after, mac in self._segment.answers(self._machine, address.ip):
            arrives = partial(self._reactor.deliver, partial(hear, mac))
            self._machine.world.schedule(after, arrives)
        return found

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    def assigned(self, address: Address, assigned: Assigned) -> None:
        """Part of `flip.simulation.stack.Watcher`, as the next two."""
        self._hear(lambda: self._learn(address, assigned))

    def vanished(self, address: Address) -> None:
        self._hear(lambda: self._learn(address, None))

    def link_changed(self, name: str, link: Link | None) -> None:
        self._hear(lambda: self._learn_link(name, link))

    def _hear(self, news: Callable[[], None]) -> None:
        overruns = self._machine.overruns
        lost = overruns > 0 and self._machine.rng.random() < overruns
        self._tell(self._ask_again if lost else news)

    def _tell(self, news: Callable[[], None]) -> None:
        """Let the process read something, in the order in which it was said."""

        def read() -> None:
            if self._runs:
                news()

        self._reactor.deliver(read)

    def _learn(self, address: Address, assigned: Assigned | None) -> None:
        if assigned is None:
            if self._addresses.pop(address, None) is not None:
                for observer in self._observers:
                    observer.vanished(address)
        elif self._addresses.get(address) != assigned:
            new = address not in self._addresses
            self._addresses[address] = assigned
            if new:
                for observer in self._observers:
                    observer.appeared(address, assigned)

    def _learn_link(self, name: str, link: Link | None) -> None:
        if self._links.get(name) != link:
            if link is None:
                del self._links[name]
            else:
                self._links[name] = link
            for observer in self._observers:
                observer.link_changed(name, link)

    def _ask_again(self) -> None:
        links, addresses = dict(self._stack.links), self._stack.dump()
        for name in self._links.keys() | links.keys():
            self._learn_link(name, links.get(name))
        for address in self._addresses.keys() | addresses.keys():
            self._learn(address, addresses.get(address))


def _unavailable() -> AddressError:
    return AddressError("(the kernel is not asked any more)")
