"""A file that passed every check, as typed values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flip.config import exclusive
from flip.config.addresses import normal
from flip.config.parts import Parts, Section, listed
from flip.config.paths import Paths
from flip.config.settings import TOP, default
from flip.config.system_settings import SYSTEM
from flip.config.values import Config, Server, System
from flip.config.vocabulary import TYPES


def config(parts: Parts, id: str, file: Path, paths: Paths) -> Config:
    """All of it, without warnings."""
    servers, systems = _servers(parts), _systems(parts)
    quorum = int(parts.top.get("quorum", len(servers) // 2 + 1))
    bind = parts.top.get("bind")
    key = parts.top["key"]

    def value(setting: str) -> Any:
        return parts.top.get(setting, default(TOP, setting))

    return Config(
        id=id,
        quorum=quorum,
        gossip_interval=value("gossip_interval") / 1000,
        ping_timeout=value("ping_timeout") / 1000,
        ping_per_interval=int(value("ping_per_interval")),
        keys=(key,) if isinstance(key, str) else tuple(key),
        log_level=value("log_level"),
        servers=servers,
        systems=systems,
        config_version=int(value("config_version")),
        max_packet=int(value("max_packet")),
        bind=None if bind is None else normal(bind),
        hook_dir=paths.hook_dir,
        state_dir=paths.state_dir,
        control=paths.control,
        path=file,
        warnings=(),
        digest=_digest(quorum, servers.values(), systems.values()),
    )


def _servers(parts: Parts) -> dict[str, Server]:
    """The servers in the order that every division uses."""
    found = [_server(id, server) for id, server in parts.servers.items()]
    return {server.id: server for server in sorted(found, key=_order)}


def _server(id: str, server: Section) -> Server:
    priority = server.get("priority")
    return Server(
        id=id,
        ip=normal(server["ip"]),
        port=int(server["port"]),
        systems=tuple(listed(server)),
        # Zero has a sign, which would get into the digest.
        priority=None if priority is None else float(priority) + 0.0,
    )


def _order(server: Server) -> tuple[bool, float, str]:
    return server.priority is None, server.priority or 0.0, server.id


def _systems(parts: Parts) -> dict[str, System]:
    """The systems in the order of their names."""
    common = parts.cluster.get("config", {})
    return {
        name: _system(name, system, common, parts) for name, system in sorted(parts.systems.items())
    }


def _system(name: str, system: Section, common: Mapping[str, Any], parts: Parts) -> System:
    def value(setting: str) -> Any:
        return system.get(setting, default(SYSTEM, setting))

    sole = value("exclusive")
    return System(
        name=name,
        alive=system["alive"],
        down=system["down"],
        type=TYPES[system["type"]],
        config={**common, **system.get("config", {})},
        data=tuple(system["data"]),
        delay=value("delay") / 1000,
        hook_timeout=exclusive.hook_timeout(system) / 1000,
        hook_concurrency=int(value("hook_concurrency")),
        remove_on_start=value("remove_on_start"),
        on_isolation="release" if sole else system.get("on_isolation", "hold"),
        alive_attempts=int(value("alive_attempts")),
        retry_after=value("retry_after") / 1000,
        exclusive=sole,
        lease=exclusive.lease(parts.top, system) / 1000 if sole else 0.0,
        voters=exclusive.voters(tuple(parts.servers), system) if sole else (),
    )


def _digest(quorum: int, servers: Iterable[Server], systems: Iterable[System]) -> bytes:
    """8 bytes that name what the division depends on, equal on every machine."""
    described = {
        "quorum": quorum,
        "servers": {server.id: [server.priority, sorted(server.systems)] for server in servers},
        "systems": {system.name: _division(system) for system in systems},
    }
    text = json.dumps(described, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).digest()[:8]


def _division(system: System) -> list[Any]:
    """What a system's division, and the right to it, depend on."""
    # Ordinary systems are described as they were before there were exclusive ones.
    described: list[Any] = [system.type, system.data]
    return [*described, system.lease, system.voters] if system.exclusive else described
