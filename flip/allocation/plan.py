"""Who should hold what in a whole cluster, and what changes between two answers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import zip_longest
from typing import NamedTuple

from flip.allocation.topology import TOPOLOGIES, Division
from flip.allocation.wishes import wishes
from flip.config import Config

Plan = dict[str, Division]


def plan(config: Config, unavailable: Mapping[str, Collection[str]] | Collection[str] = ()) -> Plan:
    """Every system's data, divided among the servers that list it.

    :param unavailable: ids of the servers that get nothing; or, by system, the
        ids that get nothing of that system.
    :returns: system -> server -> data points. Every server of the configuration
        is there, in its order, with an empty list if it holds nothing.
    """
    answer: Plan = {}
    for name, system in config.systems.items():
        out = unavailable.get(name, ()) if isinstance(unavailable, Mapping) else unavailable
        servers = config.servers_of(name)
        eligible = set(servers).difference(out)
        division = TOPOLOGIES[system.type].divide(
            system.data, servers, eligible, wishes(config, name)
        )
        answer[name] = {server: division.get(server, []) for server in config.servers}
    return answer


class Move(NamedTuple):
    """A data point changes hands. `source` None: nobody had it; `target` None: nobody gets it."""

    system: str
    datum: str
    source: str | None
    target: str | None


def moves(before: Plan, after: Plan) -> list[Move]:
    """What changes from one plan to another, by system, then in the order of `before`.

    With one owner per data point a move has both a source and a target. Where
    there are several (``replicate``), each server stands alone: one loses the
    data point or another gains it.
    """
    found: list[Move] = []
    for system in before | after:
        old = _owners(before.get(system, {}))
        new = _owners(after.get(system, {}))
        for datum in old | new:
            found += [
                Move(system, datum, source, target)
                for source, target in _exchanges(old.get(datum, []), new.get(datum, []))
            ]
    return found


def _exchanges(old: list[str], new: list[str]) -> list[tuple[str | None, str | None]]:
    if max(len(old), len(new)) <= 1:
        return [pair for pair in zip_longest(old, new) if pair[0] != pair[1]]
    lost = [(server, None) for server in old if server not in new]
    return [*lost, *((None, server) for server in new if server not in old)]


def _owners(division: Division) -> dict[str, list[str]]:
    owners: dict[str, list[str]] = {}
    for server, data in division.items():
        for datum in data:
            owners.setdefault(datum, []).append(server)
    return owners
