"""A kernel that does as the test says, on the test's clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from errno import ENODEV, EPERM, ETIME
from math import floor

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import Clock

from flip.addresses.kernel import Address, Assigned, Link, Observer, Put, Remove
from flip.errors import AddressError

MAC = b"\x02\x00\x00\x00\x00\x01"
ETH0 = Link(2, "eth0", MAC, up=True, announces=True)


def on(ip: str, prefix: int | None = None, interface: str = "eth0") -> Address:
    """An address in short."""
    return Address(interface, ip, prefix or (128 if ":" in ip else 32))


class FakeKernel:
    """A `flip.addresses.kernel.Kernel`.

    :ivar batches: what `apply` was told, batch by batch.
    :ivar announced: the time and the addresses of each announcement.
    :ivar probed: of what the neighbours were asked.
    :ivar refused: the error for each address that cannot be put or removed.
    :ivar slow: seconds that a batch takes.
    :ivar neighbours: who answers for an address that is probed.
    :ivar lacks: why it cannot be started.
    """

    def __init__(self, clock: Clock) -> None:
        self.batches: list[list[Put | Remove]] = []
        self.announced: list[tuple[float, tuple[Address, ...]]] = []
        self.probed: list[Address] = []
        self.refused: dict[Address, int] = {}
        self.slow = 0.0
        self.neighbours: dict[str, str] = {}
        self.lacks: str | None = None
        self.started = self.stopped = False
        self.silent = False  # the start takes for ever
        self.stalls = False  # this process stands still between the clock and the kernel
        self._clock = clock
        self._there: dict[Address, Assigned] = {}
        self._links = {"eth0": ETH0}
        self._observers: list[Observer] = []
        self._probes: list[IDelayedCall] = []

    def start(self) -> Deferred[None]:
        if self.lacks is not None:
            return fail(AddressError(self.lacks, EPERM))
        self.started = True
        return Deferred() if self.silent else succeed(None)

    def stop(self) -> None:
        self.stopped = True
        for probe in self._probes:
            if probe.active():
                probe.cancel()

    def apply(self, changes: Sequence[Put | Remove]) -> Deferred[list[AddressError | None]]:
        self.batches.append(list(changes))
        errors = [self._change(change) for change in changes]
        done: Deferred[list[AddressError | None]] = Deferred()
        if self.slow:
            self._clock.callLater(self.slow, done.callback, errors)
        else:
            done.callback(errors)
        return done

    def addresses(self) -> Mapping[Address, Assigned]:
        return self._there

    def links(self) -> Mapping[str, Link]:
        return self._links

    def announce(self, addresses: Iterable[Address]) -> Deferred[None]:
        self.announced.append((self._clock.seconds(), tuple(addresses)))
        return succeed(None)

    def probe(self, address: Address) -> Deferred[str | None]:
        self.probed.append(address)
        answer: Deferred[str | None] = Deferred()
        mac = self.neighbours.get(address.ip)
        self._probes.append(self._clock.callLater(0.01 if mac else 0.2, answer.callback, mac))
        return answer

    def observe(self, observer: Observer) -> None:
        self._observers.append(observer)

    # What the test does.

    def news(self) -> list[Put | Remove]:
        """What it was told since the last time, all batches together."""
        told = [change for batch in self.batches for change in batch]
        self.batches.clear()
        return told

    def ips(self) -> list[str]:
        """What is there."""
        return sorted(address.ip for address in self._there)

    def add(self, address: Address, assigned: Assigned | None = None) -> None:
        """Somebody else puts an address."""
        self._there[address] = assigned or Assigned()
        for observer in self._observers:
            observer.appeared(address, self._there[address])

    def take(self, address: Address) -> None:
        """Somebody else removes an address, or its lifetime ends."""
        del self._there[address]
        for observer in self._observers:
            observer.vanished(address)

    def link(self, name: str, link: Link | None) -> None:
        """An interface changes; what vanishes takes its addresses along."""
        if link is None:
            self._links.pop(name, None)
            for address in [one for one in self._there if one.interface == name]:
                self.take(address)
        else:
            self._links[name] = link
        for observer in self._observers:
            observer.link_changed(name, link)

    def _vanish(self, address: Address) -> None:
        if address not in self._there and not self.stopped:
            for observer in self._observers:
                observer.vanished(address)

    def _change(self, change: Put | Remove) -> AddressError | None:
        address = change.address
        if address in self.refused:
            return AddressError("refused", self.refused[address])
        if address.interface not in self._links:
            return AddressError("no such interface", ENODEV)
        if isinstance(change, Remove):
            if self._there.pop(address, None) is not None:
                self._clock.callLater(0, self._vanish, address)
            return None
        now, valid = self._clock.seconds(), change.valid
        if change.by is not None:
            valid = min(floor(change.by - now), valid or 0)
            if valid < 1:
                return AddressError("too late", ETIME)
        until = None if valid is None else now + valid
        self._there[address] = Assigned(until, change.label, marked=True)
        if self.stalls:
            return AddressError("it stood still", ETIME)
        return None
