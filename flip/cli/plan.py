"""``flip plan``: who would hold what, and what would move."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from flip.cli.arguments import add_config, load_config
from flip.cli.page import Cell, Page, Row, listing
from flip.config.places import meant, shown

if TYPE_CHECKING:
    from flip.allocation import Plan
    from flip.config import Config, System

MOST_LINES = 20  # of a list of moves


class Case(NamedTuple):
    """Some servers are down, and this is how the others divide the data."""

    down: frozenset[str]
    plan: Plan

    @property
    def label(self) -> str:
        names = ", ".join(sorted(self.down))
        if len(names) > 20:
            return f"{len(self.down)} servers down"
        return f"{names} down" if names else "all active"


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "plan",
        help="show who would hold what",
        description="Show who would hold what, by the configuration alone: no node is asked.",
        epilog="example: flip plan -c etc/flip.json --down flip1 --then-down flip2",
    )
    add_config(parser)
    for option, meaning in (
        ("--down", "servers that are down"),
        ("--then-down", "servers that go down after that: show what moves"),
    ):
        parser.add_argument(
            option, metavar="ID[,ID]", action="append", default=[], help=f"{meaning}; repeatable"
        )
    parser.add_argument("--json", action="store_true", help="print JSON, nothing abbreviated")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.allocation import plan

    config = load_config(args)
    first, later = _ids(args.down), _ids(args.then_down)
    unknown = sorted((first | later) - config.servers.keys())
    for name in unknown:
        message = f"there is no server {shown(name)}{meant(name, config.servers)}"
        print(f"flip plan: {message}", file=sys.stderr)
    if unknown:
        return 2
    before, after = (Case(down, plan(config, down)) for down in (first, first | later))
    if args.json:
        answer = _json(config, before, after) if later else _described(config, before.plan)
        print(json.dumps(answer, indent=2))
        return 0
    page = Page()
    active = Case(frozenset(), plan(config))
    cases = [active, *([before] if first else []), *([after] if later else [])]
    for number, system in enumerate(config.systems.values()):
        if number:
            page.line()
        _print_division(page, config, system, cases)
    if later:
        page.line()
        _print_moves(page, config, before, after)
    for case in cases:
        _print_note(page, config, case)
    return 0


def _ids(options: Sequence[str]) -> frozenset[str]:
    return frozenset(name.strip() for option in options for name in option.split(",") if name)


def _json(config: Config, before: Case, after: Case) -> dict[str, Any]:
    from flip.allocation import moves

    return {
        "before": _described(config, before.plan),
        "after": _described(config, after.plan),
        "moves": [move._asdict() for move in moves(before.plan, after.plan)],
    }


def _described(config: Config, plan: Plan) -> dict[str, Any]:
    """A plan as JSON: a data point that is more than a text is an object, as in the file."""
    return {
        name: {
            id: [_point(config.systems[name], datum) for datum in data]
            for id, data in division.items()
        }
        for name, division in plan.items()
    }


def _point(system: System, datum: str) -> str | dict[str, Any]:
    point = system.special.get(datum)
    if point is None:
        return datum
    return {"id": point.id, "members": point.members, "prefer": point.prefer}


def _print_division(page: Page, config: Config, system: System, cases: Sequence[Case]) -> None:
    """A line per case where everything fits, as in the README; else a line per server."""
    page.line(Cell(system.name, "bold"), f" ({system.type}, {len(system.data)} data points)")
    ids = sorted(config.servers)
    cells = {id: [_cell(config, system, case, id) for case in cases] for id in ids}
    wide: list[Row] = [["", *ids]]
    wide += [[case.label, *(cells[id][n] for id in ids)] for n, case in enumerate(cases)]
    tall: list[Row] = [["", *(case.label for case in cases)]]
    tall += [[id, *cells[id]] for id in ids]
    page.table(wide if page.fits(wide) else tall)
    _print_wishes(page, config, system)


def _print_wishes(page: Page, config: Config, system: System) -> None:
    """What makes a division other than an even one of texts."""
    rows: list[Row] = []
    for point in system.special.values():
        group = len(point.members) > 1 or point.members != (point.id,)
        prefers = f"prefers {point.prefer}" if point.prefer is not None else ""
        if group or prefers:
            members = listing(point.members) if group else Cell("")
            rows.append([f"  {point.id}:" if group else f"  {point.id}", members, prefers])
    page.table(rows[:MOST_LINES], header=False)
    if len(rows) > MOST_LINES:
        page.line(f"  and {len(rows) - MOST_LINES} more such lines; --json shows all")
    weights = {id: config.servers[id].weight for id in config.servers_of(system.name)}
    if system.type == "shard" and len(set(weights.values())) > 1:
        page.line("  weights: ", ", ".join(f"{id} {weight}" for id, weight in weights.items()))


def _cell(config: Config, system: System, case: Case, id: str) -> Cell:
    server = config.servers[id]
    if id in case.down:
        return Cell("x", "red")
    if not server.systems:
        return Cell("(arbiter)", "dim")
    return listing(case.plan[system.name][id]) if system.name in server.systems else Cell("")


def _print_moves(page: Page, config: Config, before: Case, after: Case) -> None:
    from flip.allocation import moves

    page.line(Cell(f"From {before.label} to {after.label}:", "bold"))
    found = moves(before.plan, after.plan)
    for name, system in config.systems.items():
        ways: dict[str, list[str]] = {}
        for move in found:
            if move.system == name:
                way = f"{move.source or '(nobody)'} -> {move.target or '(nobody)'}"
                ways.setdefault(way, []).append(move.datum)
        count = len({datum for data in ways.values() for datum in data})
        page.line(f"{name} moves {count or 'none'} of {len(system.data)} data points")
        rows: list[Row] = [[f"  {way}", listing(data)] for way, data in ways.items()]
        page.table(rows[:MOST_LINES], header=False)
        if len(rows) > MOST_LINES:
            page.line(f"  and {len(rows) - MOST_LINES} more such lines; --json shows all")


def _print_note(page: Page, config: Config, case: Case) -> None:
    active, servers = len(config.servers) - len(case.down), len(config.servers)
    if active < config.quorum:
        page.line()
        page.paragraph(
            Cell("Note:", "bold yellow"),
            f"{case.label}: {active} of {servers} servers are left, and the quorum is "
            f"{config.quorum}. Nobody could agree: nothing would move.",
        )
