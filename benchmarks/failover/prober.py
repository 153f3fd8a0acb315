"""What runs in the client's namespace: it asks every address, all the time, and notes silence.

Some addresses, evenly chosen, are asked every `PERIOD`, and the others so many times
less often, in turns: both numbers are the arguments. A probe counts as answered when
the answer is there within `PATIENCE`.

Standard input: the addresses, one a line, an empty line; its end ends the measurement.
Standard output: once a `REPORT` how many addresses were silent in it; at the end
JSON: for each address the times (CLOCK_MONOTONIC) at which it fell silent and was
heard again (null: not until the end), and where more than two periods lie between ticks.
"""

from __future__ import annotations

import itertools
import json
import re
import select
import socket
import sys
import time
from collections.abc import Sequence

from benchmarks.failover.datagrams import Answers, Probes, udp
from benchmarks.failover.realtime import hurry

PERIOD = 0.005  # seconds
PATIENCE = 0.1  # seconds
REPORT = 0.25  # seconds
LENGTH = 300.0  # seconds for which there is room

Silence = tuple[float, float | None]
_SILENT = re.compile(b"\0+")


class Schedule:
    """Which addresses are asked at which tick.

    :param sample: how many are asked at every tick.
    :param slower: every how many ticks the others are asked.
    :ivar order: all of them, in an order in which those of a tick stand together.
    """

    def __init__(self, addresses: Sequence[str], sample: int, slower: int) -> None:
        self._slower = slower
        step = max(1, -(-len(addresses) // sample))
        often = list(addresses[::step])
        seldom = [address for n, address in enumerate(addresses) if n % step]
        turns = [seldom[turn::slower] for turn in range(slower)]
        self.order = often + [address for turn in turns for address in turn]
        self._often = len(often)
        ends = list(itertools.accumulate(map(len, turns), initial=len(often)))
        self._turns = list(itertools.pairwise(ends))

    def slices(self, tick: int) -> list[tuple[int, int]]:
        """The parts [begin, end) of `order` that are asked."""
        return [(0, self._often), self._turns[tick % self._slower]]

    def ticks(self, row: int) -> tuple[int, int]:
        """The first tick at which a row of `order` is asked, and after how many again."""
        if row < self._often:
            return 0, 1
        turn = next(n for n, (begin, end) in enumerate(self._turns) if begin <= row < end)
        return turn, self._slower


def silences(
    answers: bytes | bytearray, times: Sequence[float], first: int, step: int
) -> list[Silence]:
    """When an address was silent.

    :param answers: a byte per tick, 0 where no answer came.
    :param times: of the ticks, at most as many; what is after them is not looked at.
    :param first: the tick at which it was asked first.
    :param step: it was asked every `step` ticks.
    """
    asked = bytes(answers)[first : len(times) : step]
    found: list[Silence] = []
    for match in _SILENT.finditer(asked):
        begin, end = first + match.start() * step, first + match.end() * step
        found.append((times[begin], times[end] if end < len(times) else None))
    return found


class Record:
    """Who answered what, a byte per address and tick.

    :param ticks: for how many there is room.
    """

    def __init__(self, schedule: Schedule, ticks: int) -> None:
        self._schedule = schedule
        self._row = {socket.inet_aton(address): n for n, address in enumerate(schedule.order)}
        self._answers = [bytearray(ticks) for _ in schedule.order]
        self._heard = [0] * len(schedule.order)
        self._late = round(PATIENCE / PERIOD)

    def add(self, address: bytes, asked: int, node: int, now: int) -> None:
        """An answer of a node to the probe of the tick `asked`, at the tick `now`."""
        if now - asked <= self._late:
            row = self._row[address]
            self._answers[row][asked] = node
            self._heard[row] = max(asked, self._heard[row])

    def silent(self, since: int) -> int:
        """How many have answered nothing that was asked since a tick."""
        return sum(heard < since for heard in self._heard)

    def silences(self, times: Sequence[float]) -> dict[str, list[Silence]]:
        """Those of each address, within the ticks whose times these are."""
        return {
            address: silences(self._answers[row], times, *self._schedule.ticks(row))
            for row, address in enumerate(self._schedule.order)
        }


def main() -> None:
    """Measure until standard input ends."""
    sample, slower = (int(word) for word in sys.argv[1:])
    addresses = [line.strip() for line in iter(sys.stdin.readline, "\n")]
    schedule = Schedule(addresses, sample, slower)
    ticks = round(LENGTH / PERIOD)
    record = Record(schedule, ticks)
    client = udp()
    probes, answers = Probes(client.fileno(), schedule.order), Answers(client.fileno())
    hurry()
    times: list[float] = []
    begun = report = time.monotonic()
    while len(times) < ticks:
        now = len(times)
        wait = max(0.0, begun + now * PERIOD - time.monotonic())
        ready, _, _ = select.select([sys.stdin], [], [], wait)
        for address, asked, node in answers.receive():
            record.add(address, asked, node, now)
        if ready:
            break
        times.append(time.monotonic())
        for begin, end in schedule.slices(now):
            probes.send(now, begin, end)
        if times[-1] >= report + REPORT:
            report = times[-1]
            print(record.silent(now - round(REPORT / PERIOD)), flush=True)
    settled = [at for at in times if at <= times[-1] - PATIENCE]  # later ones may be answered yet
    late = [(a, b) for a, b in itertools.pairwise(times) if b - a > 2 * PERIOD]
    print(json.dumps({"silences": record.silences(settled), "late": late}), flush=True)


if __name__ == "__main__":
    main()
