"""`python -m flip.simulation.bounds`: what holds with certainty, or in 99 of 100 runs.

quiet: under 20 % loss on every link, and no other fault, no member is ever down
(invariant 1). detection: a killed member is down at all others within
`detection_bound` in 99 of 100 runs (invariant 2). Both take clusters of several
sizes with the default settings, and many seeds; with --state they can be stopped
and gone on with.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flip.errors import BadSchedule
from flip.membership.roster import State
from flip.simulation.invariants.detection import detection_bound
from flip.simulation.machine import Machine
from flip.simulation.observer import Observer
from flip.simulation.workers import workers
from flip.simulation.world import World

SIZES = (3, 5, 10)
LOSS = 0.2
QUIET = 600.0  # seconds
SETTLED = 5.0  # seconds that a cluster of these sizes has to start
LONGEST = 60.0  # seconds within which a killed member is down, or it counts as never


class _Downs(Observer):
    """Counts the times at which a node took another one for down."""

    def __init__(self) -> None:
        self.count = 0

    def member_changed(self, machine: Machine, member: str, before: State, after: State) -> None:
        """One more, perhaps."""
        self.count += after is State.DOWN


def configuration(size: int) -> dict[str, Any]:
    """So many servers with the default settings, and as many data points."""
    return {
        "key": "secret",
        "servers": {
            f"n{n}": {"ip": f"10.0.0.{n + 1}", "port": 2200, "systems": ["s"]} for n in range(size)
        },
        "cluster": {
            "system": {
                "s": {
                    "alive": "ip_up",
                    "down": "ip_down",
                    "type": "shard",
                    "data": [f"d{n}" for n in range(size)],
                }
            }
        },
    }


def quiet(size: int, seed: int) -> float:
    """How often a member was taken for down in ten minutes of nothing but loss."""
    world = World(configuration(size), seed)
    try:
        downs = _Downs()
        world.observe(downs)
        world.network.loss = LOSS
        world.start()
        world.run(QUIET)
        return downs.count
    finally:
        world.close()


def detection(size: int, seed: int) -> float:
    """Seconds from the end of a process until it is down at all other members."""
    world = World(configuration(size), seed)
    try:
        world.start()
        world.run(world.rng.uniform(SETTLED, SETTLED + world.base.gossip_interval))
        dead = world.rng.choice(list(world.machines))
        others = [machine for machine in world.machines.values() if machine.id != dead]
        world[dead].reboot()
        return world.run_until(
            lambda: all(machine.state(dead) is State.DOWN for machine in others), LONGEST
        )
    finally:
        world.close()


def bound_of(size: int) -> float:
    """The detection bound of a cluster of this size, with the default settings."""
    world = World(configuration(size))
    try:
        return detection_bound(world.base)
    finally:
        world.close()


MEASURES: dict[str, Callable[[int, int], float]] = {"quiet": quiet, "detection": detection}


def _measure(job: tuple[str, int, int]) -> float:
    what, size, seed = job
    return MEASURES[what](size, seed)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit status: 1 when a bound was not met."""
    options = _parser().parse_args(arguments)
    found: dict[str, list[float]] = {}
    if options.state is not None and options.state.exists():
        found = _load(options.state)
    jobs = [
        (options.what, size, seed)
        for size in options.sizes
        for seed in range(len(found.get(f"{options.what} {size}", ())), options.runs)
    ]
    began = time.monotonic()
    try:
        with workers(options.workers) as pool:
            for (what, size, _), value in zip(jobs, pool.imap(_measure, jobs), strict=True):
                found.setdefault(f"{what} {size}", []).append(value)
                if options.state is not None:
                    _save(found, options.state)
    except KeyboardInterrupt:
        print("stopped; with --state the same command goes on")
    met = [
        _report(options.what, size, found.get(f"{options.what} {size}", []))
        for size in options.sizes
    ]
    print(f"{time.monotonic() - began:.0f} s")
    return 0 if all(met) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", 1)[1])
    parser.add_argument("what", choices=MEASURES)
    parser.add_argument("--runs", type=int, default=100, help="seeds per size (%(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="servers (%(default)s)")
    parser.add_argument("--state", type=Path, metavar="FILE", help="go on from this file")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    return parser


def _report(what: str, size: int, values: list[float]) -> bool:
    """Print what was found about one size; returns whether the bound was met."""
    if not values:
        return False
    if what == "quiet":
        bad = sum(value > 0 for value in values)
        print(f"{size} nodes: {len(values) - bad} runs of 10 minutes passed, {bad} failed")
        return not bad
    ordered, bound = sorted(values), bound_of(size)
    within = ordered[math.ceil(0.99 * len(ordered)) - 1]
    print(
        f"{size} nodes: {len(values)} kills, down at all others after"
        f" {ordered[len(ordered) // 2]:.2f} s (median), {within:.2f} s (99 %),"
        f" {ordered[-1]:.2f} s (longest); bound {bound:.2f} s"
    )
    return within <= bound


def _load(path: Path) -> dict[str, list[float]]:
    try:
        value = json.loads(path.read_text())
        return {str(key): [float(number) for number in numbers] for key, numbers in value.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BadSchedule(f"({path} is no state of this command: {error})") from error


def _save(found: dict[str, list[float]], path: Path) -> None:
    aside = path.with_name(f"{path.name}.new")
    aside.write_text(json.dumps(found))
    os.replace(aside, path)


if __name__ == "__main__":
    sys.exit(main())
