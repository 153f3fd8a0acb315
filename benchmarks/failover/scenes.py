"""Scenes to look at: what the kernels and the wire say while an address moves."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.failover.flips import README, Flip, provided
from benchmarks.failover.lab import Lab
from benchmarks.failover.network import INTERFACE, Network
from tests.network.namespaces import Host

NET6 = "fd78::/64"
LEASE = 3000  # milliseconds
_ASSIGNED = re.compile(r"inet6? (\S+)/")
WATCHED = re.compile(r"10\.78\.|fd78::")
_STAMP = re.compile(r"^\[?(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{6})\]?\s*")


class BothFamilies(Flip):
    """flip with an IPv6 address beside each IPv4 address, in one group: they move together."""

    def __init__(self, network: Network, addresses: Sequence[str], directory: Path) -> None:
        system = provided(kernel_lease=LEASE)
        super().__init__(network, addresses, directory, times=README, system=system)

    def data(self) -> list[str | list[str]]:
        return [[one, sixth(one)] for one in self.addresses]


def sixth(address: str) -> str:
    """The IPv6 address that goes with an IPv4 address."""
    return f"fd78::{int(address.rpartition('.')[2]):x}"


class Witness:
    """Commands that report, on the hosts of a lab; their lines are put in order of time."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._said: list[tuple[str, subprocess.Popen[str]]] = []
        self._marks: list[tuple[str, str, str]] = []

    def hear(self, where: str, host: Host, *words: str) -> None:
        """Start a command that says when things happen, a line each."""
        process = host.popen(*words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self._lab.spare(process)
        self._said.append((where, process))

    def mark(self, words: str) -> None:
        """Say what is done now."""
        stamp = datetime.now(UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
        self._marks.append((stamp, "---", words))

    def lines(self) -> list[str]:
        """End the commands; what they and the marks said of the addresses."""
        found = list(self._marks)
        for where, process in self._said:
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=10)
            found += [(stamp, where, words) for stamp, words in stamped(output.splitlines())]
        return list(page(sorted(found)))


def page(found: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    """Lines to print, without the renewals of addresses that a node has already."""
    there: dict[tuple[str, str], bool] = {}
    for stamp, where, words in found:
        if address := _ASSIGNED.search(words):
            present = not words.startswith("Deleted")
            if there.get((where, address[1])) == present:
                continue
            there[where, address[1]] = present
        yield f"{stamp[11:23]}  {where:<7} {words}"


def stamped(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The lines about our addresses that begin with a time, as ``ip -ts`` and ``tcpdump`` write."""
    for line in lines:
        match = _STAMP.match(line)
        if match and WATCHED.search(line):
            yield match[1].replace(" ", "T"), " ".join(line[match.end() :].split())


@contextmanager
def stage(addresses: int) -> Iterator[tuple[Lab, Witness]]:
    """A lab at rest, with witnesses on every host."""
    with (
        tempfile.TemporaryDirectory(prefix="flip-lab-") as directory,
        Lab(BothFamilies, Path(directory), addresses) as lab,
    ):
        lab.network.client.run("ip", "-6", "route", "add", NET6, "dev", INTERFACE)
        lab.start()
        witness = Witness(lab)
        for node, host in enumerate(lab.network.nodes):
            words = ["ip", "-ts", "-o", "monitor", "address"]
            witness.hear(lab.program.name(node), host, *words)
        words = ["tcpdump", "-l", "-n", "-e", "-tttt", "-i", INTERFACE, "arp or icmp6"]
        witness.hear("client", lab.network.client, *words)
        time.sleep(1.5)
        yield lab, witness


def excerpts() -> None:
    """Print one takeover, and one lease that runs out after SIGKILL."""
    with stage(2) as (lab, witness):
        (target,) = lab.owners()[lab.addresses[0]]
        witness.mark(f"{lab.program.name(target)} crashes: no power")
        lab.crash(target)
        lab.calm(7, 15)
        print("A takeover, by `ip monitor address` on each node and tcpdump on the client")
        print("(renewals left out)\n")
        print("\n".join(witness.lines()), end="\n\n")
    with stage(2) as (lab, witness):
        (target,) = lab.owners()[lab.addresses[0]]
        host = lab.network.nodes[target]
        listing = host.run("ip", "addr", "show", "dev", INTERFACE, "dynamic").stdout
        witness.mark(f"SIGKILL to the daemon of {lab.program.name(target)}, which stays on")
        lab.kill(target)
        lab.calm(7, 15)
        print(f"A lease of {LEASE} ms: the addresses of {lab.program.name(target)} before\n")
        print(listing)
        print("and when its daemon is killed\n")
        print("\n".join(witness.lines()), flush=True)
    sys.stdout.flush()
