"""Running before all ordinary processes of a host (Linux), so that timers are on time under load.

SCHED_RR, with SCHED_RESET_ON_FORK: hooks, and threads, are ordinary again. It needs nothing but
Python's own, because the guard needs it, too. sched(7) and sched_setscheduler(2) say more.
"""

from __future__ import annotations

import os
import resource
import sys

LIMIT = "RLIMIT_RTPRIO"
CAP_SYS_NICE = 23  # <linux/capability.h>


def enter(priority: int) -> str | None:
    """Make this process real-time; returns what is missing when it may not be, else None.

    :param priority: 1 to 99; 0 changes nothing.
    """
    if not priority:
        return None
    if not hasattr(os, "SCHED_RESET_ON_FORK"):
        return f"{sys.platform} has no SCHED_RESET_ON_FORK"
    try:
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(priority))
    except PermissionError:
        return _missing(priority)
    except OSError as error:
        return f"the kernel refuses priority {priority}: {error.strerror}"
    return None


def complaint(priority: int) -> str | None:
    """What keeps this process from being real-time; None: nothing."""
    missing = enter(priority)
    if priority and missing is None:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    return missing


def _missing(priority: int) -> str:
    if _capable():
        return "this cgroup has no real-time budget (cpu.rt_runtime_us)"
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    return (
        f"it takes CAP_SYS_NICE, or {LIMIT} of {priority} or more, and that is {limit}"
        f" (systemd: LimitRTPRIO={priority})"
    )


def _capable() -> bool:
    with open("/proc/self/status", encoding="ascii") as status:
        found = next((line for line in status if line.startswith("CapEff:")), "CapEff: 0")
    return bool(int(found.split()[1], 16) >> CAP_SYS_NICE & 1)
