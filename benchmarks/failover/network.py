"""The lab's Ethernet: nodes and a client on one switch, and what can go wrong between them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Sequence

from benchmarks.failover.datagrams import PORT
from tests.network.namespaces import Host, Lan

NET = "10.78.0.0/16"  # of the addresses that move; the client reaches it without a router
INTERFACE = "eth0"
TABLE = "bridge failover"


def addresses(count: int) -> list[str]:
    """So many of `NET`."""
    return [f"10.78.{n // 250}.{n % 250 + 1}" for n in range(count)]


class Network:
    """Faults and counters of the switch.

    :param lan: its last host is the client, the others are nodes.
    """

    def __init__(self, lan: Lan) -> None:
        self._lan = lan
        self._links: subprocess.Popen[str] | None = None
        *self.nodes, self.client = lan.hosts

    def prepare(self) -> None:
        """Let the switch count and lose frames, and the client reach what moves."""
        # A process that is there already: the moment of a crash is known to a millisecond.
        self._links = self.client.popen(
            "ip", "-n", self._lan.switch, "-force", "-batch", "-", stdin=subprocess.PIPE, text=True
        )
        self.client.run("ip", "route", "add", NET, "dev", INTERFACE)
        counted = "\n".join(f"counter {node.port} {{ }}" for node in self.nodes)
        counts = "\n".join(
            f'iifname "{node.port}" ether type ip counter name "{node.port}"' for node in self.nodes
        )
        self._nft(
            f"""table {TABLE} {{
                {counted}
                chain counts {{
                    type filter hook prerouting priority -300; policy accept;
                    udp dport {PORT} accept
                    udp sport {PORT} accept
                    {counts}
                }}
                chain faults {{
                    type filter hook forward priority 0; policy accept;
                }}
            }}"""
        )

    def plug(self, node: Host, plugged: bool) -> None:
        """Pull a node's cable, or put it in again; without it the node's link is down."""
        assert self._links is not None
        assert self._links.stdin is not None
        self._links.stdin.write(f"link set dev {node.port} {'up' if plugged else 'down'}\n")
        self._links.stdin.flush()

    def drop(self, froms: Iterable[Host], tos: Iterable[Host], percent: int = 100) -> None:
        """Lose frames, by chance or all, that go from some hosts to others."""
        chance = f"numgen random mod 100 < {percent} " if percent < 100 else ""
        self._nft(
            f"add rule {TABLE} faults iifname {_ports(froms)} oifname {_ports(tos)} {chance}drop"
        )

    def heal(self) -> None:
        """Lose nothing any more."""
        self._nft(f"flush chain {TABLE} faults")

    def traffic(self) -> list[tuple[int, int]]:
        """The IPv4 packets and octets that each node has sent so far, probes not counted."""
        text = self._switch("nft", "-j", "list", "counters").stdout
        found = {
            entry["counter"]["name"]: (entry["counter"]["packets"], entry["counter"]["bytes"])
            for entry in json.loads(text)["nftables"]
            if "counter" in entry
        }
        return [found[node.port] for node in self.nodes]

    def forget(self, node: Host) -> None:
        """Remove what moves from a node: a machine that boots has only its own address."""
        node.run("ip", "addr", "flush", "dev", INTERFACE, "to", NET)

    def _switch(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", self._lan.switch, *words],
            input=text,
            check=True,
            text=True,
            capture_output=True,
        )

    def _nft(self, rules: str) -> None:
        self._switch("nft", "-f", "-", text=rules)


def others(hosts: Sequence[Host], one: Host) -> list[Host]:
    """All but one."""
    return [host for host in hosts if host is not one]


def _ports(hosts: Iterable[Host]) -> str:
    return "{ " + ", ".join(f'"{host.port}"' for host in hosts) + " }"
