"""What is compared: how an operator sets each program up, starts and stops it."""

from __future__ import annotations

import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from benchmarks.failover.network import Network
from tests.network.namespaces import Host

STOP_LIMIT = 15.0  # seconds that a clean stop may take
APT = {
    "ip": "iproute2",
    "bridge": "iproute2",
    "nft": "nftables",
    "keepalived": "keepalived",
    "serf": "serf",
    "arping": "iputils-arping",
    "flock": "util-linux",
    "tcpdump": "tcpdump",
}


def missing(tools: Sequence[str]) -> str | None:
    """What to type when programs are not installed; None when all of them are."""
    lacking = sorted({APT[tool] for tool in tools if shutil.which(tool) is None})
    return f"apt install {' '.join(lacking)}" if lacking else None


class Program(ABC):
    """One program with one set of settings, on all nodes of a lab.

    :param directory: for its files and logs.
    :ivar needs: the tools without which it does not run.
    """

    needs: tuple[str, ...] = ()

    def __init__(self, network: Network, addresses: Sequence[str], directory: Path) -> None:
        self.network = network
        self.addresses = addresses
        self.directory = directory
        self._running: dict[int, subprocess.Popen[bytes]] = {}

    @abstractmethod
    def configure(self) -> None:
        """Write the files that all nodes need."""

    @abstractmethod
    def command(self, node: int) -> Sequence[str]:
        """The daemon of a node, which stays in the foreground."""

    def start(self, node: int) -> None:
        """Start the daemon of a node, counted from 0."""
        with (self.directory / f"node{node + 1}.log").open("ab") as log:
            self._running[node] = self.host(node).popen(
                *self.command(node), stdout=log, stderr=subprocess.STDOUT
            )

    def stop(self, node: int) -> None:
        """Stop it as an operator would, and wait until it has ended.

        :raises subprocess.TimeoutExpired: it has not.
        """
        self._running[node].send_signal(signal.SIGTERM)
        self.ended(node)

    def ended(self, node: int) -> None:
        """Wait for the end of a daemon that has been told or made to end."""
        self._running.pop(node).wait(STOP_LIMIT)

    def pid(self, node: int) -> int:
        """The process of a daemon."""
        return self._running[node].pid

    def failed(self) -> str | None:
        """Which daemon has ended by itself, and its last words; None when all run."""
        for node, process in self._running.items():
            if process.poll() is not None:
                log = (self.directory / f"node{node + 1}.log").read_text(errors="replace")
                words = (log.strip().splitlines() or ["nothing"])[-1]
                return f"{self.name(node)} ended with {process.returncode}, and said: {words}"
        return None

    def host(self, node: int) -> Host:
        """The namespace of a node."""
        return self.network.nodes[node]

    def name(self, node: int) -> str:
        """What a node is called."""
        return f"node{node + 1}"


def homes(count: int, nodes: int, address: int) -> list[int]:
    """Who should have an address, in order: even shares, each with an order of heirs."""
    first = address * nodes // count if count >= nodes else address
    return [(first + step) % nodes for step in range(nodes)]
