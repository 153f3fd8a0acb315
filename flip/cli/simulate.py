"""``flip simulate``: rehearse faults on one's own configuration, on virtual time."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flip.cli.arguments import BAD_CONFIGURATION
from flip.cli.page import Page
from flip.errors import BadFault, BadSchedule, ConfigError, UnusableOption

if TYPE_CHECKING:
    from flip.cli.simulation_input import Input
    from flip.simulation.rehearsal import Rehearsal
    from flip.simulation.report.answers import Answers

VIOLATED = 1
OWNERLESS = 3
INTERRUPTED = 130

DESCRIPTION = """\
Run all nodes of a configuration on virtual time, break what you name, and tell what happens: when
each failure is seen, when each data point has a live owner again, whether there were two owners or
none, what moved in vain, and what it costs in traffic. Nothing of it is real: no socket is opened,
no hook is run, no file of a node is read or written. The same seed gives the same run."""

EPILOG = """\
NODE is an id of the configuration, TIME counts seconds from the start; the faults last until the
second time, or for good. They may be given in any number and order.

exit status: 0 all is well; 1 a safety rule was broken; 2 the input cannot be used; 3 a data point
ends without a live owner; 130 stopped by Ctrl-C

examples:
  flip simulate -c etc/flip.json --kill flip1@20 --restart flip1@40
  flip simulate -c etc/flip.json --cut flip,flip2/flip1@30-45 --picture cut.svg
  flip simulate -c etc/flip.json --kill flip1@20 --repeat 1000"""


def add(subparsers: Any) -> None:
    from flip.simulation.faults import KINDS

    parser = subparsers.add_parser(
        "simulate",
        help="rehearse faults on a configuration, in virtual time",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage="flip simulate -c FILE [--FAULT ...]... [options]",
    )
    option = parser.add_argument
    option("-c", "--config", metavar="FILE", help="the cluster's configuration")
    option(
        "--schedule",
        type=Path,
        metavar="FILE",
        help="play a file of tests/schedules instead: it says the cluster, seed and faults",
    )
    option("--seed", type=int, metavar="N", help="of everything left to chance (default: 1)")
    option(
        "--duration",
        type=float,
        metavar="SECONDS",
        help="how long to watch (default: until 30 s after the last fault, at least 60 s)",
    )
    option("--repeat", type=int, metavar="N", help="N runs with as many seeds: median, p95, max")
    option(
        "--workers",
        type=int,
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes for --repeat (default: as many as there are cores)",
    )
    option("--nodes", type=int, metavar="N", help="as many servers, the new ones called n4, n5 ...")
    option(
        "--hook-time",
        metavar="LEAST-MOSTms",
        help="how long hooks take, such as 100-800ms (default: 5-40ms, as flip's own)",
    )
    option(
        "--picture",
        type=Path,
        metavar="FILE",
        help="draw it: .svg or .html; with --repeat the run with the longest gap",
    )
    option("--json", action="store_true", help="print only JSON, with everything")
    faults = parser.add_argument_group("faults")
    for kind, cls in KINDS.items():
        if not cls.can_happen:
            continue
        faults.add_argument(
            f"--{kind}",
            dest="faults",
            action="append",
            type=_Kind(kind),
            metavar=cls.form,
            help=f"{cls.meaning} Such as {cls.example}".replace("%", "%%"),
        )
    parser.set_defaults(run=run)


class _Kind:
    """Turns the text after an option into a fault's whole text."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    def __call__(self, text: str) -> str:
        return f"{self._kind} {text}"


def run(args: argparse.Namespace) -> int:
    from flip.cli.simulation_input import read_input

    try:
        asked = read_input(args)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return BAD_CONFIGURATION
    except (BadFault, BadSchedule, UnusableOption) as error:
        print(f"flip simulate: {error}", file=sys.stderr)
        return BAD_CONFIGURATION
    return _run_once(args, asked) if args.repeat is None else _run_often(args, asked)


def _run_once(args: argparse.Namespace, asked: Input) -> int:
    rehearsal = asked.play(asked.schedule)
    if args.json:
        from flip.simulation.report.timeline import timeline

        lines = [line.as_json() for line in timeline(rehearsal.recording)]
        print(json.dumps(rehearsal.answers.as_json() | {"timeline": lines}, indent=2))
    else:
        from flip.cli.simulation_page import show

        show(Page(), rehearsal)
    if args.picture is not None:
        _draw(args.picture, rehearsal)
    return _status([rehearsal.answers])


def _run_often(args: argparse.Namespace, asked: Input) -> int:
    from flip.cli.simulation_page import show_spreads
    from flip.simulation.repetition import repeated, spreads

    answers: list[Answers] = []
    stopped = False
    try:
        # The processes come first: the bar has a thread.
        with (
            repeated(asked.play, asked.schedule, args.repeat, args.workers) as runs,
            _bar(args.repeat) as advance,
        ):
            for found in runs:
                answers.append(found)
                advance()
    except KeyboardInterrupt:
        stopped = True
    if not answers:
        return INTERRUPTED
    spread = spreads(answers)
    if args.json:
        each = [found.as_json() for found in answers]
        print(json.dumps({"runs": len(answers)} | spread.as_json() | {"each": each}, indent=2))
    else:
        show_spreads(Page(), spread, answers)
    if args.picture is not None and not stopped:
        worst = max(answers, key=lambda found: (found.violation is not None, found.longest_gap))
        _draw(args.picture, asked.play(replace(asked.schedule, seed=worst.seed)))
    return INTERRUPTED if stopped else _status(answers)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[], None]]:
    """A progress bar, on a terminal only; yields what to call after each run."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    console = Console(stderr=True)
    columns = BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("runs", total=total)
        yield lambda: bar.advance(task)


def _draw(path: Path, rehearsal: Rehearsal) -> None:
    """Write the picture.

    :raises OSError: it cannot be written.
    """
    from flip.simulation.picture import draw, page
    from flip.simulation.report.timeline import timeline

    picture = draw(rehearsal.recording, rehearsal.answers)
    if path.suffix == ".html":
        picture = page(picture, timeline(rehearsal.recording))
    path.write_text(picture, encoding="utf-8")
    print(f"Drawn: {path}", file=sys.stderr)


def _status(answers: Sequence[Answers]) -> int:
    """The exit code."""
    if any(found.violation is not None for found in answers):
        return VIOLATED
    return OWNERLESS if any(found.ownerless for found in answers) else 0
