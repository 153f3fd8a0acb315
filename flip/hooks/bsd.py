"""Adds and removes addresses with `ifconfig`, on macOS and the BSDs.

These systems announce an address themselves when it is added, also when it was
there already. Written from their manual pages and tested against a fake
`ifconfig` only.
"""

from __future__ import annotations

import ipaddress

from flip.hooks.failure import REFUSED, Failure
from flip.hooks.request import Address
from flip.hooks.tool import Tool


def up(address: Address, interface: str) -> list[str]:
    """Add an address; the system announces it.

    :returns: warnings, one line each: none.
    :raises Failure: the address is not up.
    """
    ifconfig = _ifconfig()
    status, output, error = ifconfig.ask(interface)
    if status:
        raise Failure(f"there is no interface {interface} here ({error})", REFUSED)
    if "UP" not in output.split("<", 1)[-1].split(">", 1)[0].split(","):
        raise Failure(f"the interface {interface} is down (ifconfig {interface} up)")
    if "status: no carrier" in output:
        raise Failure(f"the interface {interface} has no carrier (cable, switch port)")
    ifconfig.run(interface, *_words(address), "alias", accepted="File exists")
    return []


def down(address: Address, interface: str) -> list[str]:
    """Remove an address if it is there.

    :returns: warnings, one line each.
    :raises Failure: the address may still be there.
    """
    ifconfig = _ifconfig()
    status, output, error = ifconfig.ask(interface)
    if status:
        # Whatever went away with its interface is down.
        return [f"there is no interface {interface} here, so {address.ip} is not on it ({error})"]
    if address.ip in _addresses(output):
        family = "inet" if address.version == 4 else "inet6"
        ifconfig.run(interface, family, str(address.ip), "-alias")
    return []


def _ifconfig() -> Tool:
    return Tool("ifconfig", "it belongs to the base system")


def _words(address: Address) -> list[str]:
    if address.version == 4:
        return ["inet", str(address.ip), "netmask", str(address.netmask)]
    length = address.network.prefixlen
    # Never the source of this host's own packets, see flip.hooks.linux.
    deprecated = ["pltime", "0"] if length == 128 else []
    return ["inet6", str(address.ip), "prefixlen", str(length), *deprecated]


def _addresses(output: str) -> set[ipaddress.IPv4Address | ipaddress.IPv6Address]:
    """All addresses in `ifconfig`'s description of an interface.

    Lines are like ``inet 192.0.2.1 netmask 0xffffff00``, on NetBSD like
    ``inet 192.0.2.1/24``, or ``inet6 fe80::1%lo0 prefixlen 64``.
    """
    lines = [line.split() for line in output.splitlines()]
    return {
        ipaddress.ip_address(words[1].split("/")[0].split("%")[0])
        for words in lines
        if len(words) > 1 and words[0] in ("inet", "inet6")
    }
