"""Values that change in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Interval(NamedTuple):
    """A stretch of time, in seconds."""

    begin: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.begin


class Series(Generic[T]):
    """One value from the beginning on, and when it became another."""

    def __init__(self, initial: T) -> None:
        self.changes: list[tuple[float, T]] = [(0.0, initial)]

    @property
    def now(self) -> T:
        """The last value."""
        return self.changes[-1][1]

    def set(self, at: float, value: T) -> None:
        """The value from `at` on, which is not before the last change."""
        if value != self.now:
            if self.changes[-1][0] == at and len(self.changes) > 1:
                self.changes.pop()
                if self.now == value:
                    return
            self.changes.append((at, value))

    def spans(self, until: float) -> Iterator[tuple[Interval, T]]:
        """Every value with its time, up to `until`."""
        ends = [at for at, _ in self.changes[1:]]
        for (begin, value), end in zip(self.changes, [*ends, until], strict=True):
            if begin < min(end, until):
                yield Interval(begin, min(end, until)), value

    def when(self, value: T, until: float) -> list[Interval]:
        """The times of one value, up to `until`."""
        return [span for span, found in self.spans(until) if found == value]

    def at(self, time: float) -> T:
        """The value at a time; of a change at that very time the new one."""
        found = self.changes[0][1]
        for began, value in self.changes:
            if began > time:
                break
            found = value
        return found


def total(intervals: Iterable[Interval]) -> float:
    """The sum of their lengths."""
    return sum(interval.length for interval in intervals)


def union(intervals: Iterable[Interval]) -> list[Interval]:
    """The same times without overlaps, in order."""
    merged: list[Interval] = []
    for interval in sorted(intervals):
        if merged and interval.begin <= merged[-1].end:
            merged[-1] = Interval(merged[-1].begin, max(merged[-1].end, interval.end))
        else:
            merged.append(interval)
    return merged


def common(one: Iterable[Interval], two: Iterable[Interval]) -> list[Interval]:
    """The times that are in both."""
    found = []
    others = union(two)
    for first in union(one):
        for second in others:
            begin, end = max(first.begin, second.begin), min(first.end, second.end)
            if begin < end:
                found.append(Interval(begin, end))
    return found


def without(whole: Interval, parts: Iterable[Interval]) -> list[Interval]:
    """What is left of a time."""
    left, begin = [], whole.begin
    for part in union(parts):
        if part.begin > begin:
            left.append(Interval(begin, min(part.begin, whole.end)))
        begin = max(begin, part.end)
        if begin >= whole.end:
            break
    if begin < whole.end:
        left.append(Interval(begin, whole.end))
    return [interval for interval in left if interval.length > 0]
