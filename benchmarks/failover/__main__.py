"""flip beside keepalived and serf: the same faults, on real networks of namespaces.

Each trial has a network of its own: three nodes and a client on one switch, in
namespaces that are gone afterwards. What happens is seen by a client that asks every
address all the time, and by the kernels' own reports of addresses that come and go.
Results are added to a file, so a run that was broken off goes on where it was.
Needs root, and the programs: apt install keepalived serf iputils-arping nftables.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.failover import leak, scenes, unfit
from benchmarks.failover.contest import PROGRAMS
from benchmarks.failover.ending import end_in_order
from benchmarks.failover.faults import FAULTS
from benchmarks.failover.goals import verdicts
from benchmarks.failover.grid import Grid, Results, trials
from benchmarks.failover.programs import missing
from benchmarks.failover.table import lines
from tests.network.namespaces import unavailable

TOOLS = ("ip", "bridge", "nft")
SCENES = {
    "excerpt": ("print what kernels and wire say of a takeover, and of a lease", scenes.excerpts),
    "leak": ("10,000 handoffs: print what the daemons have of memory and files", leak.show),
    "service-check": ("print what clients see of a service that fails under load", unfit.show),
}
QUICK = ("crash", "stop", "return", "agent", "freeze")
USUAL = [name for name, entry in PROGRAMS.items() if entry.usual]
RESULTS = Path("failover.jsonl")


def main(arguments: Sequence[str] | None = None) -> int:
    """Perform what is asked for and print the tables; 1 if a trial failed, 2 if none can be."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.failover",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="a sample in about ten minutes")
    parser.add_argument(
        "--programs",
        nargs="+",
        choices=PROGRAMS,
        default=USUAL,
        metavar="PROGRAM",
        help=", ".join(PROGRAMS),
    )
    parser.add_argument(
        "--faults", nargs="+", choices=FAULTS, metavar="FAULT", help=", ".join(FAULTS)
    )
    parser.add_argument("--addresses", nargs="+", type=int, metavar="N", help="(1 50)")
    parser.add_argument("--runs", type=int, help="repetitions of each trial (5)")
    parser.add_argument("--parallel", type=int, default=4, help="labs at once (4)")
    parser.add_argument(
        "--realtime", action="store_true", help="where the machine has other things to do"
    )
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin none later")
    parser.add_argument("--results", type=Path, default=RESULTS, help=f"the file ({RESULTS})")
    parser.add_argument("--logs", type=Path, help="keep what the programs write in this directory")
    parser.add_argument("--table", action="store_true", help="only print what is known")
    scene = parser.add_mutually_exclusive_group()
    for name, (text, _) in SCENES.items():
        scene.add_argument(f"--{name}", action="store_const", const=name, dest="scene", help=text)
    args = parser.parse_args(arguments)
    end_in_order()
    if args.scene:
        return _show(args.scene)
    faults = args.faults or (QUICK if args.quick else list(FAULTS))
    addresses = args.addresses or ([50] if args.quick else [1, 50])
    runs = args.runs or (1 if args.quick else 5)
    wanted = trials(args.programs, faults, addresses, runs)
    results, failed = Results(args.results), []
    if not args.table:
        if not _possible([tool for name in args.programs for tool in PROGRAMS[name].needs]):
            return 2
        deadline = time.monotonic() + 60 * args.minutes
        grid = Grid(results, args.parallel, deadline, args.realtime, args.logs)
        grid.run(wanted)
        failed = grid.failed
    known = list(results.of(wanted))
    print("\n".join(lines(known)))
    for met, words in verdicts(known):
        if not met:
            print(f"goal missed: {words}")
    for words in failed:
        print(f"failed: {words}")
    return int(bool(failed))


def _show(name: str) -> int:
    if not _possible(["tcpdump"]):
        return 2
    return int(SCENES[name][1]() is False)


def _possible(needed: Sequence[str]) -> bool:
    """Whether there is all that is needed; says what is not."""
    lacking = missing([*TOOLS, *needed]) or unavailable()
    if lacking:
        print(f"benchmarks.failover: {lacking}", file=sys.stderr)
    return not lacking


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
