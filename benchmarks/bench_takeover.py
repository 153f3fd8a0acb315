"""How long it takes until a killed node's data point lives elsewhere.

From SIGKILL, at a random moment of the gossip interval, to the end of the new
owner's `alive` hook, with real processes and the demo's hooks. The promises are
DESIGN's: gossip_interval + ping_timeout with the story's settings, and 0.45 s with
short ones.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain

from flip.demo.story import ALL_ACTIVE
from tests.end_to_end.processes import Cluster

DATUM, KILLED, HEIR = "192.168.0.2", "flip1", "flip"
LIMIT = 15.0  # seconds after which nothing will come any more


@dataclass(frozen=True)
class Promise:
    """Settings in milliseconds, and what they promise in seconds."""

    gossip_interval: int
    ping_timeout: int
    median: float
    p95: float | None


PROMISES = (Promise(1000, 1500, 2.5, 3.0), Promise(100, 300, 0.45, None))


def takeovers(promise: Promise, rounds: int) -> list[float]:
    """Kill the same node again and again in a cluster of our own; the seconds that each took."""
    taken = []
    with Cluster(
        gossip_interval=promise.gossip_interval, ping_timeout=promise.ping_timeout
    ) as cluster:
        cluster.start()
        for _ in range(rounds):
            cluster.await_row(ALL_ACTIVE)
            time.sleep(1 + random.uniform(0, promise.gossip_interval / 1000))
            at = cluster.kill(KILLED)
            taken.append(takeover(cluster, at))
            # A node that remembers having been down lately would wait before it serves (R8).
            shutil.rmtree(cluster.root / KILLED / "state")
            cluster.start(KILLED)
    return taken


def takeover(cluster: Cluster, at: int) -> float:
    """Wait for the heir's hook; the seconds since `at` (nanoseconds)."""
    cluster.wait(lambda: cluster.took(HEIR, DATUM, at), LIMIT, "the takeover")
    took = cluster.took(HEIR, DATUM, at)
    assert took is not None
    return took


def measure(promise: Promise, clusters: int, rounds: int) -> list[float]:
    """All takeovers of several clusters that run at once and know nothing of each other."""
    with ThreadPoolExecutor(clusters) as pool:
        taken = pool.map(takeovers, [promise] * clusters, [rounds] * clusters)
        return sorted(chain.from_iterable(taken))


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clusters", type=int, default=4, help="that run at once (4)")
    parser.add_argument("--rounds", type=int, default=10, help="kills per cluster (10)")
    args = parser.parse_args()
    broken = False
    print("SIGKILL to the end of the new owner's alive hook, seconds")
    print(f"{'interval ms':>11} {'timeout ms':>10} {'kills':>6} {'least':>7} {'median':>7}", end="")
    print(f" {'limit':>6} {'p95':>7} {'limit':>6} {'most':>7} {'load':>6}")
    for promise in PROMISES:
        taken = measure(promise, args.clusters, args.rounds)
        median, p95 = statistics.median(taken), taken[min(len(taken) - 1, int(0.95 * len(taken)))]
        limit = f"{promise.p95:.2f}" if promise.p95 is not None else "-"
        print(f"{promise.gossip_interval:>11} {promise.ping_timeout:>10} {len(taken):>6}", end="")
        print(f" {taken[0]:>7.3f} {median:>7.3f} {promise.median:>6.2f} {p95:>7.3f}", end="")
        print(f" {limit:>6} {taken[-1]:>7.3f} {os.getloadavg()[0]:>6.1f}", flush=True)
        broken = broken or median > promise.median
        broken = broken or (promise.p95 is not None and p95 > promise.p95)
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
