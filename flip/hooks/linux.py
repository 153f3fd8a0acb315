"""Adds and removes addresses on Linux with iproute2's `ip`."""

from __future__ import annotations

import ipaddress
import socket

from flip.hooks.announce import announce
from flip.hooks.failure import CAPABILITIES, REFUSED, Failure
from flip.hooks.request import Address
from flip.hooks.secondaries import removal, safe_neighbours
from flip.hooks.tool import Tool

Place = tuple[Address, str]  # an address with its prefix length, and where it is


def up(address: Address, interface: str) -> list[str]:
    """Add an address unless it is there; announce it in either case.

    :returns: warnings, one line each.
    :raises Failure: the address is not up.
    """
    ip = _ip()
    name = _serving(ip, interface)
    if address.version == 6 and _ipv6_is_disabled(name):
        raise Failure(f"IPv6 is disabled on {name} (sysctl -w net.ipv6.conf.{name}.disable_ipv6=0)")
    with safe_neighbours(address, name):
        ip.run(*_adding(address, name))
    warnings = _announced(address, name)
    places = _places(ip, address)
    if (address, name) not in places:
        raise Failure(
            f"{address} cannot be added to {name}: {_text(places)} is in the way;"
            " remove that, or name it like that in the system's data",
            REFUSED,
        )
    return warnings + _others(places, (address, name))


def down(address: Address, interface: str) -> list[str]:
    """Remove an address if it is there; never another prefix length of it, nor its neighbours.

    :returns: warnings, one line each.
    :raises Failure: the address may still be there.
    """
    ip = _ip()
    status, output, _ = ip.ask("-o", "link", "show", "dev", interface)
    if status:
        # Whatever went away with its interface is down.
        return [f"there is no interface {interface} here, so {address.ip} is not on it"]
    name = _name(output)
    with safe_neighbours(address, name) as promoted:
        if (address, name) in _places(ip, address):
            commands = removal(ip, address, name, promoted)
            ip.run("-batch", "-", stdin="".join(f"{command}\n" for command in commands))
    places = _places(ip, address)
    if (address, name) in places:
        raise Failure(f"{address} is on {name} again: somebody else adds it")
    return _others(places, (address, name))


def _ip() -> Tool:
    return Tool("ip", "Debian, Ubuntu: apt install iproute2")


def _adding(address: Address, name: str) -> list[str]:
    words = ["addr", "replace", str(address), "dev", name]
    if address.version == 6:
        # The quorum has decided who has it: nobody must wait a second for duplicate
        # address detection, and with it fail when the old owner is still answering.
        words.append("nodad")
        if address.network.prefixlen == 128:
            words += ["preferred_lft", "0"]  # never the source of this host's own packets
    return words


def _serving(ip: Tool, interface: str) -> str:
    """The name of an interface that can serve an address.

    :raises Failure: it does not exist, is down or has no carrier.
    """
    status, output, error = ip.ask("-o", "link", "show", "dev", interface)
    if status:
        here = ", ".join(name for _, name in socket.if_nameindex())
        raise Failure(f"there is no interface {interface} here, only: {here} ({error})", REFUSED)
    name = _name(output)
    flags = output.split("<", 1)[1].split(">", 1)[0].split(",")
    if "UP" not in flags:
        raise Failure(f"the interface {name} is down (ip link set {name} up)")
    if "NO-CARRIER" in flags:
        # An address that nobody can reach is better served by another server.
        raise Failure(f"the interface {name} has no carrier (cable, switch port, bond)")
    return name


def _ipv6_is_disabled(name: str) -> bool:
    """The kernel's own words for it would be "permission denied"."""
    try:
        with open(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6", encoding="ascii") as file:
            return file.read().strip() == "1"
    except FileNotFoundError:
        return False  # no IPv6 at all: `ip` says so


def _name(link: str) -> str:
    """An interface's name from a line like ``3: v0@v1: <UP> mtu 1500``: it may have others."""
    return link.split(": ", 2)[1].split("@", 1)[0]


def _places(ip: Tool, address: Address) -> list[Place]:
    """Where an address is on this host, with whatever prefix length."""
    listing = ip.run("-o", "addr", "show", "to", f"{address.ip}/{address.max_prefixlen}")
    places = []
    for line in listing.splitlines():
        words = line.split()
        places.append((ipaddress.ip_interface(words[3]), words[1]))
    return places


def _others(places: list[Place], own: Place) -> list[str]:
    others = [place for place in places if place != own]
    if not others:
        return []
    return [f"{own[0].ip} is also on this host as {_text(others)}: flip leaves that alone"]


def _text(places: list[Place]) -> str:
    return ", ".join(f"{address} on {name}" for address, name in places) or "nothing"


def _announced(address: Address, name: str) -> list[str]:
    """Announce; an address that works for new neighbours is better than none, so only warn."""
    try:
        announce(name, address)
    except OSError as error:
        cure = f": needs CAP_NET_RAW: {CAPABILITIES}" if isinstance(error, PermissionError) else ""
        return [
            f"{address} is up on {name} but NOT ANNOUNCED, so neighbours may send to the old owner"
            f" for minutes ({error.strerror}{cure})"
        ]
    return []
