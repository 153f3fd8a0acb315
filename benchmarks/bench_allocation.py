"""How long "deal and pile" takes to divide a system's data among its servers.

The promises: 1,000 data points on 10 servers in 2 ms, 100,000 on 1,000 in 0.5 s,
whoever is down.
"""

from __future__ import annotations

import statistics
import sys
import time

from flip.allocation.topology import shard

PROMISES = {(1_000, 10): 0.002, (100_000, 1_000): 0.5}  # (data, servers): seconds
RUNS = 15


def measure(points: int, ring: int, down: int) -> list[float]:
    """The seconds that each run took, with the first `down` servers down."""
    data = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(points)]
    servers = [f"server{n}" for n in range(ring)]
    eligible = set(servers[down:])
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        shard(data, servers, eligible)
        times.append(time.perf_counter() - started)
    return times


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    broken = False
    print(
        f"{'data':>8} {'servers':>8} {'down':>6} {'median ms':>10} {'worst ms':>9} {'limit ms':>9}"
    )
    for (points, ring), limit in PROMISES.items():
        for down in sorted({0, 1, 3, ring // 10, ring // 2, ring - 1, ring}):
            times = measure(points, ring, down)
            median, worst = statistics.median(times) * 1e3, max(times) * 1e3
            row = f"{points:>8} {ring:>8} {down:>6} {median:>10.3f} {worst:>9.3f}"
            print(f"{row} {limit * 1e3:>9.0f}")
            broken = broken or median > limit * 1e3
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
