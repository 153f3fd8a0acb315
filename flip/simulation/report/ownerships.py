"""Who owned each data point when, how many did, and how often it moved."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from flip.allocation import plan
from flip.allocation.topology import TOPOLOGIES
from flip.simulation.report.answers import Ownership
from flip.simulation.report.recording import Recording, Sharing
from flip.simulation.report.series import Interval, Series, common, union, without

if TYPE_CHECKING:
    from flip.simulation.machine import Point

Planned = Mapping["Point", str]
_Events = list[tuple[float, str, bool]]


class Ownerships:
    """Works them out from a recording."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._end = recording.end
        self._sound: defaultdict[str, list[Interval]] = defaultdict(list)
        for interval, ids in recording.sound.spans(recording.end):
            for id in ids:
                self._sound[id].append(interval)
        self._served = _by_point(recording.served)
        self._live = _by_point(recording.live)

    def __iter__(self) -> Iterator[Ownership]:
        for name, system in self._recording.config.systems.items():
            for datum in system.data:
                yield self._ownership(name, datum)

    def live(self, point: Point) -> dict[str, list[Interval]]:
        """When which machines were live owners of a data point."""
        return {
            id: common(series.when(True, self._end), self._sound[id])
            for id, series in self._live[point].items()
        }

    def _ownership(self, name: str, datum: str) -> Ownership:
        point, end = (name, datum), self._end
        answer = Ownership(name, datum)
        answer.owners = [id for id, series in self._served[point].items() if series.now]
        by_machine = self.live(point)
        answer.live_owners = [
            id for id, times in by_machine.items() if times and times[-1].end == end
        ]
        live = union(interval for times in by_machine.values() for interval in times)
        if live:
            answer.placed = live[0].begin
            since = Interval(answer.placed, end)
            answer.gaps = without(since, live)
            answer.nowhere = without(
                since,
                (
                    interval
                    for series in self._served[point].values()
                    for interval in series.when(True, end)
                ),
            )
        sharing = self._recording.sharing.get(point)
        if sharing is not None:
            answer.together = sharing.when(Sharing.TOGETHER, end)
            answer.apart = sharing.when(Sharing.APART, end)
            answer.leftover = sharing.when(Sharing.LEFTOVER, end)
        if TOPOLOGIES[self._recording.config.systems[name].type].single_owner:
            self._count_moves(point, answer)
        return answer

    def _count_moves(self, point: Point, answer: Ownership) -> None:
        """Between two changes of who is able to serve it a data point needs at most one move."""
        owner: str | None = None
        name = point[0]
        events = iter([*self._changes(point)])
        at, now = next(events, (self._end, None))
        for period, able in self._recording.able[name].spans(self._end):
            first, moves = owner, 0
            while now is not None and at < period.end:
                moves += owner is not None and owner != now
                owner = now
                at, now = next(events, (self._end, None))
            answer.moves += moves
            planned = self._planned(name, able).get(point)
            needed = planned is not None and first is not None and planned != first
            answer.unnecessary += max(0, moves - needed)

    def _changes(self, point: Point) -> Iterator[tuple[float, str]]:
        """When another machine became the one where a data point was made live last."""
        events: _Events = sorted(
            (at, id, live)
            for id, series in self._live[point].items()
            for at, live in series.changes[1:]
        )
        owners: list[str] = []
        for at, id, live in events:
            if live:
                owners.append(id)
                yield at, id
            else:
                owners.remove(id)
                if owners:
                    yield at, owners[-1]

    @lru_cache(maxsize=64)  # noqa: B019 - lives no longer than the answers are worked out
    def _planned(self, name: str, able: frozenset[str]) -> Planned:
        config = self._recording.config
        unavailable = {name: [id for id in config.servers_of(name) if id not in able]}
        return {
            (name, datum): id
            for id, data in plan(config, unavailable)[name].items()
            for datum in data
        }


def _by_point(
    series: Mapping[tuple[str, Point], Series[bool]],
) -> defaultdict[Point, dict[str, Series[bool]]]:
    found: defaultdict[Point, dict[str, Series[bool]]] = defaultdict(dict)
    for (id, point), changes in series.items():
        found[point][id] = changes
    return found
