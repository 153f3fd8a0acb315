"""Nodes on a LAN of namespaces that keep addresses themselves, and the kernels' own word on it."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from flip.demo.story import IDS
from tests.end_to_end.processes import Cluster
from tests.network.namespaces import Host, Lan

# A detector that bears with a busy machine: a node that stands still for long is out of touch.
STEADY: dict[str, Any] = {"gossip_interval": 300, "ping_timeout": 1200}  # milliseconds
FOUR, SIX = ("10.77.0.101", "10.77.0.102"), ("fd77::101", "fd77::102")
DATA = (*FOUR, *SIX)
_EVENT = re.compile(r"^\[(\S+)\] (Deleted )?\d+: (\S+)\s+inet6? ([0-9a-f.:]+)/\d+ ")


class Event(NamedTuple):
    """What a kernel told: an address is there (again, or renewed), or is gone."""

    time: float  # of the wall clock
    host: str
    ip: str
    there: bool


class Span(NamedTuple):
    """An address was on a host."""

    host: str
    begin: float
    end: float


class AddressLan(Cluster):
    """Three nodes in namespaces of their own, of which all keep addresses; a context manager.

    :param data: the data points.
    :param config: of the system.
    :param system: further settings of the system.
    """

    def __init__(
        self,
        data: Sequence[Any] = DATA,
        config: Mapping[str, Any] | None = None,
        system: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.lan = Lan(len(IDS) + 1)
        *hosts, self.client = self.lan.hosts
        self.hosts: dict[str, Host] = dict(zip(IDS, hosts, strict=True))
        super().__init__(**settings)
        for id, host in self.hosts.items():
            self.servers[id] |= {"ip": host.address, "port": 2200}
        del self.system["alive"], self.system["down"]
        self.system.update(
            {"provider": "address", "data": list(data), **(system or {})},
            config={"interface": "eth0", **(config or {})},
        )
        self.data = frozenset(data)
        self._monitors: dict[str, tuple[subprocess.Popen[Any], Path]] = {}

    def __enter__(self) -> AddressLan:
        try:
            self.lan.__enter__()
            for id, host in self.hosts.items():
                path = self.root / f"{id}.events"
                words = ("ip", "-ts", "-o", "monitor", "address")
                with path.open("w") as output:
                    self._monitors[id] = host.popen(*words, stdout=output), path
            self.prepare()
            self.start()
            self.await_all()
        except BaseException:
            self.close()
            raise
        return self

    def prepare(self) -> None:
        """What is to be done to the hosts before the nodes start."""

    def command(self, id: str, path: Path, *options: str) -> list[str]:
        return self.hosts[id].command(*super().command(id, path, *options))

    def close(self) -> None:
        super().close()
        self.lan.close()

    def addresses(self, id: str, interface: str | None = None) -> set[str]:
        """Which of the cluster's addresses are on a host."""
        found = {address.split("/")[0] for address in self.hosts[id].addresses(interface)}
        return found & self.data

    def await_all(self, limit: float = 40) -> None:
        """Wait until all nodes have settled, and every address is where the plan has it."""
        self.wait(self.is_home, limit, "everything is where the plan has it")

    def is_home(self) -> bool:
        """Whether everything is where the plan has it, by the nodes' and the kernels' word."""
        systems = []
        for id in IDS:
            status = self.status(id)
            if not status or not status["settled"]:
                return False
            systems += [(id, system) for system in status["systems"].values()]
        held = [datum for _, system in systems for datum in system["held"]]
        return (
            all(set(one["wanted"]) == set(one["held"]) for _, one in systems)
            and sorted(held) == sorted(self.data)
            and all(set(one["held"]) == self.addresses(id) for id, one in systems)
        )

    def await_on(self, id: str, ips: set[str], limit: float = 20) -> float:
        """Wait until a host has just these addresses; the seconds that took."""
        return self.wait(
            lambda: self.addresses(id) == ips,
            limit,
            lambda: f"{id} has {sorted(ips)}, but { ({id: self.addresses(id) for id in IDS}) }",
        )

    def events(self) -> list[Event]:
        """What the kernels told so far, in order of time."""
        found = []
        for id, (_, path) in self._monitors.items():
            for line in path.read_text().splitlines():
                match = _EVENT.match(line)
                if match and match[4] in self.data:
                    at = datetime.fromisoformat(match[1]).timestamp()
                    found.append(Event(at, id, match[4], not match[2]))
        return sorted(found)

    def spans(self, ip: str) -> list[Span]:
        """Where an address was, and when; until now where it still is."""
        open_since: dict[str, float] = {}
        spans = []
        for event in self.events():
            if event.ip != ip:
                continue
            if event.there:
                open_since.setdefault(event.host, event.time)
            elif event.host in open_since:
                spans.append(Span(event.host, open_since.pop(event.host), event.time))
        spans += [Span(host, begin, time.time()) for host, begin in open_since.items()]
        return sorted(spans, key=lambda span: span.begin)

    def twice(self, since: float = 0.0) -> dict[str, float]:
        """By address, for how many seconds more than one host had it."""
        found = {}
        for ip in self.data:
            spans = [span for span in self.spans(ip) if span.end > since]
            overlap = sum(
                max(0.0, min(one.end, other.end) - max(one.begin, other.begin, since))
                for at, one in enumerate(spans)
                for other in spans[at + 1 :]
                if one.host != other.host
            )
            if overlap > 0:
                found[ip] = round(overlap, 4)
        return found

    def gap(self, ip: str, since: float) -> float:
        """The longest time in seconds for which no host had an address, from `since` on."""
        spans = [span for span in self.spans(ip) if span.end > since]
        end, longest = since, 0.0
        for span in spans:
            longest, end = max(longest, span.begin - end), max(end, span.end)
        return longest

    def texts(self, id: str, kind: str) -> list[str]:
        """The events of one kind that a node's status shows."""
        status = self.status(id) or {"events": []}
        return [event["text"] for event in status["events"] if event["kind"] == kind]
