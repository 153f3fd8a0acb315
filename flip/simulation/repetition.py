"""One schedule with many seeds, in several processes, and how the answers are spread."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from flip.simulation.rehearsal import Rehearsal
from flip.simulation.report.answers import Answers, Failure, Ownership
from flip.simulation.report.series import total
from flip.simulation.schedules import Schedule
from flip.simulation.workers import workers as processes

SHARE = 0.95


@dataclass(frozen=True)
class Spread:
    """A question's answers over many runs.

    :ivar count: of the runs that have an answer; in the others it did not happen.
    :ivar runs: all that could have one.
    :ivar p95: no more than this in 95 of 100 runs (nearest rank).
    """

    median: float | None
    p95: float | None
    max: float | None
    count: int
    runs: int


def spread(values: Sequence[float | None]) -> Spread:
    """How these are spread; None is no answer."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return Spread(None, None, None, 0, len(values))
    ranks = (math.ceil(share * len(known)) - 1 for share in (0.5, SHARE))
    median, p95 = (known[rank] for rank in ranks)
    return Spread(median, p95, known[-1], len(known), len(values))


@contextmanager
def repeated(
    play: Callable[[Schedule], Rehearsal], schedule: Schedule, count: int, workers: int
) -> Iterator[Iterator[Answers]]:
    """The answers of `count` runs with the schedule's seed and those after it, in this order.

    The order does not depend on `workers`, how many processes play them; these are
    there from the beginning, and end with the context.
    """
    schedules = (replace(schedule, seed=schedule.seed + number) for number in range(count))
    task = _Task(play)
    if workers == 1 or count == 1:
        yield map(task, schedules)
        return
    with processes(min(workers, count)) as pool:
        yield pool.imap(task, schedules)


@dataclass(frozen=True)
class _Task:
    """What a worker does; only the answers come back, not the whole recording."""

    play: Callable[[Schedule], Rehearsal]

    def __call__(self, schedule: Schedule) -> Answers:
        return self.play(schedule).answers


@dataclass(frozen=True)
class Spreads:
    """Everything about many runs.

    :ivar failures: per failure, as "flip1 killed at 5 s", per question.
    :ivar data: per data point, as "ip 192.168.0.1", per question.
    :ivar cluster: per question about all.
    :ivar traffic: per node, packets and bytes that it sends in a second.
    """

    failures: dict[str, dict[str, Spread]]
    data: dict[str, dict[str, Spread]]
    cluster: dict[str, Spread]
    traffic: dict[str, dict[str, Spread]]

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return asdict(self)


def spreads(runs: Sequence[Answers]) -> Spreads:
    """How the answers of at least one run are spread."""
    return Spreads(
        failures=_by_name((_name_of(found), found) for run in runs for found in run.failures),
        data=_by_name(
            (f"{point.system} {point.datum}", point) for run in runs for point in run.data
        ),
        cluster={name: spread([ask(run) for run in runs]) for name, ask in CLUSTER.items()},
        traffic={
            id: {
                "packets": spread([run.traffic[id].packets for run in runs]),
                "bytes": spread([run.traffic[id].bytes for run in runs]),
            }
            for id in runs[0].traffic
        },
    )


def _by_name(
    found: Iterable[tuple[str, Failure | Ownership]],
) -> dict[str, dict[str, Spread]]:
    gathered: dict[str, list[Any]] = {}
    for name, answer in found:
        gathered.setdefault(name, []).append(answer)
    return {
        name: {
            question: spread([ask(answer) for answer in answers])
            for question, ask in (FAILURE if isinstance(answers[0], Failure) else DATA).items()
        }
        for name, answers in gathered.items()
    }


def _name_of(failure: Failure) -> str:
    return f"{failure.node} {failure.how} at {failure.at:.1f} s"


def _longest(gaps: Iterable[Any]) -> float:
    return max((gap.length for gap in gaps), default=0.0)


FAILURE: dict[str, Callable[[Any], float | None]] = {
    "suspected": lambda failure: failure.suspected,
    "down": lambda failure: failure.down,
    "down_everywhere": lambda failure: failure.down_everywhere,
    "back": lambda failure: failure.back,
}
DATA: dict[str, Callable[[Any], float | None]] = {
    "longest_gap": lambda point: _longest(point.gaps),
    "without_live_owner": lambda point: total(point.gaps),
    "nowhere": lambda point: total(point.nowhere),
    "together": lambda point: total(point.together),
    "apart": lambda point: total(point.apart),
    "leftover": lambda point: total(point.leftover),
    "moves": lambda point: point.moves,
    "unnecessary": lambda point: point.unnecessary,
}
CLUSTER: dict[str, Callable[[Answers], float | None]] = {
    "longest_gap": lambda run: max((_longest(point.gaps) for point in run.data), default=None),
    "longest_together": lambda run: max((_longest(p.together) for p in run.data), default=None),
    "moves": lambda run: run.moves,
    "unnecessary": lambda run: run.unnecessary,
    "false_downs": lambda run: run.false_downs,
    "false_suspicions": lambda run: run.false_suspicions,
    "ownerless": lambda run: len(run.ownerless),
}
