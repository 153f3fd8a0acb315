"""What there is to draw: per node and per data point, states with their times."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from flip.simulation.faults import read
from flip.simulation.report.answers import Answers, Ownership
from flip.simulation.report.failures import Opinion, detect
from flip.simulation.report.recording import Life, Recording
from flip.simulation.report.series import Interval, Series, common

if TYPE_CHECKING:
    from flip.simulation.machine import Point

NOTABLE = 0.15  # seconds without a live owner that are no mere handover


class Bar(NamedTuple):
    """A machine served a data point for a time, perhaps beyond the end of its process."""

    interval: Interval
    point: Point


class Break(NamedTuple):
    """A fault on its way through time.

    :ivar named: the nodes that it names.
    """

    interval: Interval
    is_moment: bool
    what: str
    named: tuple[str, ...]


@dataclass
class Lane:
    """One node.

    :ivar states: "running", "stopped", "frozen", "cut" or "leaving".
    :ivar bars: what it served, each in a row of its own while they overlap.
    """

    id: str
    states: list[tuple[Interval, str]]
    opinions: list[tuple[Interval, Opinion]]
    rows: list[list[Bar]] = field(default_factory=list)

    @property
    def is_eventful(self) -> bool:
        """Whether anything happened here after the start."""
        began = [state for _, state in self.states]
        if began[:1] == ["stopped"]:  # it has not started yet
            began = began[1:]
        changes = sum(
            bar.interval.begin > 5 or bar.interval.end < self.states[-1][0].end
            for row in self.rows
            for bar in row
        )
        return len(began) > 1 or len(self.opinions) > 1 or changes > 0


class Scene:
    """A run, cut into what the picture shows.

    :ivar points: every data point's place among all, which gives its colour.
    """

    def __init__(self, recording: Recording, answers: Answers) -> None:
        self.recording = recording
        self.answers = answers
        self.end = recording.end
        systems = recording.config.systems
        self.points: Mapping[Point, int] = {
            point: number
            for number, point in enumerate(
                (name, datum) for name, system in systems.items() for datum in system.data
            )
        }
        self._named_systems = len(systems) > 1
        self._sound: defaultdict[str, list[Interval]] = defaultdict(list)
        for interval, ids in recording.sound.spans(self.end):
            for id in ids:
                self._sound[id].append(interval)
        opinions = detect(recording).opinions
        self.lanes = [
            Lane(
                id,
                list(self._states(id)),
                list(opinions[id].spans(self.end)),
                _rows(sorted(self._bars(id), key=lambda bar: (bar.interval.begin, bar.point))),
            )
            for id in sorted(recording.config.servers, key=_natural)
        ]
        self.breaks = list(self._breaks())

    def name(self, point: Point) -> str:
        """A data point as labels have it."""
        system, datum = point
        return f"{system} {datum}" if self._named_systems else datum

    def live_spans(self, ownership: Ownership) -> list[tuple[Interval, str]]:
        """Who was a live owner of a data point, and when."""
        point = ownership.system, ownership.datum
        return [
            (interval, id)
            for (id, other), series in self.recording.live.items()
            if other == point
            for interval in common(series.when(True, self.end), self._sound[id])
        ]

    def _states(self, id: str) -> Iterator[tuple[Interval, str]]:
        combined: Series[str] = Series("stopped")
        life, sound = self.recording.life[id], self.recording.sound
        # Until a quorum has come together nobody is cut off from it.
        began = next((at for at, ids in sound.changes if ids), self.end)
        for at in sorted({at for at, _ in life.changes} | {at for at, _ in sound.changes}):
            is_cut = at >= began and id not in sound.at(at)
            combined.set(at, "cut" if is_cut and life.at(at) is Life.RUNNING else life.at(at).value)
        return combined.spans(self.end)

    def _bars(self, id: str) -> Iterator[Bar]:
        for (other, point), series in self.recording.served.items():
            if other == id:
                yield from (Bar(interval, point) for interval in series.when(True, self.end))

    def _breaks(self) -> Iterator[Break]:
        ends = {mark.text: mark.at for mark in self.recording.faults if not mark.began}
        for mark in self.recording.faults:
            if mark.began:
                fault = read(mark.text)
                end = ends.get(mark.text, self.end if fault.lasts else mark.at)
                yield Break(Interval(mark.at, end), end == mark.at, fault.what, tuple(fault.named))


def _natural(id: str) -> list[tuple[bool, int, str]]:
    """Ids in the order in which people count: n9 before n10."""
    return [
        (part.isdecimal(), int(part) if part.isdecimal() else 0, part)
        for part in re.split(r"(\d+)", id)
    ]


def _rows(bars: list[Bar]) -> list[list[Bar]]:
    """A data point keeps its row; another may have it while the first is elsewhere."""
    rows: list[list[Bar]] = []
    home: dict[Point, int] = {}
    for bar in bars:
        wanted = home.get(bar.point)
        free = (
            number
            for number, row in enumerate(rows)
            if all(other.interval.end <= bar.interval.begin for other in row)
        )
        candidates = [*free]
        if wanted in candidates:
            number = wanted
        elif candidates:
            number = candidates[0]
        else:
            number = len(rows)
            rows.append([])
        assert number is not None
        rows[number].append(bar)
        home.setdefault(bar.point, number)
    return rows
