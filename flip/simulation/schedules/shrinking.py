"""From a long schedule that breaks a rule to a short one that breaks the same rule.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
Failure-Inducing Input", 2002) over the list of faults, then simpler faults, then
a simpler cluster. It is deterministic, and every step keeps a schedule that fails.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from flip.config.points import id_of
from flip.errors import BadFault, ConfigError
from flip.simulation.invariants import Violation
from flip.simulation.schedules.play import play
from flip.simulation.schedules.schedule import Schedule

PLAYS = 600  # at most; each takes some hundredths of a second
DIGITS = (0, 1, 2)  # that times are rounded to, the coarsest first


def broken(schedule: Schedule) -> str | None:
    """The name of the rule that a schedule breaks, None when it breaks none."""
    try:
        play(schedule)
    except Violation as violation:
        return violation.invariant
    return None


def shrink(
    schedule: Schedule, fails: Callable[[Schedule], bool] | None = None, plays: int = PLAYS
) -> Schedule:
    """The simplest schedule that could be found and fails alike.

    :param fails: whether a schedule fails; by default, whether it breaks the same rule.
    :param plays: how many schedules to try.
    """
    if fails is None:
        rule = broken(schedule)
        if rule is None:
            raise ValueError("it breaks no rule")
        fails = lambda candidate: broken(candidate) == rule  # noqa: E731
    left = plays
    current = schedule
    progress = True
    while progress and left > 0:
        progress = False
        for simpler in _simplifications:
            for candidate in simpler(current):
                left -= 1
                if left < 0:
                    return current
                if _fails(fails, candidate):
                    current, progress = candidate, True
                    break
            if progress:
                break
    return current


def _fails(fails: Callable[[Schedule], bool], candidate: Schedule) -> bool:
    try:
        candidate.parsed  # noqa: B018
        return fails(candidate)
    except (BadFault, ConfigError):
        # A time that rounding made empty, or a setting that makes no sense without
        # the one left out.
        return False


def _fewer_faults(schedule: Schedule) -> Iterator[Schedule]:
    """Half of them left out, a quarter, ... one."""
    faults = schedule.faults
    size = len(faults)
    while size > 0:
        for at in range(0, len(faults), size):
            left = faults[:at] + faults[at + size :]
            yield replace(schedule, faults=left)
        size //= 2


def _fewer_nodes(schedule: Schedule) -> Iterator[Schedule]:
    """One node left out of a fault that names several."""
    for number, fault in enumerate(schedule.faults):
        what, _, time = fault.rpartition("@")
        kind, _, nodes = what.partition(" ")
        if "," in nodes and "/" not in nodes:
            names = nodes.split(",")
            for name in names:
                rest = ",".join(other for other in names if other != name)
                yield _with_fault(schedule, number, f"{kind} {rest}@{time}")


def _rounder_times(schedule: Schedule) -> Iterator[Schedule]:
    """Times with fewer digits, then an earlier end of everything."""
    for number, fault in enumerate(schedule.faults):
        cut = max(fault.rfind("@"), fault.rfind(" ")) + 1
        head, times = fault[:cut], fault[cut:].split("-")
        for digits in DIGITS:
            for place, time in enumerate(times):
                rounded = f"{float(time):.{digits}f}"
                if len(rounded) < len(time) and float(rounded) > 0:
                    other = [*times[:place], rounded, *times[place + 1 :]]
                    yield _with_fault(schedule, number, head + "-".join(other))
    for share in (0.5, 0.75, 0.9):
        duration = round(schedule.duration * share, 1)
        last = max((fault.span.end or fault.span.begin for fault in schedule.parsed), default=0.0)
        if last < duration < schedule.duration:
            yield replace(schedule, duration=duration)


def _plainer_cluster(schedule: Schedule) -> Iterator[Schedule]:
    """A setting of a system left out, or its last data point."""
    for name, system in schedule.config["cluster"]["system"].items():
        for setting in system.keys() - {"alive", "down", "data"}:
            config: dict[str, Any] = copy.deepcopy(dict(schedule.config))
            del config["cluster"]["system"][name][setting]
            if "type" in config["cluster"]["system"][name]:
                yield replace(schedule, config=config)
        if len(system["data"]) > 1:
            config = copy.deepcopy(dict(schedule.config))
            last = id_of(config["cluster"]["system"][name]["data"].pop())
            texts = (f"/{last}@", f" {last}@")
            if not any(text in fault for fault in schedule.faults for text in texts):
                yield replace(schedule, config=config)


def _with_fault(schedule: Schedule, number: int, fault: str) -> Schedule:
    faults = (*schedule.faults[:number], fault, *schedule.faults[number + 1 :])
    return replace(schedule, faults=faults)


_simplifications: tuple[Callable[[Schedule], Iterator[Schedule]], ...] = (
    _fewer_faults,
    _fewer_nodes,
    _plainer_cluster,
    _rounder_times,
)
