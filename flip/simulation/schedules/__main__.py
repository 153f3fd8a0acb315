"""`python -m flip.simulation.schedules`: random schedules of faults, thousands of them.

The safety rules of docs/testing.md are checked after every step of each.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from flip.errors import FlipError
from flip.simulation.schedules.campaign import Progress, campaign, keep
from flip.simulation.schedules.generator import generate
from flip.simulation.schedules.play import play

INTERRUPTED = 130  # the exit status of a shell's command that Ctrl-C ended


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 1 when a rule was broken."""
    options = _parser().parse_args(arguments)
    if options.seed is not None:
        print(generate(options.seed))
        print(play(generate(options.seed)))
        return 0
    progress = Progress(options.first, options.first)
    if options.state is not None and options.state.exists():
        progress = Progress.load(options.state)
    try:
        _run(progress, options)
    except KeyboardInterrupt:
        _report(progress)
        if options.state is not None:
            print(f"stopped; the same command goes on from seed {progress.next}")
        return INTERRUPTED
    _report(progress)
    if options.save is not None:
        options.save.mkdir(parents=True, exist_ok=True)
        for failure in progress.tally.failures:
            print(f"seed {failure.seed}, as short as it gets: {keep(failure, options.save)}")
    return 1 if progress.tally.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flip.simulation.schedules", description=(__doc__ or "").split("\n\n", 1)[1]
    )
    add = parser.add_argument
    add("--count", type=int, default=1000, metavar="N", help="how many schedules (%(default)s)")
    add("--first", type=int, default=0, metavar="SEED", help="the first seed (%(default)s)")
    add("--seed", type=int, help="print and play this one only")
    add(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes (as many as there are cores: %(default)s)",
    )
    add("--state", type=Path, metavar="FILE", help="go on from this file, and keep it up to date")
    add("--save", type=Path, metavar="DIR", help="shrink what fails and save it there")
    return parser


def _run(progress: Progress, options: argparse.Namespace) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    # On standard error, so that the result alone can be kept.
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("schedules", total=options.count)

        def told(progress: Progress) -> None:
            if options.state is not None:
                progress.save(options.state)
            failed = len(progress.tally.failures)
            described = f"schedules, {failed} failed" if failed else "schedules"
            bar.update(task, completed=progress.next - progress.first, description=described)

        campaign(progress, options.count, options.workers, told)


def _report(progress: Progress) -> None:
    tally = progress.tally
    for failure in tally.failures:
        print(failure.report, end="\n\n")
    failed = len(tally.failures)
    print(
        f"seeds {progress.first} to {progress.next - 1}: {tally.count - failed} schedules passed,"
        f" {failed} failed, in {progress.seconds:.0f} s"
    )
    print(
        f"simulated {tally.simulated / 3600:.1f} h; well again after the last fault: median"
        f" {tally.recovery(0.5)} s, 99 % {tally.recovery(0.99)} s, all {tally.recovery(1)} s;"
        f" two that reached each other held the same for {tally.overlap:.3f} s at most"
    )
    if tally.unguarded:
        print(f"two owners without flip or guard: {tally.unguarded:.1f} s in all")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FlipError as error:
        sys.exit(str(error))
