"""What the rest of flip asks of the kernel, and hears from it, about IP addresses.

`flip.addresses.linux.LinuxKernel` is the real one; the simulation has one on virtual time.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

from twisted.internet.defer import Deferred

from flip.errors import AddressError

# What marks an address of flip's in the kernel (IFA_PROTO, since Linux 5.18), for IPv4 and IPv6
# alike. Up to 3 are the kernel's own, see rt_addrprotos of iproute2.
PROTOCOL = 0xF1
LONGEST_LABEL = 15  # bytes of "INTERFACE:LABEL" (IFNAMSIZ without its closing zero)


class Address(NamedTuple):
    """One address on one interface: its identity, for the kernel and for flip.

    :ivar interface: the name of the interface, not one of its alternative names.
    :ivar ip: as `ipaddress` spells it.
    :ivar prefix: the length of the network's part, in bits.
    """

    interface: str
    ip: str
    prefix: int

    @property
    def version(self) -> int:
        """4 or 6."""
        return 6 if ":" in self.ip else 4

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix} on {self.interface}"


class Assigned(NamedTuple):
    """How an address that is there was put there.

    :ivar until: when its lifetime ends, in seconds of the reactor; None: never. The kernel looks
        at most once a second, so it may remove the address up to a second later; and it tells
        whole seconds only, rounded up, so that this may itself be up to a second late.
    :ivar label: what follows ``INTERFACE:`` in an IPv4 address's label; IPv6 has none.
    :ivar marked: whether it has flip's `PROTOCOL`; before Linux 5.18 none has.
    :ivar serving: whether the kernel answers for it: it does not while duplicate address
        detection runs, or has failed.
    """

    until: float | None = None
    label: str | None = None
    marked: bool = False
    serving: bool = True


class Put(NamedTuple):
    """Add an address, or give one that is there this lifetime.

    IPv6 gets no duplicate address detection; a /128 is never the source of this host's own
    packets (it is born deprecated: preferred lifetime 0).

    :ivar valid: for how many seconds (1 ... 2**32 - 2) the kernel keeps it; None: for ever.
    :ivar label: IPv4 only, see `label_fits`; one that is there keeps the label that it has.
    :ivar by: when the lifetime has to end at the latest, in seconds of the reactor: it is cut down
        to that when the kernel is told, however long others were told before. Where no whole
        second is left, the change is refused with ``ETIME``; so it is when this process stood
        still while the kernel was told, and then the address may be there, and has to go.
    """

    address: Address
    valid: int | None = None
    label: str | None = None
    by: float | None = None


class Remove(NamedTuple):
    """Remove an address and nothing else; one that is not there is removed already."""

    address: Address


class Link(NamedTuple):
    """An interface.

    :ivar number: its index; one that went and came back has another.
    :ivar mac: its hardware address, 6 bytes for Ethernet; empty when it has none.
    :ivar up: whether it is up and has a carrier: its addresses can be reached.
    :ivar announces: whether it has neighbours to tell: Ethernet, not ``lo``, not NOARP.
    """

    number: int
    name: str
    mac: bytes
    up: bool
    announces: bool


class Observer(Protocol):
    """Hears what changed, whoever changed it, after the kernel did.

    Never called from inside a call to the kernel; what it raises is logged.
    """

    def appeared(self, address: Address, assigned: Assigned) -> None:
        """An address is there that was not; a renewed lifetime is no news."""

    def vanished(self, address: Address) -> None:
        """An address is gone: removed, run out, or its interface is gone."""

    def link_changed(self, name: str, link: Link | None) -> None:
        """An interface appeared, changed, or (None) is gone."""


class Kernel(Protocol):
    """Puts, removes, announces and watches the addresses of this host."""

    def start(self) -> Deferred[None]:
        """Begin; fires when what is there now is known, of which no observer is told.

        Fails with `AddressError` when the kernel cannot be asked or a capability is missing.
        """

    def stop(self) -> None:
        """End; addresses stay, observers hear nothing more, what is under way fails."""

    def apply(self, changes: Sequence[Put | Remove]) -> Deferred[list[AddressError | None]]:
        """Make changes, in this order and after those of earlier calls, in batches.

        Fires with what became of each of them; None: it is so now. It never fails: where nothing
        can be done, every change says why.
        """

    def addresses(self) -> Mapping[Address, Assigned]:
        """What is there now, as far as the kernel told; a view, do not keep it."""

    def links(self) -> Mapping[str, Link]:
        """The interfaces by name; a view, do not keep it."""

    def announce(self, addresses: Iterable[Address]) -> Deferred[None]:
        """Tell all neighbours, once and now, that these addresses are here.

        Those on interfaces that are gone, are down or have no neighbours are left out:
        announce again when the link comes up. Fails with `AddressError` when the kernel refuses.
        """

    def probe(self, address: Address) -> Deferred[str | None]:
        """Ask the neighbours once whether somebody else has an address.

        Fires with the MAC of the first who answers, or None at the end of the limit, or at once
        where nobody can be asked. Fails with `AddressError` when the kernel refuses.
        """

    def observe(self, observer: Observer) -> None:
        """Tell an observer of all later changes."""


def label_fits(interface: str, label: str) -> bool:
    """Whether an IPv4 address on this interface can have this label."""
    return (
        bool(label)
        and "\0" not in label
        and len(os.fsencode(f"{interface}:{label}")) <= LONGEST_LABEL
    )
