"""From the options of ``flip simulate`` to what is to be played."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from flip.config import load
from flip.config.document import Unreadable, read
from flip.errors import BadFault, UnusableOption
from flip.simulation.distributions import Distribution, Uniform
from flip.simulation.faults import Fault, check, notation, parse
from flip.simulation.rehearsal import Rehearsal, rehearse, replay
from flip.simulation.scaling import configured, scaled, simulated
from flip.simulation.schedules import Schedule

SEED = 1
CALM = 30.0  # seconds to watch after the last fault
SHORTEST = 60.0
LONGEST = 30 * 86400.0
MOST_NODES = 5000
PICTURES = (".svg", ".html")
NOT_WITH_SCHEDULE = {
    "config": "-c",
    "faults": "faults",
    "nodes": "--nodes",
    "duration": "--duration",
    "hook_time": "--hook-time",
}


@dataclass(frozen=True)
class Input:
    """What to play, and how."""

    schedule: Schedule
    play: Callable[[Schedule], Rehearsal]


def read_input(args: argparse.Namespace) -> Input:
    """What the options ask for.

    :raises ConfigError: the configuration cannot be used.
    :raises BadFault: a fault cannot be read, or befall this cluster.
    :raises BadSchedule: the file of a schedule cannot be used.
    :raises UnusableOption: another option is wrong.
    """
    _check_numbers(args)
    _check_picture(args.picture)
    if args.schedule is not None:
        return _from_schedule(args)
    if args.config is None:
        raise UnusableOption("name the cluster, -c FILE, or a schedule, --schedule FILE")
    description = _description(args.config)
    servers = len(description["servers"])
    if args.nodes is not None:
        if not servers <= args.nodes <= MOST_NODES:
            raise UnusableOption(
                f"--nodes {args.nodes}: expected from {servers}, the servers of the"
                f" configuration, to {MOST_NODES}"
            )
        description = scaled(description, args.nodes)
    description = simulated(description)
    faults = _faults(args.faults or ())
    duration = _duration(args.duration, faults)
    check(faults, configured(description), duration)
    seed = SEED if args.seed is None else args.seed
    schedule = Schedule(description, seed, duration, tuple(map(str, faults)))
    return Input(schedule, partial(rehearse, hook_time=_hook_time(args.hook_time)))


def _check_numbers(args: argparse.Namespace) -> None:
    for option, value, most in (
        ("--repeat", args.repeat, 1_000_000),
        ("--workers", args.workers, 1024),
        ("--seed", args.seed, 2**63),
    ):
        least = 0 if option == "--seed" else 1
        if value is not None and not least <= value <= most:
            raise UnusableOption(f"{option} {value}: expected a number from {least} to {most}")
    if args.duration is not None and not 0 < args.duration <= LONGEST:
        raise UnusableOption(
            f"--duration {args.duration:g}: expected more than 0 and at most {LONGEST:.0f} seconds"
        )


def _check_picture(path: Path | None) -> None:
    """Before anything is played: a run may take long."""
    if path is None:
        return
    if path.suffix not in PICTURES:
        raise UnusableOption(f"--picture {path}: expected a name that ends with .svg or .html")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UnusableOption(f"--picture {path}: cannot be written")


def _from_schedule(args: argparse.Namespace) -> Input:
    for name, option in NOT_WITH_SCHEDULE.items():
        if getattr(args, name) is not None:
            raise UnusableOption(f"{option} with --schedule: its file says that")
    schedule = Schedule.load(args.schedule)
    check(schedule.parsed, configured(schedule.config), schedule.duration)
    if args.seed is not None:
        schedule = replace(schedule, seed=args.seed)
    return Input(schedule, replay)


def _description(file: str) -> Mapping[str, Any]:
    """The file's JSON, which is a configuration.

    Which of its servers it is for does not matter, nor what this host lacks.
    """
    try:
        value = read(file).value
    except Unreadable:
        value = None  # `load` says why
    servers = value.get("servers") if isinstance(value, dict) else None
    first = next(iter(servers), None) if isinstance(servers, dict) else None
    load(file, id=first, environ={})
    assert isinstance(value, dict)
    return value


def _faults(texts: Sequence[str]) -> list[Fault]:
    """All of them, or every mistake at once."""
    faults, mistakes = [], []
    for text in texts:
        kind, _, rest = text.partition(" ")
        try:
            faults.append(parse(kind, rest))
        except BadFault as error:
            mistakes.append(error.details)
    if mistakes:
        raise BadFault("\n  ".join(mistakes))
    return faults


def _duration(asked: float | None, faults: Sequence[Fault]) -> float:
    if asked is not None:
        return asked
    return max([SHORTEST, *(fault.span.last + CALM for fault in faults)])


def _hook_time(text: str | None) -> Distribution | None:
    if text is None:
        return None
    try:
        least, most = notation.milliseconds(text)
    except BadFault as error:
        raise UnusableOption(f"--hook-time: {error.details}") from None
    return Uniform(least / 1000, most / 1000)
