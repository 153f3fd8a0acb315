"""From a file to a `Config`, or to a report of everything that is wrong with it."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flip.config import build, rules, shape
from flip.config.document import Document, Unreadable, read
from flip.config.paths import Paths
from flip.config.places import Fault, meant, shown
from flip.config.places import Path as Place
from flip.config.settings import TOP, default
from flip.config.values import Config, Problem
from flip.errors import ConfigError


def load(
    path: Path | str, *, id: str | None = None, environ: Mapping[str, str] = os.environ
) -> Config:
    """Read and check a configuration file.

    :param id: which of its servers this node is; else FLIP_ID, else the file says.
    :raises ConfigError: with every problem that was found.
    """
    try:
        document = read(os.fspath(path))
    except Unreadable as error:
        raise ConfigError(str(path), (error.problem,)) from None
    if not isinstance(document.value, dict):
        fault = Fault((), f"expected an object, {{...}}, not {shown(document.value)}")
        raise ConfigError(str(path), (fault.problem,))
    faults = [*document.faults, *shape.faults(document.value)]
    parts = _usable(document.value, faults)
    faults += rules.faults(parts)
    name = _own_id(parts, id, environ, faults)
    base = Path(os.path.abspath(path))
    paths = Paths(name, base.parent, environ, os.geteuid())
    state_dir = paths.state_dir(parts.get("state_dir"))
    control = paths.control(parts.get("control"), state_dir)
    hook_dir = paths.explicit("hook_dir", parts.get("hook_dir"))
    faults += paths.faults
    if faults or state_dir is None or control is None:
        raise ConfigError(str(path), _problems(faults))
    return _config(parts, document, name, base, state_dir, control, hook_dir)


def _problems(faults: Iterable[Fault]) -> tuple[Problem, ...]:
    """One for each place: what was found first."""
    first: dict[Place, Problem] = {}
    for fault in faults:
        first.setdefault(fault.path, fault.problem)
    return tuple(first.values())


def _usable(value: dict[str, Any], faults: Iterable[Fault]) -> dict[str, Any]:
    """What is left without the values that cannot be used."""
    bad = {fault.path for fault in faults if not fault.usable}
    if not bad:
        return value
    left: dict[str, Any] = copy.deepcopy(value)
    for path in sorted(bad, key=_order, reverse=True):
        _remove(left, path)
    return left


def _order(path: Place) -> tuple[tuple[bool, str | int], ...]:
    return tuple((isinstance(step, int), step) for step in path)


def _remove(value: Any, path: Place) -> None:
    *above, last = path
    for step in above:
        value = value[step]
    if isinstance(value, list) or last in value:
        del value[last]


def _own_id(
    parts: Mapping[str, Any], id: str | None, environ: Mapping[str, str], faults: list[Fault]
) -> str:
    """This node's id, from where it is said first."""
    candidates = (
        (id, "--id says"),
        (environ.get("FLIP_ID") or None, "the variable FLIP_ID says"),
        (parts.get("id"), "the file says"),
    )
    known = rules.servers(parts)
    for candidate, source in candidates:
        if candidate is None:
            continue
        if known and candidate not in known:
            hint = meant(candidate, known) or f"; there are {', '.join(known)}"
            message = f"{source} {shown(candidate)}, and there is no such server{hint}"
            faults.append(Fault(("id",), message))
        return candidate
    message = "is missing; expected one of the servers, here, with --id or in FLIP_ID"
    faults.append(Fault(("id",), message))
    return "{id}"


def _config(
    parts: Mapping[str, Any],
    document: Document,
    id: str,
    path: Path,
    state_dir: Path,
    control: Path,
    hook_dir: Path | None,
) -> Config:
    servers, systems = build.servers(parts), build.systems(parts)
    quorum = int(parts.get("quorum", len(servers) // 2 + 1))
    key = parts["key"]

    def value(setting: str) -> Any:
        return parts.get(setting, default(TOP, setting))

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
        bind=parts.get("bind"),
        hook_dir=hook_dir,
        state_dir=state_dir,
        control=control,
        path=path,
        warnings=(),
        digest=build.digest(quorum, servers.values(), systems.values()),
    )
