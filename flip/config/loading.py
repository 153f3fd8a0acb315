"""From a file to a `Config`, or to a report of everything that is wrong with it."""

from __future__ import annotations

import dataclasses
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flip.config import (
    address_provider,
    addresses,
    build,
    checks,
    exclusive,
    points,
    rules,
    shape,
    witness,
)
from flip.config.document import Unreadable, read
from flip.config.doubts import Host, warnings
from flip.config.parts import Parts, usable
from flip.config.paths import Paths
from flip.config.places import Fault, meant, shown
from flip.config.places import Path as Place
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
        value = document.value
        if not isinstance(value, dict):
            raise Unreadable(Problem("", f"expected an object, {{...}}, not {shown(value)}"))
    except Unreadable as error:
        raise ConfigError(str(path), (error.problem,)) from None
    faults = [*document.faults, *shape.faults(value)]
    parts = usable(value, faults)
    me = _own_id(parts, id, environ, faults)
    for module in (rules, points, exclusive, checks, address_provider, witness):
        faults += module.faults(parts)
    faults += addresses.faults(parts, me)
    file = Path(os.path.abspath(path))
    paths = Paths(parts.top, me, file.parent, environ, os.geteuid())
    faults += paths.faults
    if me is None or faults:
        raise ConfigError(str(path), _problems(value, faults))
    config = build.config(parts, me, file, paths)
    host = Host([name for _, name in socket.if_nameindex()], document.mode)
    return dataclasses.replace(config, warnings=warnings(config, host))


def _problems(value: dict[str, Any], faults: Iterable[Fault]) -> tuple[Problem, ...]:
    """All in the order of the file, but of a value that cannot be used only the first reason."""
    problems: dict[Problem, tuple[int, ...]] = {}
    refused: set[Place] = set()
    for fault in faults:
        if fault.path not in refused:
            problems.setdefault(fault.problem, _position(value, fault.path))
        if not fault.usable:
            refused.add(fault.path)
    return tuple(sorted(problems, key=lambda problem: problems[problem]))


def _position(value: Any, path: Place) -> tuple[int, ...]:
    """Where something is in the file; what is missing comes after all that is there."""
    position = []
    for step in path:
        if isinstance(value, dict) and step in value:
            position.append([*value].index(str(step)))
            value = value[step]
        elif isinstance(value, list) and isinstance(step, int):
            position.append(step)
            value = value[step]
        else:
            position.append(sys.maxsize)
            break
    return tuple(position)


def _own_id(
    parts: Parts, id: str | None, environ: Mapping[str, str], faults: list[Fault]
) -> str | None:
    """This node's id, from where it is said first; None when it is no server's."""
    known = parts.servers
    for candidate, source in (
        (id, "--id says"),
        (environ.get("FLIP_ID") or None, "the variable FLIP_ID says"),
        (parts.top.get("id"), "the file says"),
    ):
        if candidate is None:
            continue
        if candidate in known:
            return candidate
        if known:
            hint = meant(candidate, known)
            message = f"{source} {shown(candidate)}, and there is no such server{hint}"
            faults.append(Fault(("id",), message))
        return None
    message = "missing; expected one of the servers, here, with --id or in FLIP_ID"
    faults.append(Fault(("id",), message))
    return None
