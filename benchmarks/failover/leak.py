"""Thousands of handoffs between daemons that stay: what they have left of memory and open files."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.failover.contest import LEASE
from benchmarks.failover.flips import Flip, provided
from benchmarks.failover.lab import MEGABYTE, Lab, NotSettled
from benchmarks.failover.network import Network
from flip.control.client import request

ADDRESSES = 1000
HANDOFFS = 10_000
WARM = 2000  # handoffs after which a daemon has what it needs
MORE = 5.0  # MB that one may have grown since
LIMIT = 60.0  # seconds for one drain
POLL = 0.05  # seconds


class Drained(Flip):
    """flip with addresses of its own."""

    def __init__(self, network: Network, addresses: Sequence[str], directory: Path) -> None:
        super().__init__(network, addresses, directory, system=provided(kernel_lease=LEASE))

    def ask(self, node: int, command: str) -> None:
        """A command of the control socket."""
        request(self.directory / f"{self.name(node)}.sock", command)


def show() -> bool:
    """Print what each daemon has after each drain and undrain of one; whether all is well."""
    with (
        tempfile.TemporaryDirectory(prefix="flip-lab-") as directory,
        Lab(Drained, Path(directory), ADDRESSES, sample=10, slower=20) as lab,
    ):
        program = lab.program
        assert isinstance(program, Drained)
        lab.start()
        nodes = range(len(lab.network.nodes))
        mine = len(_held(lab, 0))
        begin = len(lab.events)
        print(f"{ADDRESSES} addresses; node1 is drained and undrained again and again\n")
        print(f"{'handoffs':>8}" + "".join(f"{f'node{n + 1} MB':>10}{'files':>6}" for n in nodes))
        rows: list[tuple[int, list[tuple[float, int]]]] = []
        done = 0
        while done < HANDOFFS:
            program.ask(0, "drain")
            _wait(lab, lambda: not _held(lab, 0))
            program.ask(0, "undrain")
            _wait(lab, lambda: len(_held(lab, 0)) == mine)
            done = sum(event.present for event in lab.events[begin:])
            rows.append((done, [(lab.usage()[n].rss / MEGABYTE, files(program, n)) for n in nodes]))
            text = "".join(f"{size:>10.1f}{count:>6}" for size, count in rows[-1][1])
            print(f"{done:>8}{text}", flush=True)
        lab.finish()
    return steady(rows)


def steady(rows: Sequence[tuple[int, Sequence[tuple[float, int]]]]) -> bool:
    """Whether nothing has grown since the daemons were warm.

    :param rows: handoffs so far, and MB and open files of each node.
    """
    warm = next(row for done, row in rows if done >= WARM)
    return all(
        size <= before + MORE and count <= files
        for (before, files), (size, count) in zip(warm, rows[-1][1], strict=True)
    )


def files(program: Flip, node: int) -> int:
    """How many a daemon has open."""
    return len(os.listdir(f"/proc/{program.pid(node)}/fd"))


def _held(lab: Lab, node: int) -> list[str]:
    return [address for address, nodes in lab.owners().items() if node in nodes]


def _wait(lab: Lab, there: Callable[[], bool]) -> None:
    """Until it is so, and every address has one owner.

    :raises NotSettled: it does not come to be so.
    """
    deadline = time.monotonic() + LIMIT
    while not there() or any(len(nodes) != 1 for nodes in lab.owners().values()):
        if time.monotonic() > deadline:
            raise NotSettled(lab.describe())
        time.sleep(POLL)
