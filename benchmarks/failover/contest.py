"""Who takes part: the columns of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.failover.flips import FAST, HOOKS, README, Flip, provided
from benchmarks.failover.network import Network
from benchmarks.failover.programs import Program
from benchmarks.failover.serf import Serf
from benchmarks.failover.vrrp import FastKeepalived, Keepalived


@dataclass(frozen=True)
class Entry:
    """A program with its settings.

    :ivar title: in the table.
    :ivar make: for a network, addresses and a directory.
    :ivar needs: the tools without which it does not run.
    :ivar usual: whether it takes part when nobody is named.
    """

    title: str
    make: Callable[[Network, list[str], Path], Program]
    needs: Sequence[str]
    usual: bool = True


LEASE = 3000  # milliseconds for which the kernel keeps an address without flip
SHORTEST = 4000  # milliseconds; the shortest lease of an exclusive system of addresses


def _flip(
    title: str, times: tuple[int, int], system: dict[str, Any], *, usual: bool = True
) -> Entry:
    return Entry(title, partial(Flip, times=times, system=system), Flip.needs, usual)


PROGRAMS = {
    "keepalived": Entry("keepalived 1 s", Keepalived, Keepalived.needs),
    "serf": Entry("serf lan", Serf, Serf.needs),
    "flip": _flip("flip", README, provided(kernel_lease=LEASE)),
    "flip-wait": _flip(
        "flip, wait_for_lease", README, provided(kernel_lease=LEASE, wait_for_lease=True)
    ),
    "flip-exclusive": _flip("flip, exclusive", README, {**provided(), "exclusive": True}),
    "keepalived-fast": Entry("VRRPv3 0.1 s", FastKeepalived, FastKeepalived.needs),
    "flip-fast": _flip("flip 100/200", FAST, provided(kernel_lease=LEASE)),
    "flip-fast-exclusive": _flip(
        "flip 100/200, exclusive", FAST, {**provided(), "exclusive": True, "lease": SHORTEST}
    ),
    "flip-hooks": _flip("flip, hooks", README, HOOKS, usual=False),
    "flip-fast-hooks": _flip("flip 100/200, hooks", FAST, HOOKS, usual=False),
}
