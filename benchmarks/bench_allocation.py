"""How long "deal and pile" takes to divide a system's data among its servers.

The promises: 1,000 data points on 10 servers in 2 ms, 100,000 on 1,000 in 0.5 s,
whoever is down; twice that with weights and preferences, a tenth of the points having one.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time

from flip.allocation.topology import shard
from flip.allocation.wishes import NO_WISHES, Wishes

PROMISES = {(1_000, 10): 0.002, (100_000, 1_000): 0.5}  # (data, servers): seconds
RUNS = 15


def measure(points: int, ring: int, down: int, *, uneven: bool) -> list[float]:
    """The seconds that each run took, with the first `down` servers down."""
    data = [f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}" for n in range(points)]
    servers = [f"server{n}" for n in range(ring)]
    eligible = set(servers[down:])
    wishes = NO_WISHES
    if uneven:
        weights = {server: 1 + place % 7 for place, server in enumerate(servers)}
        wishes = Wishes(weights, {datum: servers[n % ring] for n, datum in enumerate(data[::10])})
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        shard(data, servers, eligible, wishes)
        times.append(time.perf_counter() - started)
    return times


def main() -> int:
    """Print the table; 1 if a promise is broken."""
    broken = False
    print(
        f"{'data':>8} {'servers':>8} {'down':>6} {'wishes':>7} {'median ms':>10} {'worst ms':>9}"
        f" {'limit ms':>9}"
    )
    for ((points, ring), promise), uneven in itertools.product(PROMISES.items(), (False, True)):
        limit = (2 if uneven else 1) * promise * 1e3
        for down in sorted({0, 1, 3, ring // 10, ring // 2, ring - 1, ring}):
            times = measure(points, ring, down, uneven=uneven)
            median, worst = statistics.median(times) * 1e3, max(times) * 1e3
            row = f"{points:>8} {ring:>8} {down:>6} {'yes' if uneven else 'no':>7} {median:>10.3f}"
            print(f"{row} {worst:>9.3f} {limit:>9.0f}")
            broken = broken or median > limit
    return int(broken)


if __name__ == "__main__":
    sys.exit(main())
