"""The rules about addresses: nodes must be able to bind them and to reach one another."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

from flip.config.parts import Parts
from flip.config.places import Fault, place, shown

Address = IPv4Address | IPv6Address


def normal(text: str) -> str:
    """An address in its one normal form."""
    return str(ip_address(text))


def faults(parts: Parts, id: str | None) -> Iterator[Fault]:
    """Addresses that cannot be used, at all or together."""
    for name, server in parts.servers.items():
        if "ip" in server:
            message = _unusable(ip_address(server["ip"])) or _unreachable(ip_address(server["ip"]))
            if message:
                yield Fault(("servers", name, "ip"), f"{shown(server['ip'])} {message}")
    yield from _shared(parts)
    yield from _families(parts)
    yield from _bind(parts, id)


def _unusable(address: Address) -> str | None:
    """Why a node can neither bind an address nor be reached there."""
    if address.is_multicast or str(address) == "255.255.255.255":
        return "is an address of many hosts; expected that of one"
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return f'is IPv4 inside IPv6; write "{address.ipv4_mapped}"'
    if address.is_link_local or address.scope_id is not None:
        # fe80::1%eth0 is on another link on every host that reads the file.
        return "is valid on one link only; take a global or unique local address (fd00::/8)"
    return None


def _unreachable(address: Address) -> str | None:
    """Why others cannot send to an address that can be bound."""
    if address.is_unspecified:
        return 'stands for every address; give the one that the others send to (see "bind")'
    return None


def _shared(parts: Parts) -> Iterator[Fault]:
    first: dict[tuple[str, int], str] = {}
    for id, server in parts.servers.items():
        if "ip" not in server or "port" not in server:
            continue
        where = normal(server["ip"]), int(server["port"])
        if where in first:
            other = place(("servers", first[where]))
            message = f"{where[0]} port {where[1]} is that of {other} too; give each its own"
            yield Fault(("servers", id, "port"), message)
        first.setdefault(where, id)


def _families(parts: Parts) -> Iterator[Fault]:
    first: tuple[str, Address] | None = None
    for id, server in parts.servers.items():
        if "ip" not in server:
            continue
        address = ip_address(server["ip"])
        if first is None:
            first = id, address
        elif address.version != first[1].version:
            message = (
                f"{address} is IPv{address.version}, but that of {place(('servers', first[0]))} is"
                f" IPv{first[1].version}: a node binds one address and reaches only its own kind"
            )
            yield Fault(("servers", id, "ip"), message)


def _bind(parts: Parts, id: str | None) -> Iterator[Fault]:
    if "bind" not in parts.top:
        return
    address = ip_address(parts.top["bind"])
    ip = parts.servers.get(id or "", {}).get("ip")
    message = _unusable(address)
    if message:
        yield Fault(("bind",), f"{shown(parts.top['bind'])} {message}")
    elif ip is not None and ip_address(ip).version != address.version:
        where = place(("servers", str(id), "ip"))
        message = f"{address} is IPv{address.version}, but {where} is {ip}: take the same kind"
        yield Fault(("bind",), message)
