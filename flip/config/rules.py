"""The rules between the settings of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from flip.config.places import Fault, meant, place, shown

# What is left of a file when everything that does not fit the schema is taken
# out: what is there has the right type, and anything may be missing.
Parts = Mapping[str, Any]
Rule = Callable[[Parts], Iterator[Fault]]


def faults(parts: Parts) -> Iterator[Fault]:
    """Everything in which the settings do not agree."""
    for rule in RULES:
        yield from rule(parts)


def servers(parts: Parts) -> Mapping[str, Parts]:
    found: Mapping[str, Parts] = parts.get("servers", {})
    return found


def systems(parts: Parts) -> Mapping[str, Parts]:
    found: Mapping[str, Parts] = parts.get("cluster", {}).get("system", {})
    return found


def listed(server: Parts) -> list[str]:
    """The systems that a server lists."""
    names: list[str] = server.get("systems", server.get("system", []))
    return names


def address(ip: str) -> str:
    """An address in its one normal form."""
    return str(ip_address(ip))


def quorum_in_range(parts: Parts) -> Iterator[Fault]:
    quorum, count = parts.get("quorum"), len(servers(parts))
    if quorum is not None and count and quorum > count:
        yield Fault(("quorum",), f"expected at most {count}, the number of servers, not {quorum}")


def one_list_of_systems(parts: Parts) -> Iterator[Fault]:
    for id, server in servers(parts).items():
        if "system" in server and "systems" in server:
            message = 'another spelling of "systems", which is there too; keep one of them'
            yield Fault(("servers", id, "system"), message, usable=True)


def known_systems(parts: Parts) -> Iterator[Fault]:
    known = systems(parts)
    for id, server in servers(parts).items():
        for key in ("systems", "system"):
            for at, name in enumerate(server.get(key, ())):
                if name not in known:
                    hint = meant(name, known) or f"; there are {', '.join(known) or 'none'}"
                    message = f"there is no system {shown(name)}{hint}"
                    yield Fault(("servers", id, key, at), message)


def used_systems(parts: Parts) -> Iterator[Fault]:
    used = {name for server in servers(parts).values() for name in listed(server)}
    for name in systems(parts):
        if name not in used:
            message = 'no server lists it: add it to the "systems" of some server'
            yield Fault(("cluster", "system", name), message, usable=True)


def own_addresses(parts: Parts) -> Iterator[Fault]:
    seen: dict[tuple[str, int], str] = {}
    for id, server in servers(parts).items():
        if "ip" not in server or "port" not in server:
            continue
        where = address(server["ip"]), int(server["port"])
        if where in seen:
            first = place(("servers", seen[where]))
            message = f"{where[0]} port {where[1]} is that of {first} too; give each its own"
            yield Fault(("servers", id, "port"), message)
        seen.setdefault(where, id)


RULES: tuple[Rule, ...] = (
    quorum_in_range,
    one_list_of_systems,
    known_systems,
    used_systems,
    own_addresses,
)
