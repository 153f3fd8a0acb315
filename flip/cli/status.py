"""``flip status``: what a running node knows and does."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flip.cli import addresses, exclusive
from flip.cli.arguments import add_node, control_socket
from flip.cli.page import Cell, Page, Row, lasted, listing

STYLES = {"alive": "green", "probably_down": "yellow", "down": "red", "left": "dim"}
MOST_LINES = 10  # about one system's failed, and waiting, data points
MOST_EVENTS = 5
OUTSIDERS = {"/witness": "the witness", "/operator": "an operator"}  # voters, no members
Status = Mapping[str, Any]


def add(subparsers: Any) -> None:
    parser = subparsers.add_parser(
        "status",
        help="ask a running node for its members, systems and troubles",
        description="Ask a running node what it knows and does.",
    )
    add_node(parser)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from flip.control.client import request

    status = request(control_socket(args), "status")
    if args.json:
        print(json.dumps(status, indent=2))
    else:
        show(status, Page())
    return 0


def show(status: Status, page: Page) -> None:
    """Print a status for people: troubles first, then members, systems and events."""
    _show_node(status, page)
    _show_members(status, page)
    _show_systems(status, page)
    addresses.show(status, page)
    exclusive.show(status, page)
    for event in sorted(status["events"], key=lambda event: event["time"])[-MOST_EVENTS:]:
        when = datetime.fromtimestamp(event["time"]).strftime("%d %b %H:%M:%S")
        page.paragraph(Cell(when, "dim"), event["text"])


def _show_node(status: Status, page: Page) -> None:
    quorum = f"quorum {status['quorum']} of {len(status['members'])}"
    touch = Cell(f"in touch ({quorum})", "green")
    if not status["in_touch"]:
        touch = Cell(f"NOT IN TOUCH with a {quorum}: it takes nothing over", "bold red")
    elif not status["settled"]:
        touch = Cell(f"in touch ({quorum}), NOT SETTLED: waits for the others", "yellow")
    page.line(Cell(status["id"], "bold"), f" is {status['status']}, ", touch)
    witness = status["witness"]
    if witness is not None and witness["reached"]:
        answers = [one for one, ago in witness["answered"].items() if ago is not None]
        page.line(f"a witness answers: {', '.join(answers)}")
    config = status["config"]
    version = f", config_version {config['version']}" if config["version"] else ""
    page.paragraph(
        Cell(f"up for {lasted(status['uptime'])},"),
        f"flip {status['version']}, incarnation {status['incarnation']}, boot {status['boot']}, "
        f"{config['path']} (digest {config['digest']}{version})",
    )
    for alarm in _alarms(status):
        page.paragraph(Cell("ALARM", "bold red"), alarm)
    page.line()


def _alarms(status: Status) -> list[str]:
    alarms = [*status["alarms"]]
    journal = status["journal"]
    if journal["error"] and not any(journal["error"] in alarm for alarm in alarms):
        alarms.append(f"journal {journal['path']}: {journal['error']}")
    if status["health"]:
        alarms.append(f"this node is slow itself (health {status['health']}; 0 is well)")
    return alarms


def _show_members(status: Status, page: Page) -> None:
    rows: list[Row] = [["MEMBER", "STATE", "VOTES", "LAST ACK", "HOLDS"]]
    troubles: list[tuple[str, str]] = []
    systems = {name for member in status["members"].values() for name in member["systems"]}
    for id, member in status["members"].items():
        me = id == status["id"]
        state, votes = member["state"], member["votes"]
        life = member["status"] or "not heard of"  # nothing, before its first packet
        if life not in ("active", state):
            state = f"{state}, {life}"
        rows.append(
            [
                f"{id} (me)" if me else id,
                Cell(state, STYLES.get(member["state"], "")),
                f"{len(votes)} of {status['quorum']}: {_spoken(votes)}" if votes else "-",
                "-" if me else _ago(member["last_ack"]),
                listing(_claims(member["systems"], named=len(systems) > 1)),
            ]
        )
        if not me:
            troubles += [(id, trouble) for trouble in _troubles(member)]
    page.table(rows)
    for id, trouble in troubles:
        page.paragraph(Cell(f"{id}:", "yellow"), trouble)
    page.line()


def _spoken(votes: list[str]) -> str:
    return ", ".join(OUTSIDERS.get(voter, voter) for voter in votes)


def _claims(systems: Mapping[str, Any], *, named: bool) -> list[str]:
    claims = []
    for name, system in systems.items():
        phases = dict.fromkeys(system["held"], "held") | system["claims"]
        for datum, phase in phases.items():
            claim = f"{name} {datum}" if named else datum
            claims.append(claim if phase == "held" else f"{claim} ({phase})")
    return claims


def _ago(seconds: float | None) -> str:
    return "never" if seconds is None else f"{lasted(seconds)} ago"


def _troubles(member: Mapping[str, Any]) -> list[str]:
    troubles = []
    if member["reachable"] is False:
        troubles.append("unreachable: it does not answer this node's probes")
    if member["state"] == "down" and any(system["held"] for system in member["systems"].values()):
        troubles.append("is down: HOLDS is what it said last")
    if member["sync"]["error"]:
        troubles.append(
            f"no sync over TCP: {member['sync']['error']} (last good one: "
            f"{_ago(member['sync']['last'])}). Is its TCP port open?"
        )
    if member["config"] == "differs":
        troubles.append("runs another configuration")
    out = [
        f"{name} ({system['standing']})"
        for name, system in member["systems"].items()
        if not system["eligible"]
    ]
    if out:
        troubles.append(f"not eligible for {', '.join(out)}")
    return troubles


def _show_systems(status: Status, page: Page) -> None:
    if not status["systems"]:
        page.line("This node has no systems: it only votes.")
    else:
        rows: list[Row] = [["SYSTEM", "TYPE", "WANTED", "HELD", "FAILED", "WAITING"]]
        for name, system in status["systems"].items():
            failed = len(system["failed"])
            rows.append(
                [
                    name,
                    system["type"],
                    listing(system["wanted"]),
                    listing(system["held"]),
                    Cell(str(failed), "bold red" if failed else ""),
                    str(len(system["waiting"])),
                ]
            )
        page.table(rows)
    for name, system in status["systems"].items():
        if system["ineligible"]:
            word = system["standing"].upper()
            page.paragraph(Cell(f"{name}: {word}, NOT ELIGIBLE", "bold red"), system["ineligible"])
        check = system["check"]
        if check is not None and check["reason"]:
            fit = f"fails since {lasted(check['for'])}" if not check["fit"] else "fit so far"
            page.paragraph(Cell(f"{name} health check ({fit}):", "red"), check["reason"])
        for word, style in (("failed", "red"), ("waiting", "yellow")):
            reasons = list(system[word].items())
            for datum, reason in reasons[:MOST_LINES]:
                page.paragraph(Cell(f"{name} {datum} {word}:", style), reason)
            if len(reasons) > MOST_LINES:
                page.line(f"{name}: {len(reasons) - MOST_LINES} more {word}; --json shows all")
    page.line()
