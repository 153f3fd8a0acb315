"""The rules between the settings of a file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flip.config.parts import Parts
from flip.config.places import Fault, Path, meant, shown

MAX_NAME = 64  # bytes; a packet of 512 bytes has to hold several
MAX_ARGUMENT = 100_000  # bytes; Linux gives 131,072 to one argument of a program

Rule = Callable[[Parts], Iterator[Fault]]


def faults(parts: Parts) -> Iterator[Fault]:
    """Everything in which the settings do not agree, addresses aside."""
    for rule in RULES:
        yield from rule(parts)


def quorum_in_range(parts: Parts) -> Iterator[Fault]:
    quorum, count = parts.top.get("quorum"), len(parts.servers)
    if quorum is not None and count and quorum > count:
        message = f"expected at most {count}, the number of servers, not {quorum}"
        yield Fault(("quorum",), message)


def names_fit_packets(parts: Parts) -> Iterator[Fault]:
    for above, names in (("servers",), parts.servers), (("cluster", "system"), parts.systems):
        for name in names:
            size = len(name.encode())
            if size > MAX_NAME >= len(name):
                message = f"the name takes {size} bytes in UTF-8; at most {MAX_NAME} fit a packet"
                yield Fault((*above, name), message)


def one_list_of_systems(parts: Parts) -> Iterator[Fault]:
    for id, server in parts.servers.items():
        if "system" in server and "systems" in server:
            message = 'another spelling of "systems", which is there too; keep one of them'
            yield Fault(("servers", id, "system"), message)


def systems_known(parts: Parts) -> Iterator[Fault]:
    known = parts.systems
    if not parts.knows_systems:
        return
    for id, server in parts.servers.items():
        for key in ("systems", "system"):
            for at, name in enumerate(server.get(key, ())):
                if name not in known:
                    message = f"there is no system {shown(name)}{meant(name, known)}"
                    yield Fault(("servers", id, key, at), message)


def systems_used(parts: Parts) -> Iterator[Fault]:
    if not parts.knows_lists:
        return
    used: set[str] = set()
    for server in parts.servers.values():
        used.update(server.get("systems", ()), server.get("system", ()))
    for name in parts.systems:
        if name not in used:
            message = 'no server lists it: name it in the "systems" of the servers that can hold it'
            yield Fault(("cluster", "system", name), message)


def config_fits_argument(parts: Parts) -> Iterator[Fault]:
    common = parts.cluster.get("config", {})
    for name, system in parts.systems.items():
        path = ("cluster", "system", name)
        config = {**common, **system.get("config", {})}
        yield from _fits(config, (*path, "config"), "cluster.config")
        for at, written in enumerate(system.get("data", ())):
            if isinstance(written, Mapping) and "config" in written:
                own = {**config, **written["config"]}
                yield from _fits(own, (*path, "data", at, "config"), "the system's")


def _fits(config: Mapping[str, Any], path: Path, base: str) -> Iterator[Fault]:
    size = len(json.dumps(config))
    if size > MAX_ARGUMENT:
        message = (
            f"takes {size} bytes as JSON, with {base}; at most {MAX_ARGUMENT} can be"
            " handed to a hook: put the rest into a file and its path here"
        )
        yield Fault(path, message)


RULES: tuple[Rule, ...] = (
    quorum_in_range,
    names_fit_packets,
    one_list_of_systems,
    systems_known,
    systems_used,
    config_fits_argument,
)
