"""``flip check``: whether a node could start with this configuration, before it has to."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
from socket import AF_INET, AF_INET6
from typing import TYPE_CHECKING, Any

from flip import realtime
from flip.cli.arguments import BAD_CONFIGURATION, add_config
from flip.cli.page import Cell, Page
from flip.config import Config, Problem, load
from flip.config.places import Fault
from flip.errors import ConfigError

if TYPE_CHECKING:
    from flip.holdings.hooks import Hook


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "check",
        help="tell what is wrong with a configuration, hooks included",
        description="Check a configuration, and that the hooks of one of its servers can be run."
        " Exit code 0: it is good, perhaps with warnings; 2: it is not.",
        epilog="example: flip check -c etc/flip.json --id flip1",
    )
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.holdings.hooks import find_hooks

    config = None
    try:
        config = load(args.config, id=args.id)
        hooks = find_hooks(config, os.environ.get("PATH", os.defpath))
    except ConfigError as error:
        if args.json:
            _print_json(args.config, config, {}, error.problems)
        else:
            if config:
                _print_warnings(config, Page(sys.stderr))
            print(error, file=sys.stderr)
        return BAD_CONFIGURATION
    if args.json:
        _print_json(args.config, config, hooks, ())
    else:
        page = Page()
        _print_warnings(config, page)
        own, all = len(config.me.systems), len(config.systems)
        page.line(
            Cell(f"{args.config} is good", "bold green"),
            f" for node {config.id}: {own} of {all} system{'s' if all != 1 else ''},"
            f" quorum {config.quorum} of {len(config.servers)}, digest {config.digest.hex()}",
        )
    return 0


def _warnings(config: Config) -> list[Problem]:
    warnings = [*config.warnings]
    address = config.bind or config.me.ip
    try:
        with socket.socket(AF_INET6 if ":" in address else AF_INET) as probe:
            probe.bind((address, 0))
    except OSError as error:
        where = ("bind",) if config.bind else ("servers", config.id, "ip")
        message = f"{address} cannot be bound here ({error.strerror}); on the node it must"
        warnings.append(Fault(where, message).problem)
    warnings += _not_permitted(config)
    return warnings


def _not_permitted(config: Config) -> list[Problem]:
    """What this user may not do here; the node's may."""
    from flip.membership import ping_socket

    found: list[Problem] = []
    provided = [name for name in config.me.systems if config.systems[name].provider is not None]
    if provided:
        from flip.addresses import capabilities

        missing = capabilities.complaint(capabilities.missing())
        if missing is not None:
            where = ("cluster", "system", provided[0], "provider")
            found.append(Fault(where, f"not permitted here: {missing}").problem)
    if config.witness is not None:
        addresses = config.witness.addresses
        families = [AF_INET6 if ":" in address else AF_INET for address in addresses]
        missing = ping_socket.complaint(families)
        if missing is not None:
            found.append(Fault(("witness",), f"cannot be pinged here: {missing}").problem)
    missing = realtime.complaint(config.realtime)
    if missing is not None:
        found.append(Fault(("realtime",), f"not permitted here: {missing}").problem)
    return found


def _print_warnings(config: Config, page: Page) -> None:
    for warning in _warnings(config):
        page.line(Cell("warning:", "yellow"), f" {warning}")


def _print_json(
    file: str,
    config: Config | None,
    hooks: dict[str, dict[str, Hook]],
    problems: tuple[Problem, ...],
) -> None:
    answer: dict[str, Any] = {
        "ok": not problems,
        "file": file,
        "problems": [_described(problem) for problem in problems],
    }
    if config:
        answer |= {
            "id": config.id,
            "systems": list(config.me.systems),
            "quorum": config.quorum,
            "digest": config.digest.hex(),
            "state_dir": str(config.state_dir),
            "control": str(config.control),
            "hooks": {
                system: {event: list(hook.argv) for event, hook in pair.items()}
                for system, pair in hooks.items()
            },
            "warnings": [_described(warning) for warning in _warnings(config)],
        }
    print(json.dumps(answer, indent=2))


def _described(problem: Problem) -> dict[str, str]:
    return {"place": problem.place, "message": problem.message}
