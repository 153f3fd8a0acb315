"""How long a planned handoff leaves a data point without an owner.

A node gets SIGTERM: from the end of its `down` hook to the end of the new owner's
`alive` hook, with real processes, the demo's hooks and the story's settings. Both
times come from the hooks themselves, and by them no data point may ever be held by
two nodes.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import time

from flip.demo.records import HookRun, overlaps
from flip.demo.story import ALL_ACTIVE
from tests.end_to_end.processes import Cluster

DATUM, LEAVING, HEIR = "192.168.0.2", "flip1", "flip"
PROMISE = 0.030  # seconds, median
LIMIT = 10.0  # seconds that a node may take to leave


def gap(runs: list[HookRun], since: int) -> float:
    """Seconds from the end of `down` to the end of `alive`, both after `since` (nanoseconds)."""
    ended = {
        (run.node, run.event): run.ended
        for run in runs
        if run.datum == DATUM and run.began > since and run.node in (LEAVING, HEIR)
    }
    return (ended[HEIR, "alive"] - ended[LEAVING, "down"]) / 1e9


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="handoffs (15)")
    args = parser.parse_args()
    gaps, leaves = [], []
    with Cluster() as cluster:
        cluster.start()
        for _ in range(args.rounds):
            cluster.await_row(ALL_ACTIVE)
            time.sleep(0.5)
            at = time.time_ns()
            cluster.nodes[LEAVING].send(signal.SIGTERM)
            cluster.nodes[LEAVING].wait(LIMIT)
            leaves.append((time.time_ns() - at) / 1e9)
            gaps.append(gap(cluster.runs(), at))
            cluster.start(LEAVING)
        cluster.await_row(ALL_ACTIVE)
        doubled = overlaps(cluster.runs(), cluster.deaths)
    median = statistics.median(gaps)
    print("end of the old owner's down hook to the end of the new owner's alive hook, milliseconds")
    print(f"{'handoffs':>8} {'least':>7} {'median':>7} {'limit':>6} {'most':>7}", end="")
    print(f" {'held by two':>12} {'SIGTERM to end':>15} {'load':>6}")
    print(
        f"{len(gaps):>8} {min(gaps) * 1e3:>7.1f} {median * 1e3:>7.1f} {PROMISE * 1e3:>6.0f}", end=""
    )
    print(f" {max(gaps) * 1e3:>7.1f} {len(doubled):>12}", end="")
    print(f" {statistics.median(leaves) * 1e3:>15.0f} {os.getloadavg()[0]:>6.1f}")
    for words in doubled:
        print(f"held by two: {words}")
    return int(median > PROMISE or bool(doubled))


if __name__ == "__main__":
    sys.exit(main())
