"""A file that passed every check, as typed values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flip.config import address_provider, checks, exclusive, points, urgency, witness
from flip.config.addresses import normal
from flip.config.parts import Parts, Section, listed
from flip.config.paths import Paths
from flip.config.settings import SERVER, TOP, default
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
        witness=witness.witness(parts.top),
        realtime=urgency.realtime(parts.top),
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
        weight=int(server.get("weight", default(SERVER, "weight"))),
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

    sole, config = value("exclusive"), {**common, **system.get("config", {})}
    return System(
        name=name,
        alive=system.get("alive", ""),
        down=system.get("down", ""),
        type=TYPES[system["type"]],
        config=config,
        data=tuple(map(points.id_of, system["data"])),
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
        check=checks.check(system),
        all_unfit=value("all_unfit"),
        failback=checks.failback(system),
        verify=system.get("verify"),
        check_interval=value("check_interval") / 1000,
        special=points.special(system["data"], config),
        provider=system.get("provider"),
        addressing=address_provider.addressing(system, config),
    )


def _digest(quorum: int, servers: Iterable[Server], systems: Iterable[System]) -> bytes:
    """8 bytes that name what the division depends on, equal on every machine."""
    described = {
        "quorum": quorum,
        "servers": {server.id: _share(server) for server in servers},
        "systems": {system.name: _division(system) for system in systems},
    }
    text = json.dumps(described, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).digest()[:8]


# What a file does not make use of is left out: then nodes of an earlier flip, which did not
# know of it, have the same digest, and a cluster can be upgraded node by node.


def _share(server: Server) -> list[Any]:
    """What a server's share depends on."""
    described: list[Any] = [server.priority, sorted(server.systems)]
    return described if server.weight == 1 else [*described, server.weight]


def _division(system: System) -> list[Any]:
    """What a system's division, and the right to it, depend on."""
    described: list[Any] = [system.type, system.data]
    if system.exclusive:
        described += [system.lease, system.voters]
    special = {
        point.id: [point.members, point.prefer]
        for point in system.special.values()
        if point.members != (point.id,) or point.prefer is not None
    }
    if special:
        described.append(special)
    return described if system.all_unfit == "stay" else [*described, system.all_unfit]
