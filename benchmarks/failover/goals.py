"""What flip should do beside the others, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.failover.contest import LEASE, PROGRAMS, SHORTEST
from benchmarks.failover.faults import FAULTS
from benchmarks.failover.flips import FAST, README
from benchmarks.failover.grid import Result
from benchmarks.failover.measures import Outcome
from benchmarks.failover.table import seconds
from benchmarks.failover.trial import FEW

Measure = Callable[[Sequence[Outcome]], float]

ORDINARY = ("flip", "flip-fast")
EXCLUSIVE = ("flip-exclusive", "flip-fast-exclusive")
ALL = ("flip", "flip-wait", "flip-exclusive", "flip-fast", "flip-fast-exclusive")
AT_ONCE = 0.020  # seconds between an owner that lets go and the next
THAWED, HEALED = 0.050, 0.100  # seconds
CROWD = 0.1  # seconds more for very many addresses
GRANTED = 0.3  # seconds more than detection and lease
PROMPT = 0.0005  # seconds: what the table shows as 0


def _gap(outcomes: Sequence[Outcome]) -> float:
    return median(one.gap.median for one in outcomes)


def _after(outcomes: Sequence[Outcome]) -> float:
    return median(one.gap_after.median for one in outcomes)


def _after_at_worst(outcomes: Sequence[Outcome]) -> float:
    return max(one.gap_after.worst for one in outcomes)


def _two(outcomes: Sequence[Outcome]) -> float:
    return max(one.two.worst for one in outcomes)


def _needless(outcomes: Sequence[Outcome]) -> float:
    return max(one.needless for one in outcomes)


def _endless(outcomes: Sequence[Outcome]) -> float:
    return max(one.two_at_end for one in outcomes)


@dataclass(frozen=True)
class Goal:
    """One measure of one fault, and what it should not exceed.

    :ivar limit: seconds, or a count.
    :ivar rival: the program whose own measure is multiplied with the limit.
    """

    fault: str
    program: str
    title: str
    measure: Measure
    limit: float
    rival: str | None = None


def _detected(times: tuple[int, int], lease: float) -> float:
    """Until an owner is down and its lease over, seconds."""
    return (sum(times) + lease) / 1000 + GRANTED


def _goals() -> Iterator[Goal]:
    yield Goal("crash", "flip", "gap", _gap, 0.8, "keepalived")
    yield Goal("crash", "flip-fast", "gap", _gap, 1.0, "keepalived-fast")
    for program in ALL:
        for fault in ("stop", "return"):
            yield Goal(fault, program, "gap", _gap, AT_ONCE)
            yield Goal(fault, program, "two owners", _two, PROMPT)
        yield Goal("loss", program, "needless moves", _needless, 0)
        yield Goal("busy", program, "needless moves", _needless, 0)
        for fault in ("isolated", "deaf", "mute"):
            yield Goal(fault, program, "gap after, at worst", _after_at_worst, HEALED)
        yield Goal("freeze", program, "gap after", _after, THAWED)
    for program in ORDINARY:
        yield Goal("agent", program, "addresses with two owners for ever", _endless, 0)
    for program, times, lease in (
        ("flip-wait", README, LEASE),
        ("flip-exclusive", README, 2 * sum(README)),
        ("flip-fast-exclusive", FAST, SHORTEST),
    ):
        yield Goal("agent", program, "two owners", _two, PROMPT)
        yield Goal("agent", program, "gap", _gap, _detected(times, lease))
    for program in EXCLUSIVE:
        for fault in ("freeze", "isolated", "deaf", "mute"):
            yield Goal(fault, program, "two owners", _two, PROMPT)


def verdicts(results: Sequence[Result]) -> list[tuple[bool, str]]:
    """Whether each goal is met of which anything is known, and in words what and by how much."""
    found = []
    for count in sorted({trial.addresses for trial, _ in results}):
        for goal in _goals():
            mine = _of(results, count, goal.fault, goal.program)
            limit = goal.limit
            words = ""
            if goal.rival is not None:
                rivals = _of(results, count, goal.fault, goal.rival)
                if not rivals:
                    continue
                theirs = goal.measure(rivals)
                limit = limit * theirs + (CROWD if count > FEW else 0)
                words = f" ({goal.limit:g} x {seconds(theirs)} of {PROGRAMS[goal.rival].title})"
            if mine:
                value = goal.measure(mine)
                counted = goal.measure in (_needless, _endless)
                shown, most = (
                    (f"{value:g}", f"{limit:g}") if counted else (seconds(value), seconds(limit))
                )
                text = f"{count}, {FAULTS[goal.fault].title}, {PROGRAMS[goal.program].title}, "
                found.append(
                    (value <= limit, f"{text}{goal.title}: {shown}, at most {most}{words}")
                )
    return found


def _of(results: Sequence[Result], count: int, fault: str, program: str) -> list[Outcome]:
    return [
        one
        for trial, one in results
        if (trial.addresses, trial.fault, trial.program) == (count, fault, program)
    ]
