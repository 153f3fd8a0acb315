"""What a call is about: from a data point's members and its `config` to the kernel's addresses."""

from __future__ import annotations

import json
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_interface
from typing import NamedTuple

from flip.addresses.kernel import Address, label_fits
from flip.config.address_words import DEFAULT_LABEL
from flip.errors import HookFailed

REMEMBERED = 10_000  # assignments; to read one takes longer than to have it carried out


class Assignment(NamedTuple):
    """The addresses of one data point, in order.

    :ivar label: of those of IPv4; None: they have none.
    """

    addresses: tuple[Address, ...]
    label: str | None

    @property
    def interface(self) -> str:
        """Where all of them belong."""
        return self.addresses[0].interface


class _Place(NamedTuple):
    interface: str
    prefix: int | None
    label: str | None


@lru_cache(maxsize=REMEMBERED)
def assignment(members: tuple[str, ...], config: str) -> Assignment:
    """Read what `flip.config.address_provider` has checked, or an earlier configuration's.

    :param config: JSON text.
    :raises HookFailed: these are no addresses, or there is no interface for them: what the
        journal names may be of another flip.
    """
    place = _place(config)
    addresses = tuple(_address(member, place) for member in members)
    return Assignment(addresses, place.label)


def _address(member: str, place: _Place) -> Address:
    try:
        ip, prefix = _read(member)
    except ValueError as error:
        raise HookFailed(f"address: {error}") from None
    longest = ip.max_prefixlen
    return Address(place.interface, str(ip), min(prefix or place.prefix or longest, longest))


def _read(member: str) -> tuple[IPv4Address | IPv6Address, int | None]:
    if "/" not in member:  # to look for a network takes four times as long
        return ip_address(member), None
    read = ip_interface(member)
    return read.ip, read.network.prefixlen


@lru_cache(maxsize=256)
def _place(config: str) -> _Place:
    try:
        read = json.loads(config)
        interface, prefix, label = (read.get(key) for key in ("interface", "prefix", "label"))
    except (ValueError, AttributeError):
        raise HookFailed(f"address: the config is no JSON object: {config!r:.200}") from None
    if not isinstance(interface, str) or not interface:
        raise HookFailed("address: the config names no interface")
    name = label if isinstance(label, str) else DEFAULT_LABEL
    return _Place(
        interface,
        int(prefix) if isinstance(prefix, int | float) else None,
        name if label_fits(interface, name) else None,
    )
