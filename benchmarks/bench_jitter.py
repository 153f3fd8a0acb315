"""How late timers are on a busy host, with and without `realtime`.

A process with Twisted's reactor, and flip's clock, repeats a call every 50 ms, as a node does
its probes; meanwhile as many busy loops run as are asked for. Late is what a call came after its
time. Both kinds take turns, so that what else the host does hits both.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from flip import realtime
from flip.config.urgency import USUAL

PERIOD = 0.05  # seconds
RATIO = 0.5  # of the 99th percentiles: what realtime promises
BUSY = "while True: pass"


def measure(priority: int, calls: int) -> None:
    """Be the process: print how late each call was, in seconds."""
    from twisted.internet import reactor, task

    from flip.tap import use_monotonic_clock

    timed: task.Clock = reactor  # type: ignore[assignment]  # for mypy, modules have no attributes
    use_monotonic_clock(timed)
    missing = realtime.enter(priority)
    if missing is not None:
        sys.exit(missing)
    late: list[float] = []
    began = timed.seconds()

    def call(periods: int) -> None:
        # Of several that are due the first one is the latest.
        late.append((timed.seconds() - began) % PERIOD + (periods - 1) * PERIOD)
        if len(late) == calls:
            reactor.stop()

    task.LoopingCall.withCount(call).start(PERIOD, now=False)
    reactor.run()
    print(json.dumps(late))


def lateness(priority: int, seconds: float) -> list[float]:
    """What one process measured."""
    words = [sys.executable, __file__, "--measure", str(priority), str(round(seconds / PERIOD))]
    found: list[float] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return found


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Processes that use all the time they get."""
    with ExitStack() as stack:
        for _ in range(loops):
            process = stack.enter_context(subprocess.Popen([sys.executable, "-c", BUSY]))
            stack.callback(process.kill)
        yield


def percentile(values: list[float], percent: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def main() -> int:
    """Print the table; 1 if the promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=10, help="for each run (10)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each kind (5)")
    parser.add_argument("--loops", type=int, default=4, help="busy loops (4)")
    args = parser.parse_args()
    if args.measure:
        measure(*args.measure)
        return 0
    missing = realtime.complaint(USUAL)
    if missing is not None:
        print(f"not measured: {missing}")
        return 0
    runs: dict[str, list[list[float]]] = {"ordinary": [], "realtime": []}
    with busy(args.loops):
        for _ in range(args.rounds):
            for kind, priority in (("ordinary", 0), ("realtime", USUAL)):
                runs[kind].append(lateness(priority, args.seconds))
    print(
        f"timers of {PERIOD * 1000:.0f} ms beside {args.loops} busy loops on {os.cpu_count()}",
        end="",
    )
    print(f" cores (load {os.getloadavg()[0]:.1f}); medians of {args.rounds} runs, ms late")
    print(f"{'':>9} {'p50':>7} {'p99':>7} {'most':>7} {'most of all':>12}")
    worst: dict[str, float] = {}
    for kind, found in runs.items():
        half, most = ([1000 * percentile(run, at) for run in found] for at in (50, 100))
        worst[kind] = statistics.median(1000 * percentile(run, 99) for run in found)
        print(f"{kind:>9} {statistics.median(half):>7.2f} {worst[kind]:>7.2f}", end="")
        print(f" {statistics.median(most):>7.2f} {max(most):>12.2f}")
    ratio = worst["realtime"] / worst["ordinary"]
    print(f"p99, realtime to ordinary: {ratio:.2f}, limit {RATIO:.2f}")
    return int(ratio > RATIO)


if __name__ == "__main__":
    sys.exit(main())
