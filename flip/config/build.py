"""A file that passed every check, as typed values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from flip.config.rules import Parts, address, listed
from flip.config.settings import SYSTEM, TYPES, default
from flip.config.values import Server, System


def servers(parts: Parts) -> dict[str, Server]:
    """The servers in the order that every division uses."""
    found = [_server(id, server) for id, server in parts["servers"].items()]
    return {server.id: server for server in sorted(found, key=_order)}


def _server(id: str, server: Parts) -> Server:
    priority = server.get("priority")
    return Server(
        id=id,
        ip=address(server["ip"]),
        port=int(server["port"]),
        systems=tuple(listed(server)),
        priority=None if priority is None else float(priority),
    )


def _order(server: Server) -> tuple[bool, float, str]:
    return server.priority is None, server.priority or 0.0, server.id


def systems(parts: Parts) -> dict[str, System]:
    """The systems in the order of their names."""
    cluster = parts["cluster"]
    common = cluster.get("config", {})
    return {
        name: _system(name, system, common) for name, system in sorted(cluster["system"].items())
    }


def _system(name: str, system: Parts, common: Mapping[str, Any]) -> System:
    def value(setting: str) -> Any:
        return system.get(setting, default(SYSTEM, setting))

    return System(
        name=name,
        alive=system["alive"],
        down=system["down"],
        type=TYPES[system["type"]],
        config={**common, **system.get("config", {})},
        data=tuple(system["data"]),
        delay=value("delay") / 1000,
        hook_timeout=value("hook_timeout") / 1000,
        hook_concurrency=int(value("hook_concurrency")),
        remove_on_start=value("remove_on_start"),
        on_isolation=value("on_isolation"),
        alive_attempts=int(value("alive_attempts")),
        retry_after=value("retry_after") / 1000,
    )


def digest(quorum: int, servers: Iterable[Server], systems: Iterable[System]) -> bytes:
    """8 bytes that name what the division depends on, equal on every machine."""
    described = {
        "quorum": quorum,
        "servers": {server.id: [server.priority, sorted(server.systems)] for server in servers},
        "systems": {system.name: [system.type, system.data] for system in systems},
    }
    text = json.dumps(described, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).digest()[:8]
