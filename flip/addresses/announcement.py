"""The frames that tell all neighbours where addresses are.

IPv4: a gratuitous ARP request and reply (RFC 5227, RFC 5944 4.6; devices differ in which they
learn from). IPv6: an unsolicited neighbour advertisement with the override flag (RFC 4861
7.2.6). Beside that each gateway of the interface is asked something by the address, because
some heed only who asks them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from flip.addresses.kernel import Address, Link
from flip.addresses.packets import Frame
from flip.addresses.rtnetlink import pack
from flip.hooks import frames
from flip.hooks.announce import forwards, gateways4, gateways6


def announcement(addresses: Iterable[Address], links: Mapping[str, Link]) -> Iterator[Frame]:
    """Everything to send, for the addresses that have neighbours, one after another.

    :raises AddressError: there is no such address.
    """
    surroundings: dict[tuple[str, int], tuple[list[bytes], bool]] = {}
    for address in addresses:
        interface, version = address.interface, address.version
        link = links.get(interface)
        if link is None or not link.up or not link.announces:
            continue
        if (interface, version) not in surroundings:
            surroundings[interface, version] = _surroundings(interface, version)
        gateways, routing = surroundings[interface, version]
        own = pack(address.ip)
        if version == 4:
            yield interface, frames.gratuitous_request(link.mac, own)
            yield interface, frames.gratuitous_reply(link.mac, own)
            for gateway in gateways:
                yield interface, frames.request_to(link.mac, own, gateway)
        else:
            yield interface, frames.unsolicited_advertisement(link.mac, own, routing)
            for gateway in gateways:
                yield interface, frames.solicitation_to(link.mac, own, gateway)


def _surroundings(interface: str, version: int) -> tuple[list[bytes], bool]:
    """The gateways of an interface, and whether this host is an IPv6 router there."""
    if version == 4:
        return gateways4(interface), False
    return gateways6(interface), forwards(interface)
