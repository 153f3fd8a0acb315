"""Who takes part: the columns of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.failover.flips import FastFlip, Flip
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
    """

    title: str
    make: Callable[[Network, list[str], Path], Program]
    needs: Sequence[str]


PROGRAMS = {
    "keepalived": Entry("keepalived, 1 s", Keepalived, Keepalived.needs),
    "serf": Entry("serf, lan", Serf, Serf.needs),
    "flip": Entry("flip, 1000/1500", Flip, Flip.needs),
    "keepalived-fast": Entry("VRRPv3, 0.1 s", FastKeepalived, FastKeepalived.needs),
    "flip-fast": Entry("flip, 100/200", FastFlip, FastFlip.needs),
}
