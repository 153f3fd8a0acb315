"""What an idle node of the story costs, and how soon a started one is in touch.

CPU time comes from the scheduler's own count (/proc/PID/task/*/schedstat,
nanoseconds), memory from VmRSS; Linux only.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import time
from pathlib import Path

from flip.demo.story import ALL_ACTIVE, IDS
from tests.end_to_end.processes import Cluster

CPU = 0.7  # percent of one core
RSS, GOOD_RSS = 50.0, 45.0  # MB
IN_TOUCH = 1.5  # seconds from the start of the process
REST = 2.0  # seconds after which a start is over


def cpu(pid: int) -> float:
    """The CPU seconds of a process so far, all threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def rss(pid: int) -> float:
    """The resident memory of a process in MB (of 1024 KB, as everybody's top counts)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) / 1024


def in_touch(cluster: Cluster, id: str) -> float:
    """Seconds from the start of a node's process to its being in touch, by its own events."""
    status = cluster.status(id)
    assert status is not None
    began = cluster.nodes[id].began / 1e9
    times = [event["time"] for event in status["events"] if event["kind"] == "in-touch"]
    return float(min(time for time in times if time > began) - began)


def main() -> int:
    """Print the tables; 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="to watch idle nodes (30)")
    parser.add_argument("--rounds", type=int, default=5, help="starts of one more node (5)")
    args = parser.parse_args()
    starts: list[float] = []
    with Cluster() as cluster:
        cluster.start()
        cluster.await_row(ALL_ACTIVE)
        together = {id: in_touch(cluster, id) for id in IDS}
        time.sleep(REST)
        pids = {id: cluster.nodes[id].pid for id in IDS}
        before = {id: cpu(pid) for id, pid in pids.items()}
        began = time.monotonic()
        time.sleep(args.seconds)
        spent = {id: cpu(pid) - before[id] for id, pid in pids.items()}
        watched = time.monotonic() - began
        print(f"three idle nodes for {watched:.0f} s (load {os.getloadavg()[0]:.1f})")
        print(
            f"{'node':>6} {'CPU %':>6} {'limit':>6} {'RSS MB':>7} {'limit':>6} {'good':>5}", end=""
        )
        print(f" {'in touch s':>11} {'limit':>6}")
        broken = False
        for id, pid in pids.items():
            percent, memory = 100 * spent[id] / watched, rss(pid)
            print(f"{id:>6} {percent:>6.2f} {CPU:>6.2f} {memory:>7.1f} {RSS:>6.0f}", end="")
            print(f" {GOOD_RSS:>5.0f} {together[id]:>11.2f} {IN_TOUCH:>6.2f}", flush=True)
            broken = broken or percent > CPU or memory > RSS
        for _ in range(args.rounds):
            cluster.kill("flip2")
            cluster.start("flip2")
            cluster.await_row(ALL_ACTIVE)
            starts.append(in_touch(cluster, "flip2"))
    median = statistics.median([*starts, *together.values()])
    print(f"\nfrom start to in touch, seconds: {len(starts)} restarts of flip2", end="")
    print(f" median {statistics.median(starts):.2f}, most {max(starts):.2f};", end="")
    print(f" all starts median {median:.2f}, limit {IN_TOUCH:.2f}")
    return int(broken or median > IN_TOUCH)


if __name__ == "__main__":
    sys.exit(main())
