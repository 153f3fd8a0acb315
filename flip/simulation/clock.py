"""Virtual time: one agenda of what happens when, and the clocks that machines have of it."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from functools import partial

RESOLUTION = 1e-9  # seconds by which the times of two clocks may miss each other


class Agenda:
    """What happens when, in one heap; things at the same time happen in the order of their entry.

    :ivar now: seconds since the world began.
    """

    __slots__ = ("_count", "_heap", "now")

    def __init__(self) -> None:
        self.now = 0.0
        self._count = 0
        self._heap: list[tuple[float, int, Callable[[], object]]] = []

    def after(self, delay: float, call: Callable[[], object]) -> None:
        """Let `call` happen in `delay` seconds."""
        self.at(self.now + delay, call)

    def at(self, time: float, call: Callable[[], object]) -> None:
        """Let `call` happen at `time`, or now if that is past.

        :param call: returns False when nothing was to be done after all.
        """
        self._count += 1
        heapq.heappush(self._heap, (time, self._count, call))

    @property
    def clear(self) -> bool:
        """Whether nothing more happens at this very moment."""
        return not self._heap or self._heap[0][0] > self.now

    def step(self, end: float) -> bool:
        """Let the next thing happen; False when there is nothing until `end`."""
        heap = self._heap
        while heap and heap[0][0] <= end:
            time, _, call = heapq.heappop(heap)
            if time > self.now:
                self.now = time
            if call() is not False:
                return True
        return False


class Clock:
    """A machine's monotonic clock, which all its processes read.

    It shows 0 when the world begins and gains or loses as its `drift` says.
    """

    __slots__ = ("_agenda", "_awaited", "_count", "_drift", "_since", "_then")

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._awaited: dict[int, tuple[float, Callable[[], object]]] = {}
        self._count = 0
        self._drift = 0.0
        self._since = self._then = 0.0  # both clocks when the drift last changed

    @property
    def drift(self) -> float:
        """Seconds that it gains in a second: 0.05 is 5 % too fast."""
        return self._drift

    @drift.setter
    def drift(self, drift: float) -> None:
        if drift <= -1:
            raise ValueError(f"a clock that drifts by {drift} runs backwards or not at all")
        self._then = self.seconds()
        self._since = self._agenda.now
        self._drift = drift
        for number in list(self._awaited):
            self._plan(number)

    def seconds(self) -> float:
        """What it shows."""
        if not self._drift:
            return self._then + (self._agenda.now - self._since)
        return self._then + (self._agenda.now - self._since) * (1 + self._drift)

    def when(self, seconds: float) -> float:
        """The world's time at which it will show `seconds`, if it goes on like this."""
        return self._since + (seconds - self._then) / (1 + self._drift)

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        """Let `call` happen when this clock has gone on by `seconds`, whatever its drift becomes.

        :param call: returns False when nothing was to be done after all.
        """
        self._count += 1
        self._awaited[self._count] = self.seconds() + seconds, call
        self._plan(self._count)

    def _plan(self, number: int) -> None:
        self._agenda.at(self.when(self._awaited[number][0]), partial(self._ring, number))

    def _ring(self, number: int) -> object:
        due, call = self._awaited.get(number, (math.inf, None))
        if call is None or self.seconds() < due - RESOLUTION:
            return False  # it drifts otherwise since this was planned
        del self._awaited[number]
        return call()
