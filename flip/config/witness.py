"""The witness: its defaults, which depend on other settings, and the rules for it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address

from flip.config.addresses import normal
from flip.config.parts import Parts, Section
from flip.config.places import Fault, Path, place, shown
from flip.config.settings import TOP, default
from flip.config.values import Witness

SHORTEST = 50.0  # milliseconds between two pings, unless somebody asks for fewer
LEAST_INTERVALS = 2  # in a timeout: one lost packet must not be all


def witness(top: Section) -> Witness | None:
    """The witness of a file that passed every rule."""
    given = top.get("witness")
    if given is None:
        return None
    return Witness(
        addresses=tuple(map(normal, given["ping"])),
        interval=_interval(top, given) / 1000,
        timeout=_timeout(top, given) / 1000,
    )


def _interval(top: Section, given: Section) -> float:
    return float(given.get("interval", max(SHORTEST, _ping_timeout(top) / 3)))


def _timeout(top: Section, given: Section) -> float:
    usual = max(2 * _ping_timeout(top), LEAST_INTERVALS * _interval(top, given))
    return float(given.get("timeout", usual))


def _ping_timeout(top: Section) -> float:
    return float(top.get("ping_timeout", default(TOP, "ping_timeout")))


def faults(parts: Parts) -> Iterator[Fault]:
    """Everything in which the witness is not as it must be."""
    given = parts.top.get("witness")
    if given is None:
        return
    exclusive = [name for name, system in parts.systems.items() if system.get("exclusive")]
    if exclusive:
        message = (
            f"not with exclusive systems ({', '.join(exclusive)}): both sides of a cut can reach"
            " it; take an arbiter, a third server without systems"
        )
        yield Fault(("witness",), message)
    for at, address in enumerate(given.get("ping", ())):
        yield from _address(parts, ("witness", "ping", at), address)
    lost = (("witness", "interval"), ("witness", "timeout"), ("ping_timeout",))
    if not any(path in parts.lost for path in lost):
        interval, timeout = _interval(parts.top, given), _timeout(parts.top, given)
        if timeout < LEAST_INTERVALS * interval:
            message = f"expected at least {LEAST_INTERVALS} times the interval, {interval:g}"
            yield Fault(("witness", "timeout"), f"{message}, not {timeout:g}")


def _address(parts: Parts, path: Path, address: str) -> Iterator[Fault]:
    parsed = ip_address(address)
    if parsed.is_multicast or parsed.is_unspecified or address == "255.255.255.255":
        yield Fault(path, f"{shown(address)} is no address of one host")
    elif parsed.is_loopback:
        yield Fault(path, f"{shown(address)} is this host itself, which always answers")
    elif isinstance(parsed, IPv6Address) and parsed.is_link_local and not parsed.scope_id:
        yield Fault(path, f'{shown(address)} needs its link: write "{address}%eth0"')
    elif isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        yield Fault(path, f'{shown(address)} is IPv4 inside IPv6; write "{parsed.ipv4_mapped}"')
    for id, server in parts.servers.items():
        if "ip" in server and normal(server["ip"]) == normal(address):
            where = place(("servers", id, "ip"))
            message = f"{address} is {where}: a member is asked anyway, and is no witness"
            yield Fault(path, message)
