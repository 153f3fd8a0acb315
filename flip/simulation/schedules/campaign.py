"""Many schedules in several processes; it can be stopped at any time, and goes on later."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from flip.errors import BadSchedule
from flip.simulation.invariants import Violation
from flip.simulation.schedules.generator import generate
from flip.simulation.schedules.play import play
from flip.simulation.schedules.schedule import Schedule
from flip.simulation.schedules.shrinking import shrink
from flip.simulation.workers import workers as processes

CHUNK = 25  # schedules that a worker plays before it reports


@dataclass(frozen=True)
class Failure:
    """A schedule that broke a rule: its seed, the rule, and what was reported."""

    seed: int
    invariant: str
    report: str


@dataclass
class Tally:
    """What many schedules came to; addition puts two of them together.

    :ivar recoveries: how many schedules were well again within so many whole seconds.
    :ivar overlap: the longest time for which two that reached each other held the same.
    :ivar unguarded: seconds of two owners without flip or guard, in all.
    :ivar simulated: seconds, in all.
    """

    count: int = 0
    failures: list[Failure] = field(default_factory=list)
    recoveries: dict[int, int] = field(default_factory=dict)
    overlap: float = 0.0
    unguarded: float = 0.0
    simulated: float = 0.0

    def __iadd__(self, other: Tally) -> Self:
        self.count += other.count
        self.failures += other.failures
        for seconds, count in other.recoveries.items():
            self.recoveries[seconds] = self.recoveries.get(seconds, 0) + count
        self.overlap = max(self.overlap, other.overlap)
        self.unguarded += other.unguarded
        self.simulated += other.simulated
        return self

    def recovery(self, share: float) -> int:
        """Within how many seconds this share of the schedules was well again."""
        total, wanted = 0, share * sum(self.recoveries.values())
        for seconds in sorted(self.recoveries):
            total += self.recoveries[seconds]
            if total >= wanted:
                return seconds
        return 0


@dataclass
class Progress:
    """How far a campaign has got: seeds from `first` up to but without `next` are done.

    :ivar seconds: that it has run, over all its sittings.
    """

    first: int
    next: int
    seconds: float = 0.0
    tally: Tally = field(default_factory=Tally)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what `save` wrote.

        :raises BadSchedule: it is something else.
        """
        try:
            value: Any = json.loads(path.read_text())
            tally = value.pop("tally")
            tally["failures"] = [Failure(**failure) for failure in tally["failures"]]
            tally["recoveries"] = {int(key): count for key, count in tally["recoveries"].items()}
            return cls(**value, tally=Tally(**tally))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadSchedule(f"({path} is no state of a campaign: {error})") from error

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""
        aside = path.with_name(f"{path.name}.new")
        aside.write_text(json.dumps(asdict(self)))
        os.replace(aside, path)


def rehearse(seeds: range, generator: Callable[[int], Schedule] = generate) -> Tally:
    """Play the schedules of these seeds, one after the other."""
    tally = Tally()
    for seed in seeds:
        tally.count += 1
        try:
            outcome = play(generator(seed))
        except Violation as violation:
            tally.failures.append(Failure(seed, violation.invariant, str(violation)))
            continue
        second = int(outcome.recovery) + 1
        tally.recoveries[second] = tally.recoveries.get(second, 0) + 1
        tally.overlap = max(tally.overlap, outcome.overlap)
        tally.unguarded += outcome.unguarded
        tally.simulated += outcome.simulated
    return tally


def campaign(
    progress: Progress, count: int, workers: int, told: Callable[[Progress], None]
) -> None:
    """Play what is left of `count` schedules from `progress.first` on.

    :param told: called with the progress after every chunk; it may raise to stop,
        and what it was told is never done again.
    """
    end = progress.first + count
    chunks = [range(at, min(at + CHUNK, end)) for at in range(progress.next, end, CHUNK)]
    began, before = time.monotonic(), progress.seconds
    for chunk, tally in zip(chunks, _results(chunks, workers), strict=True):
        progress.next = chunk.stop
        progress.tally += tally
        progress.seconds = before + time.monotonic() - began
        told(progress)


def _results(chunks: list[range], workers: int) -> Iterator[Tally]:
    # In order, so that one number says what is done.
    with processes(workers) as pool:
        yield from pool.imap(rehearse, chunks)


def keep(failure: Failure, directory: Path) -> Path:
    """Shrink what failed and save it as a file that the suite replays; returns the file."""
    short = shrink(generate(failure.seed))
    path = directory / f"seed-{failure.seed}.json"
    first = failure.report.splitlines()[0]
    replace(short, description=f"Found at random: {first}").save(path)
    return path
