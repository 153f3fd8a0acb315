"""`python -m tests.simulation.mutations`: how many schedules flip survives without a rule.

Each rule of `tests.simulation.rules_off` in turn is switched off, and random
schedules are played until one of them breaks an invariant. Few is good: the
schedules and the invariants find out what a rule is for. With --save the schedule
is shrunk and becomes the regression file of its rule.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path

from rich.console import Console
from rich.table import Table

from flip.simulation.invariants import Violation
from flip.simulation.schedules import Schedule, play
from flip.simulation.schedules.generator import generate
from flip.simulation.schedules.shrinking import broken, shrink
from flip.simulation.workers import workers
from tests.simulation.rules_off import RULES, switched_off


def survived(rule: str, most: int, first: int) -> tuple[int, Schedule | None, str]:
    """How many schedules pass without a rule, and the first that does not, and why.

    :param most: how many to try.
    """
    for number, schedule in enumerate(islice(_concerned(rule, first), most)):
        try:
            with switched_off(rule):
                play(schedule)
        except Violation as violation:
            return number, schedule, str(violation).splitlines()[0]
    return most, None, ""


def _concerned(rule: str, first: int) -> Iterator[Schedule]:
    """Schedules of systems such as a rule is about."""
    # Those of exclusive systems have odd seeds.
    seeds = count(first + 1, 2) if rule.startswith(("E", "AE")) else count(first, 2)
    for schedule in map(generate, seeds):
        if RULES[rule].concerns(schedule.config["cluster"]["system"]["s"]):
            yield schedule


def main(arguments: list[str] | None = None) -> int:
    """Run the command; its exit status is 1 when a rule was not missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[1])
    parser.add_argument("rules", nargs="*", metavar="RULE", help="only these of all rules")
    parser.add_argument("--most", type=int, default=1000, help="schedules per rule (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (%(default)s)")
    parser.add_argument("--save", type=Path, metavar="DIR", help="shrink, and save there")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args(arguments)
    table = Table("rule", "what flip does by it", "survived", "seconds", "what was broken")
    missed = True
    attempt = partial(_attempt, most=options.most, first=options.first, save=options.save)
    with workers(options.workers) as pool:
        for rule, number, seconds, report in pool.imap(attempt, options.rules or RULES):
            missed = missed and bool(report)
            told = f"{number}" if report else f"all {number}"
            print(f"{rule}: {told}, {seconds:.0f} s: {report}", file=sys.stderr, flush=True)
            table.add_row(rule, RULES[rule].says, told, f"{seconds:.0f}", report)
    Console(width=160).print(table)
    return 0 if missed else 1


def _attempt(rule: str, most: int, first: int, save: Path | None) -> tuple[str, int, float, str]:
    began = time.monotonic()
    number, schedule, report = survived(rule, most, first)
    seconds = time.monotonic() - began
    if schedule is not None and save is not None:
        with switched_off(rule):
            invariant = broken(schedule)
        short = shrink(schedule, partial(_shows, rule, invariant), plays=120)
        text = f"{RULES[rule].says} Without that: {report.partition(': ')[2]}"
        replace(short, description=text, rule=rule).save(save / f"{rule}.json")
    return rule, number, seconds, report


def _shows(rule: str, invariant: str | None, schedule: Schedule) -> bool:
    """Whether a schedule breaks the same invariant without the rule, and none with it."""
    with switched_off(rule):
        without = broken(schedule)
    return without == invariant and broken(schedule) is None


if __name__ == "__main__":
    sys.exit(main())
