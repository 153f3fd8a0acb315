"""A configuration as the simulation runs it: with addresses of its own, and more servers."""

from __future__ import annotations

import copy
import json
import tempfile
from collections.abc import Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from flip.config import Config, load

FIRST_ADDRESS = int(IPv4Address("10.0.0.1"))
OF_THE_HOST = ("bind", "state_dir", "control", "hook_dir")  # nothing here is the host's
MOST_VOTERS = 15


def simulated(description: Mapping[str, Any]) -> dict[str, Any]:
    """The same cluster, each server on a machine of its own.

    A file for one host, with three ports of 127.0.0.1, becomes three machines that
    can be cut off from each other. What names things of this host is left out.
    """
    prepared = copy.deepcopy(dict(description))
    for key in OF_THE_HOST:
        prepared.pop(key, None)
    for number, server in enumerate(prepared["servers"].values()):
        server["ip"] = str(IPv4Address(FIRST_ADDRESS + number))
    return prepared


def configured(description: Mapping[str, Any]) -> Config:
    """The description as a node reads it.

    :raises ConfigError: it cannot be used.
    """
    with tempfile.TemporaryDirectory(prefix="flip-") as directory:
        path = Path(directory, "flip.json")
        path.write_text(json.dumps(description))
        return load(path, id=next(iter(description["servers"])), environ={})


def scaled(description: Mapping[str, Any], count: int) -> dict[str, Any]:
    """The cluster with more servers, `count` in all, which is no less than it has.

    The new ones are called n4, n5 and so on, counting those that are there, and
    list the systems of the first, second ... of these, again and again; they have
    no priority. The quorum becomes a majority of all. Exclusive systems whose
    voters are all servers keep those that are there as voters.
    """
    grown = copy.deepcopy(dict(description))
    servers = grown["servers"]
    models, port = list(servers.values()), max(server["port"] for server in servers.values())
    voters = list(servers)[:MOST_VOTERS]
    prefix = "n"
    while any(f"{prefix}{number}" in servers for number in range(count + 1)):
        prefix += "n"
    for number in range(len(models) + 1, count + 1):
        model = models[(number - 1) % len(models)]
        systems = model.get("systems", model.get("system", []))
        servers[f"{prefix}{number}"] = {"ip": "127.0.0.1", "port": port, "systems": [*systems]}
    if count > len(models):
        grown.pop("quorum", None)
        for system in grown["cluster"]["system"].values():
            if system.get("exclusive"):
                system.setdefault("voters", voters)
    return grown
