"""``python -IS .../flip/holdings/guard NODE LOCK [PRIORITY]``: the guard's process.

Its standard input is the connection to the daemon. It never imports Twisted, or
anything else that is not Python's own: it starts in some 30 ms and stays small.
"""

from __future__ import annotations

import os
import resource
import select
import socket
import sys
import time
from contextlib import suppress

ROOT = os.path.dirname(os.path.abspath(__file__))
for _ in range(3):
    ROOT = os.path.dirname(ROOT)

NICENESS = -10  # a deadline is worth more than throughput
LINE = 2048  # bytes: a pipe that can be written takes so much at once


def main() -> None:
    """Be the guard of a node until it is not needed any more."""
    sys.path.insert(0, ROOT)  # without site, flip is where this file is
    from flip import realtime
    from flip.holdings.guard.loop import Loop

    node, lock, *priority = sys.argv[1:]
    with suppress(OSError), open("/proc/self/comm", "w", encoding="ascii") as name:
        name.write("flip-guard")
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    _be_preferred()
    missing = realtime.enter(int(priority[0])) if priority else None
    if missing is not None:
        _say(node, f"the guard is not real-time: {missing}")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        # All data points are let go of at once, with three descriptors each.
        resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    loop = Loop(
        lambda: time.clock_gettime(clock),
        socket.socket(fileno=os.dup(0)),
        lock,
        os.environb,
        lambda text: _say(node, text),
        lambda: _be_ordinary(niceness, limits),
    )
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    loop.run()


def _be_preferred() -> None:
    """Run before others where that is allowed; the hooks do not inherit it."""
    with suppress(AttributeError, OSError):  # Linux only, and only for root
        policy = os.sched_getscheduler(0)
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, os.sched_getparam(0))
        os.setpriority(os.PRIO_PROCESS, 0, NICENESS)


def _be_ordinary(niceness: int, limits: tuple[int, int]) -> None:
    """In a hook, before it begins: have no more than the daemon had."""
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    with suppress(OSError):  # a negative one, which it could not keep anyway
        os.setpriority(os.PRIO_PROCESS, 0, niceness)


def _say(node: str, text: str) -> None:
    """Write to standard error, unless that would have to wait: a terminal that is held back."""
    for line in text.splitlines():
        with suppress(OSError, ValueError):
            if select.select((), (2,), (), 0)[1]:
                stamp = time.strftime("%Y-%m-%dT%H:%M:%S%z")
                os.write(2, f"{stamp} [flip-guard {node}] {line}".encode()[:LINE] + b"\n")


if __name__ == "__main__":
    main()
