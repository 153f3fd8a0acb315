"""What a neighbour notices when a partition heals: the last word of rule R6.

Three nodes with the real `ip_up` and `ip_down` in network namespaces on a bridge,
the story's settings, and a client that asks for the address every 5 ms over UDP.
The address is flip1's. From the moment at which the bridge is whole again:

- silence: the longest time in which the client got no answer from anybody;
- settled: until flip1 alone answered. Until then both sides of a former split serve
  the address, and the client goes on with the one that it knows.

Needs root. Each row is a cluster of its own every time, because a node that was
voted down twice waits before it serves again (R8).
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.network.lan import HOME, LanCluster
from tests.network.namespaces import unavailable

OWNER = "flip1"
PROMISE = 0.100  # seconds of silence, median
CUT = 4.0  # seconds: long enough for the others to take over
REST = 3.0  # seconds after which everything has been settled
Cut = Callable[[LanCluster, bool], None]


class Case(NamedTuple):
    """A kind of partition; `cut` makes it with True and heals it with False."""

    name: str
    cut: Cut
    forgets: bool = False


def _holder(cluster: LanCluster, cut: bool) -> None:
    cluster.lan.split([cluster.hosts[OWNER]], cut)


def _holder_and_client(cluster: LanCluster, cut: bool) -> None:
    cluster.lan.split([cluster.hosts[OWNER], cluster.client], cut)


def _nodes(cluster: LanCluster, cut: bool) -> None:
    cluster.lan.isolate(cluster.hosts.values(), cut)


def _everybody(cluster: LanCluster, cut: bool) -> None:
    for host in (*cluster.hosts.values(), cluster.client):
        cluster.lan.unplug(host, cut)


def _frozen(cluster: LanCluster, cut: bool) -> None:
    cluster.nodes[OWNER].send(signal.SIGSTOP if cut else signal.SIGCONT)


CASES = (
    Case("the holder | the others and the client", _holder),
    Case("the holder and the client | the others", _holder_and_client),
    Case("the nodes from each other", _nodes),
    Case("the holder's process is frozen, and thaws", _frozen),
    Case("all from all, the client's ARP cache is empty", _everybody, forgets=True),
)


def heal(case: Case) -> tuple[float, float]:
    """One partition; the seconds of silence and until settled."""
    with LanCluster() as cluster:
        with cluster.asking(HOME[OWNER]) as answers:
            case.cut(cluster, True)
            time.sleep(CUT + random.random())
            if case.forgets:
                cluster.client.run("ip", "neigh", "flush", "dev", cluster.client.interface)
                time.sleep(random.random())
            healed = time.monotonic()
            case.cut(cluster, False)
            time.sleep(REST)
        return answers.silence(healed), answers.settled(healed, OWNER)


def main() -> int:
    """Print the table; 1 if the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="partitions of each kind (3)")
    args = parser.parse_args()
    if (reason := unavailable()) is not None:
        print(f"not measured: {reason}")
        return 0
    broken = False
    print("after a partition has healed, milliseconds")
    print(f"{'cut off from each other':<46} {'silence':>7} {'limit':>6} {'most':>5}", end="")
    print(f" {'settled':>8} {'most':>5} {'load':>5}")
    for case in CASES:
        measured = [heal(case) for _ in range(args.rounds)]
        silences, settled = (
            [1e3 * one for one in column] for column in zip(*measured, strict=True)
        )
        median = statistics.median(silences)
        print(f"{case.name:<46} {median:>7.0f} {1e3 * PROMISE:>6.0f} {max(silences):>5.0f}", end="")
        print(f" {statistics.median(settled):>8.0f} {max(settled):>5.0f}", end="")
        print(f" {os.getloadavg()[0]:>5.1f}", flush=True)
        broken = broken or median > 1e3 * PROMISE
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
