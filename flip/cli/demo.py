"""``flip demo``: the README's story with real processes, told while it happens."""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

from flip.cli.page import Cell, Page

if TYPE_CHECKING:
    from flip.demo.audience import Moment
    from flip.demo.performance import Outcome
    from flip.demo.story import Observation, Row


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "demo",
        help="show a cluster that fails over, with real processes",
        description="Start three real nodes on this machine, kill one, bring it back, cut all of"
        " them off from each other, and check at every step who holds what. Needs no privilege,"
        " changes nothing, takes less than a minute.",
        epilog="exit status: 0 all went as told, 1 something differed, 130 stopped by Ctrl-C",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep its directory: configurations, logs, hooks"
    )
    parser.add_argument("--json", action="store_true", help="print only the result, as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.demo.performance import perform

    with open(os.devnull, "w") as silence:
        screen = Screen(silence if args.json else sys.stdout or silence)
        outcome = perform(screen, keep=args.keep)
        screen.end(outcome)
    if args.json:
        print(json.dumps(outcome.as_json(), indent=2))
    if outcome.error:
        _complain(outcome)
    return outcome.status


class Screen:
    """Tells the story on a terminal, or as plain text."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._page = Page(file)
        self._live = file.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._is_waiting = False
        self._steps = 0

    def opening(self, root: str) -> None:
        """Who plays, and where."""
        self._line(
            Cell("flip demo", "bold"), ": three real nodes, with real sockets and real hooks."
        )
        self._paragraph(
            "flip and flip1 share the data of one system, two addresses. flip2 is an arbiter: it"
            " holds nothing and votes. Each probes the others every second (gossip_interval)."
        )
        self._paragraph(
            "The hooks only make and remove files, so this machine stays as it is. Everything is"
            f" in {root}, and removed at the end unless you say --keep."
        )

    def step(self, title: str, text: str) -> None:
        self._steps += 1
        self._line()
        self._line(Cell(f"{self._steps}. {title}", "bold cyan"))
        self._paragraph(text)

    def waiting(self, text: str, seconds: float) -> None:
        if self._live:
            self._is_waiting = True
            line = f"   {text} ... {seconds:.1f} s"[: self._page.width - 1]
            print(f"\r{line}\x1b[K", end="", file=self._file, flush=True)

    def moments(self, moments: list[Moment]) -> None:
        for moment in moments:
            lead = f"   {moment.after:6.2f} s  {moment.node:<6}"
            self._clear()
            self._page.paragraph(Cell(lead, "dim"), moment.text)
        self._file.flush()

    def row(self, row: Row, seen: Observation) -> None:
        self._clear()
        self._page.table(
            [
                ["  ", "", *row.holds],
                ["  ", Cell(row.name, "bold"), *(_cell(seen, id) for id in row.holds)],
            ]
        )
        self._file.flush()

    def remark(self, text: str) -> None:
        self._paragraph(text, Cell("  ok", "green"))

    def end(self, outcome: Outcome) -> None:
        """The last lines, whatever came before."""
        self._line()
        if outcome.status == 0:
            self._line(Cell(f"All as told, in {outcome.seconds:.0f} s", "bold green"))
            self._paragraph(
                "Every row is right both by what the nodes report and by what their hooks did, and"
                " no address ever had two holders."
            )
        elif not outcome.error:
            self._line("Stopped: all its processes are ended.")
        if outcome.kept and not outcome.error:
            self._line(f"Kept: {outcome.kept}")

    def _paragraph(self, text: str, lead: Cell | None = None) -> None:
        self._clear()
        self._page.paragraph(lead or Cell("  "), text)
        self._file.flush()

    def _line(self, *cells: Cell | str) -> None:
        self._clear()
        self._page.line(*cells)
        self._file.flush()

    def _clear(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            print("\r\x1b[K", end="", file=self._file)


def _cell(seen: Observation, id: str) -> Cell:
    from flip.demo.story import ARBITERS

    held = seen.held(id)
    if held is None:
        return Cell("x", "red")
    return (
        Cell(", ".join(sorted(held)), "green")
        if held or id not in ARBITERS
        else Cell("(arbiter)", "dim")
    )


def _complain(outcome: Outcome) -> None:
    page = Page(sys.stderr)
    for line in outcome.error.splitlines():
        page.paragraph(Cell("flip demo:", "bold red"), line)
    for id, lines in outcome.logs.items():
        page.line(Cell(f"The last lines of {id}'s log:", "bold"))
        for line in lines:
            page.line("  ", line)
    if outcome.kept:
        page.line(f"All of it, logs, hooks and configurations, is in {outcome.kept}")
