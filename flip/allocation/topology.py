"""The ways to divide a system's data among its servers.

A topology gets the data in the order of the configuration, the system's servers
in order of priority, and which of them are eligible; it answers what each server
should hold. It is pure: no clock, no chance, no memory of earlier answers, so
nodes that see the same members agree. A new one is a function and a line in
`TOPOLOGIES`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from flip.allocation.pile import walk
from flip.allocation.wishes import NO_WISHES, Wishes, divide

Division = dict[str, list[str]]


class Divide(Protocol):
    """The function of a topology."""

    def __call__(
        self,
        data: Sequence[str],
        servers: Sequence[str],
        eligible: Collection[str],
        wishes: Wishes = ...,
    ) -> Division: ...


@dataclass(frozen=True)
class Topology:
    """What stands behind a system's ``type``.

    `divide(data, servers, eligible, wishes)` names every server, those with nothing
    included. `single_owner`: no data point is ever on two servers, so that one
    server's gain is another's loss.
    """

    name: str
    divide: Divide
    single_owner: bool


def shard(
    data: Sequence[str],
    servers: Sequence[str],
    eligible: Collection[str],
    wishes: Wishes = NO_WISHES,
) -> Division:
    """Divide evenly, and move as little as an even division allows: deal and pile.

    The data points are dealt out like cards to all servers: that server is the
    point's home, and while it is eligible the point stays there. The fair share
    of an eligible server is what it would get if only the eligible ones were
    dealt to. The points of the others wait around the ring of servers: the first
    at the right-hand neighbour of its home, the second one place further, and so
    on. Each moves right until it reaches a server with room; if several want the
    same place, the one that came the shortest way gets it.

    Shares differ by at most one, and the first servers have the larger ones. A
    server's own points come first in its list, then the taken ones, both in the
    order of the data. O(data + servers).

    With `wishes` a preferred server is the home, and shares go by weight.
    """
    if wishes:
        return divide(data, servers, eligible, wishes)
    ring = len(servers)
    live = [place for place, server in enumerate(servers) if server in eligible]
    if not live:
        return {server: [] for server in servers}
    division = {server: list(data[place::ring]) for place, server in enumerate(servers)}
    if len(live) < ring:
        dead = [place for place, server in enumerate(servers) if server not in eligible]
        taken = walk(_wait(len(data), ring, dead), _room(len(data), ring, live))
        for place in dead:
            division[servers[place]] = []
        for place in live:
            division[servers[place]] += [data[item] for item in sorted(taken[place])]
    return division


def _room(count: int, ring: int, live: Sequence[int]) -> list[int]:
    """How many of the dead servers' items each place can take: fair share less own."""
    room = [0] * ring
    for rank, place in enumerate(live):
        room[place] = _dealt(count, rank, len(live)) - _dealt(count, place, ring)
    return room


def _dealt(count: int, place: int, players: int) -> int:
    return (count - place + players - 1) // players


def _wait(count: int, ring: int, dead: Sequence[int]) -> list[list[int]]:
    """The items that wait at each place of the ring, in the order of the data."""
    waiting: list[list[int]] = [[] for _ in range(ring)]
    for row, first in enumerate(range(0, count, ring)):
        step = 1 + row % (ring - 1)
        for home in dead:
            if first + home < count:
                waiting[(home + step) % ring].append(first + home)
    return waiting


def failover(
    data: Sequence[str],
    servers: Sequence[str],
    eligible: Collection[str],
    wishes: Wishes = NO_WISHES,
) -> Division:
    """Everything on the first eligible server."""
    first = next((server for server in servers if server in eligible), None)
    return {server: list(data) if server == first else [] for server in servers}


def replicate(
    data: Sequence[str],
    servers: Sequence[str],
    eligible: Collection[str],
    wishes: Wishes = NO_WISHES,
) -> Division:
    """Everything on every eligible server."""
    return {server: list(data) if server in eligible else [] for server in servers}


# By the name that a configuration's "type" stands for (flip.config.vocabulary.TYPES).
TOPOLOGIES: Mapping[str, Topology] = {
    topology.name: topology
    for topology in (
        Topology("shard", shard, single_owner=True),
        Topology("failover", failover, single_owner=True),
        Topology("replicate", replicate, single_owner=False),
    )
}
