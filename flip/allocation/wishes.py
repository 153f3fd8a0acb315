"""An uneven division: servers of different weight, data points that prefer a server.

The general form of deal and pile, `flip.allocation.topology.shard`, and equal to it
where nobody wishes anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace

from flip.allocation.pile import walk
from flip.config import Config


@dataclass(frozen=True, slots=True)
class Wishes:
    """What makes a division uneven; empty for none.

    :ivar weights: of the servers, where any is not 1: whole numbers from 1 on.
    :ivar prefer: the home of each data point that has a wish.
    """

    weights: Mapping[str, int] = field(default_factory=dict)
    prefer: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.weights or self.prefer)


NO_WISHES = Wishes()


def wishes(config: Config, system: str) -> Wishes:
    """What a configuration wishes for the division of a system."""
    weights = {id: config.servers[id].weight for id in config.servers_of(system)}
    points = config.systems[system].special.values()
    return Wishes(
        weights if len(set(weights.values())) > 1 else {},
        {point.id: point.prefer for point in points if point.prefer is not None},
    )


def divide(
    data: Sequence[str], servers: Sequence[str], eligible: Collection[str], wishes: Wishes
) -> dict[str, list[str]]:
    """Deal and pile with wishes; see `flip.allocation.topology.shard`.

    What prefers a server has its home there, if that is one of `servers`; the others
    are then dealt to whoever has the least for its weight. O(data log servers).
    """
    ring = len(servers)
    weights = [wishes.weights.get(server, 1) for server in servers]
    live = [place for place, server in enumerate(servers) if server in eligible]
    if not live:
        return {server: [] for server in servers}
    homes, load = _homes(data, servers, weights, wishes.prefer)
    is_live = [server in eligible for server in servers]
    waiting: list[list[int]] = [[] for _ in servers]
    rank = [0] * ring
    for item, home in enumerate(homes):
        if not is_live[home]:
            waiting[(home + 1 + rank[home] % (ring - 1)) % ring].append(item)
            rank[home] += 1
    found = Counter(_deal(sum(rank), load, weights, live))
    taken = walk(waiting, [found[place] for place in range(ring)])
    division: dict[str, list[str]] = {server: [] for server in servers}
    for datum, home in zip(data, homes, strict=True):
        if is_live[home]:
            division[servers[home]].append(datum)
    for server, items in zip(servers, taken, strict=True):
        division[server] += [data[item] for item in sorted(items)]
    return division


def _homes(
    data: Sequence[str],
    servers: Sequence[str],
    weights: Sequence[int],
    prefer: Mapping[str, str],
) -> tuple[list[int], list[int]]:
    """The home of each data point, as a place of the ring, and how many each place has."""
    ring = range(len(servers))
    places = dict(zip(servers, ring, strict=True))
    wished = [places.get(prefer.get(datum, "")) for datum in data]
    found = Counter(wished)
    load = [found[place] for place in ring]
    dealt = _deal(wished.count(None), load, weights, ring)
    homes = [next(dealt) if place is None else place for place in wished]
    found = Counter(homes)
    return homes, [found[place] for place in ring]


def _deal(
    count: int, load: Sequence[int], weights: Sequence[int], players: Sequence[int]
) -> Iterator[int]:
    """Who gets the next `count` items: always whoever has the least (load + 1/2) / weight.

    This is the Sainte-Laguë rule; ties go to the first. Equal weights and no load make
    it a plain round robin.

    :param load: what each place has already.
    :param players: the places that are dealt to.
    """
    # The quotients, times a number that makes them whole: fractions would be slow.
    scale = 2 * math.lcm(*(weights[place] for place in players))
    steps = {place: scale // weights[place] for place in players}
    turns = [(load[place] * steps[place] + steps[place] // 2, place) for place in players]
    heapify(turns)
    for _ in range(count):
        quotient, place = turns[0]
        yield place
        heapreplace(turns, (quotient + steps[place], place))
