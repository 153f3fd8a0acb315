"""How flip grows with the number of nodes: whole real nodes on virtual time.

Clusters at the README's settings, in which everybody knows everybody as after a long
run (a cold start of a thousand nodes at once is half a million exchanges of states).
They run for 60 simulated seconds; after 25 of them one node is killed.

- suspected, down, all: from the kill until somebody votes the node down, until the
  first node sees a quorum of votes, and until every node sees it.
- packets and bytes: per node and second, before the kill and in the ten seconds after
  it; in brackets those of the busiest node.
- start, quiet, run: seconds of one core that it took to make the nodes known to one
  another, to simulate a minute in which nothing happens, and the minute with the death
  in it. Speed is nodes times simulated seconds per second of a quiet minute. Memory is
  the process's largest.

Each cluster is a process of its own. The first rows are medians of several seeds.
Three nodes for an hour, the other promise of the simulation, come first.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from typing import Any

from flip.log import set_level
from flip.membership.roster import State
from flip.simulation.machine import Machine
from flip.simulation.observer import Observer
from flip.simulation.world import World

SIZES = (10, 30, 100, 300)
FULL = (10, 100, 1000, 3000)
SERVING = 10  # servers that list the system; the others are arbiters
SETTLED = 5.0  # seconds after the start until all data points are held and known to be
KILL = 25.0
AFTERMATH = 10.0  # seconds after a death in which its traffic is counted
END = 60.0
HOUR = 20.0  # seconds that an hour of three nodes may take
MINUTE = 60.0  # seconds that a minute of a thousand nodes may take
MEMORY = 2048.0  # MB that they may take
COLUMNS = (
    ("nodes", "5"),
    ("suspected", "9.2f"),
    ("down", "6.2f"),
    ("all", "6.2f"),
    ("packets", "7.1f"),
    ("after", "13"),
    ("bytes", "6.0f"),
    ("after ", "15"),
    ("start", "6.1f"),
    ("quiet", "6.1f"),
    ("run", "6.1f"),
    ("speed", "6.0f"),
    ("MB", "5.0f"),
)


def description(count: int) -> dict[str, Any]:
    """A configuration of `count` servers, of which some serve."""
    servers: dict[str, dict[str, Any]] = {
        f"n{n}": {"ip": f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", "port": 2200}
        for n in range(1, count + 1)
    }
    for server in list(servers.values())[:SERVING]:
        server["systems"] = ["ip"]
    data = [f"192.168.0.{n}" for n in range(1, SERVING + 1)]
    system = {"alive": "ip_up", "down": "ip_down", "type": "shard", "data": data}
    return {
        "key": "secret",
        "gossip_interval": 1000,
        "ping_per_interval": 3,
        "ping_timeout": 1500,
        "servers": servers,
        "cluster": {"system": {"ip": system}},
    }


class Death(Observer):
    """When the nodes of a world think what of one of them."""

    def __init__(self, world: World, victim: str) -> None:
        self._world = world
        self._victim = victim
        self.suspected: float | None = None
        self.down: dict[str, float] = {}

    def member_changed(self, machine: Machine, member: str, before: State, after: State) -> None:
        if member == self._victim and after is not State.ALIVE:
            if self.suspected is None:
                self.suspected = self._world.now
            if after is State.DOWN:
                self.down.setdefault(machine.id, self._world.now)


class Meter:
    """Packets and bytes per node and second, since the last reading."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._since = world.now
        self._counts = self._look()

    def read(self) -> dict[str, float]:
        """The mean of all nodes and that of the busiest."""
        seconds, counts = self._world.now - self._since, self._look()
        reading = {}
        for name, new in counts.items():
            rates = [(new[at] - self._counts[name][at]) / seconds for at in new]
            reading[name] = sum(rates) / len(self._world.machines)
            reading[f"busiest_{name}"] = max(rates)
        self._since, self._counts = self._world.now, counts
        return reading

    def _look(self) -> dict[str, Counter[str]]:
        network = self._world.network
        return {"packets": network.sent.copy(), "bytes": network.sent_bytes.copy()}


def measure(count: int, seed: int) -> dict[str, float]:
    """One cluster's 60 seconds."""
    set_level("error")
    world = World(description(count), seed, checked=False)
    began = time.process_time()
    gc.disable()
    world.start_acquainted()
    # What a start leaves lives as long as the world: looking through it again and
    # again for garbage would take most of the time.
    gc.collect()
    gc.freeze()
    gc.enable()
    started = time.process_time()
    victim = f"n{count}"
    death = Death(world, victim)
    world.observe(death)
    kill = KILL + world.rng.random()
    world.run(SETTLED)
    meter, settled = Meter(world), time.process_time()
    world.run(kill - world.now)
    idle, quiet = meter.read(), (time.process_time() - settled) / (kill - SETTLED) * END
    world[victim].kill()
    world.run(AFTERMATH)
    after = meter.read()
    world.run(END - world.now)
    ran = time.process_time() - started
    seen = list(death.down.values())
    missing = count - 1 - len(seen)
    if missing or death.suspected is None:
        raise SystemExit(f"{missing} of {count} nodes do not know after {END - kill:.0f} s")
    return {
        "nodes": count,
        "suspected": death.suspected - kill,
        "down": min(seen) - kill,
        "all": max(seen) - kill,
        **idle,
        **{f"after_{name}": value for name, value in after.items()},
        "start": started - began,
        "quiet": quiet,
        "run": ran,
        "speed": count * END / quiet,
        "MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def hour() -> float:
    """The seconds that it takes to simulate an hour of three nodes."""
    world = World(description(3), 1)
    world.start()
    began = time.process_time()
    world.run(3600.0)
    return time.process_time() - began


def apart(count: int, seed: int) -> dict[str, float]:
    """`measure` in a process of its own."""
    command = [sys.executable, __file__, "--one", str(count), "--seed", str(seed)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env={**os.environ})
    result: dict[str, float] = json.loads(done.stdout)
    return result


def exceeds(run: dict[str, float]) -> bool:
    """Whether a cluster of up to a thousand takes more than was promised for a thousand."""
    return run["quiet"] > MINUTE or run["MB"] > MEMORY


def row(runs: list[dict[str, float]]) -> str:
    """The medians of several runs, as a line of the table."""
    median = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    shown: dict[str, object] = {**median, "nodes": int(median["nodes"])}
    shown["after"] = f"{median['after_packets']:.1f} ({median['after_busiest_packets']:.0f})"
    shown["after "] = f"{median['after_bytes']:.0f} ({median['after_busiest_bytes']:.0f})"
    return " ".join(format(shown[name], f">{form}") for name, form in COLUMNS)


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"sizes {FULL} instead of {SIZES}")
    parser.add_argument("--sizes", type=int, nargs="+", help="these sizes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one, args.seed)))
        return 0
    took = hour()
    print(f"3 nodes for an hour, safety rules checked: {took:.1f} s (at most {HOUR:.0f})")
    broken = took > HOUR
    print("one node of n dies; seconds, and per node and second")
    print(" ".join(f"{name.strip():>{form.split('.')[0]}}" for name, form in COLUMNS))
    for size in args.sizes or (FULL if args.full else SIZES):
        seeds = range(args.seed, args.seed + (7 if size <= 30 else 3 if size <= 100 else 1))
        runs = [apart(size, seed) for seed in seeds]
        print(row(runs), flush=True)
        broken = broken or (size <= 1000 and any(map(exceeds, runs)))
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
