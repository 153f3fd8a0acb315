"""The kernel as one process of the simulation sees it: `flip.addresses.kernel.Kernel`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, succeed

from flip.addresses.kernel import Address, Assigned, Link, Observer, Put, Remove
from flip.addresses.pace import Pace
from flip.addresses.telling import Telling
from flip.errors import AddressError

if TYPE_CHECKING:
    from flip.simulation.machine import Machine
    from flip.simulation.reactor import VirtualReactor

AT_ONCE = 50  # changes that one call to the kernel makes
PROBE_LIMIT = 0.2  # seconds for which an answer to a probe is waited for

_Results = list[AddressError | None]


class SimulatedKernel:
    """Asks the stack of a process's machine, and hears what it tells.

    Like a real process it makes the first changes at once, by system calls, and those beyond
    `AT_ONCE` in steps between which other things happen to it. What the stack tells waits in
    a socket of a process that is frozen, and never comes to one that is dead. Where the
    machine's `overruns` make that socket too small, everything is asked for again. Observers
    are told by `flip.addresses.telling`, as the real kernel's are.
    """

    def __init__(self, machine: Machine, reactor: VirtualReactor) -> None:
        self._machine = machine
        self._stack = machine.stack
        self._segment = machine.world.segment
        self._reactor = reactor
        self._addresses: dict[Address, Assigned] = {}
        self._links: dict[str, Link] = {}
        self._telling = Telling(reactor, Pace(reactor), self._addresses, self._links)
        self._asked: dict[Deferred[_Results], tuple[_Results, int]] = {}
        self._runs = False

    def start(self) -> Deferred[None]:
        self._stack.watch(self)
        self._runs = True
        self._addresses.update(self._stack.dump())
        self._links.update(self._stack.links)
        self._telling.open()
        started: Deferred[None] = Deferred()
        self._tell(lambda: started.callback(None))
        return started

    def stop(self) -> None:
        self._runs = False
        self._stack.unwatch(self)
        self._telling.close()
        asked, self._asked = self._asked, {}
        for done, (results, count) in asked.items():
            done.callback([*results, *_unavailable(count - len(results))])

    def apply(self, changes: Sequence[Put | Remove]) -> Deferred[list[AddressError | None]]:
        if not self._runs:
            return succeed(_unavailable(len(changes)))
        done: Deferred[_Results] = Deferred()
        results: _Results = []
        self._asked[done] = results, len(changes)
        self._make(list(changes), results, done)
        return done

    def _make(
        self,
        changes: list[Put | Remove],
        results: _Results,
        done: Deferred[_Results],
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
        self._telling.observe(observer)

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
            self._addresses.pop(address, None)
        else:
            self._addresses[address] = assigned
        self._telling.touched(address)

    def _learn_link(self, name: str, link: Link | None) -> None:
        if link is None:
            self._links.pop(name, None)
        else:
            self._links[name] = link
        self._telling.touched(name)

    def _ask_again(self) -> None:
        links, addresses = self._stack.links, self._stack.dump()
        for name in list(self._links) + list(links):
            self._learn_link(name, links.get(name))
        for address in list(self._addresses) + list(addresses):
            self._learn(address, addresses.get(address))


def _unavailable(count: int) -> _Results:
    return [AddressError("(the kernel is not asked any more)")] * count
