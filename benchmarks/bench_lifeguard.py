"""How often a detector is wrong about healthy members, and how soon right about dead ones.

The experiment of the Lifeguard paper (arXiv 1707.00788) on virtual time: of 128
members some stop at once, for good (the threshold form), or again and again for two
minutes (the interval form). flip's real nodes beside SWIM and SWIM+Lifeguard with
the settings of memberlist's LAN defaults, on the same network and event loops.

A stop is the paper's: a process is blocked in whatever it sends or has received next.
memberlist's timers run in other threads and go on; a flip node has one thread, so
all of it stands still. `--stopped-processes` stops memberlist's whole processes as
well, as SIGSTOP does.

What is wrong: a healthy member that is dead to memberlist's member, or down by a
quorum's votes to a flip node; one change of one observer's mind counts once. Suspected
is memberlist's suspect, and flip's probably_down (some votes, no quorum). Ratios are
to SWIM+Lifeguard.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.lifeguard.experiment import DETECTORS, LENGTH, MEMBERS
from benchmarks.lifeguard.grid import Result, Results, run, trials
from benchmarks.lifeguard.table import latencies, missed_goals, mistakes, same_stops

Shape = tuple[float | None, float | None, bool]
FOR_GOOD = ((None, None, True),)


@dataclass(frozen=True)
class Grid:
    """What is tried: numbers of members that stop, durations and intervals in seconds."""

    stopped: tuple[int, ...]
    stops: tuple[tuple[float, float], ...]

    def shapes(self) -> tuple[Shape, ...]:
        """The stops of the interval form."""
        return tuple((duration, interval, True) for duration, interval in self.stops)


# Stops longer than the least suspicion, 8.4 s for 128 members, are where SWIM is wrong
# most often: between two of them there is just time enough to tell what one believes.
STOPS = ((16.384, 0.256),)
QUICK = Grid((4,), STOPS)
FULL = Grid((1, 4, 8, 16, 32), STOPS)
# A flip node that probes more often votes as one that probes less often does, so
# the interval form, which takes long, is done at the probe traffic of the others.
ONCE_ONLY = "flip"


def main(arguments: Sequence[str] | None = None) -> int:
    """Perform the grid and print its tables; 1 if flip misses a goal."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="a sample, about 2 minutes (default)")
    size.add_argument("--full", action="store_true", help="the grid, 20 to 30 minutes")
    parser.add_argument("--stopped", type=int, nargs="+", metavar="C", help="stopped at once")
    parser.add_argument("--seeds", type=int, default=1, help="trials of each kind (1)")
    parser.add_argument("--detectors", nargs="+", choices=DETECTORS, default=DETECTORS)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--stopped-processes", action="store_true", help="SIGSTOP for all")
    parser.add_argument(
        "--directory", type=Path, help="keeps results there, and does only what is missing"
    )
    args = parser.parse_args(arguments)
    grid = FULL if args.full else QUICK
    stopped, seeds = args.stopped or grid.stopped, range(1, 1 + args.seeds)
    again = [detector for detector in args.detectors if detector != ONCE_ONLY]
    wanted = []
    for detectors, shapes in ((args.detectors, FOR_GOOD), (again, grid.shapes())):
        wanted += trials(detectors, stopped, shapes, seeds)
        if args.stopped_processes:
            whole = [(duration, interval, False) for duration, interval, _ in shapes]
            wanted += trials(detectors, stopped, whole, seeds)
    results = Results(args.directory)
    run(wanted, results, args.workers)
    missed: list[str] = []
    for blocked in (True, False) if args.stopped_processes else (True,):
        chosen = [trial for trial in wanted if same_stops(trial, blocked=blocked)]
        missed += show(list(results.of(chosen)), blocked=blocked)
    return int(bool(missed))


def show(known: Sequence[Result], *, blocked: bool) -> list[str]:
    """Print the tables of one kind of stop; returns which goals are missed."""
    kind = "blocked in their messages" if blocked else "stopped by SIGSTOP"
    once = [result for result in known if result[0].interval is None]
    again = [result for result in known if result[0].interval is not None]
    print(f"{MEMBERS} members, C of them {kind}; packets and kB per member and second\n")
    print("threshold form: they stop for good")
    print("\n".join(latencies(once)), end="\n\n")
    stops = sorted({(trial.duration or 0, trial.interval or 0) for trial, _ in again})
    print(
        f"interval form, {LENGTH:.0f} s: they stop for D and go on for I seconds; (D, I) =", end=""
    )
    print(*(f" ({duration:g}, {interval:g})" for duration, interval in stops))
    print("\n".join(mistakes(again)), end="\n\n")
    missed = missed_goals(once, again)
    for goal in missed:
        print(f"flip, 1 ping/s: {goal}")
    return missed


if __name__ == "__main__":
    sys.exit(main())
