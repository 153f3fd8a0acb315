"""The story's nodes on a LAN of namespaces, and somebody there who needs their addresses."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from flip.demo.story import IDS
from tests.end_to_end.processes import Cluster
from tests.network import echo
from tests.network.namespaces import Host, Lan

HOME = {"flip": "10.77.0.101", "flip1": "10.77.0.102"}  # who has which address when all is well
PORT = 7  # echo's
ECHO = str(Path(echo.__file__).resolve())


class Answer(NamedTuple):
    """One question and what came back; seconds of the monotonic clock, None: nothing did."""

    sent: float
    received: float | None
    owner: str | None


class Answers(list[Answer]):
    """What somebody on the LAN experienced, question by question."""

    def silence(self, since: float, until: float = float("inf")) -> float:
        """The longest time in seconds without any answer, from `since` on."""
        heard = [a.received for a in self if a.received is not None and since <= a.received < until]
        times = [since, *sorted(heard), min(until, self[-1].sent)]
        return max(later - earlier for earlier, later in itertools.pairwise(times))

    def since(self, when: float) -> list[tuple[float, str | None]]:
        """Who answered from then on: [(seconds after `when`, owner)], one for each change."""
        changes: list[tuple[float, str | None]] = []
        for answer in self:
            if answer.sent >= when and (not changes or changes[-1][1] != answer.owner):
                changes.append((round(answer.sent - when, 3), answer.owner))
        return changes

    def settled(self, since: float, owner: str) -> float:
        """Seconds from `since` until only `owner` answered, and answered everything."""
        wrong = [a.sent for a in self[:-LAST] if a.sent >= since and a.owner != owner]
        return max(wrong, default=since) - since


LAST = 20  # questions that may still have been under way when the asking ended


class LanCluster(Cluster):
    """Three nodes with the real hooks, and a client; a context manager.

    :ivar hosts: the namespace of each node.
    :ivar services: what answers on each host.
    :ivar client: one more, which keeps nobody's address but needs all of them.
    """

    def __init__(self, **settings: Any) -> None:
        self.lan = Lan(len(IDS) + 1)
        *hosts, self.client = self.lan.hosts
        self.hosts: dict[str, Host] = dict(zip(IDS, hosts, strict=True))
        self.services: dict[str, subprocess.Popen[Any]] = {}
        super().__init__(**settings)
        for id, host in self.hosts.items():
            self.servers[id] |= {"ip": host.address, "port": 2200}
        data = sorted(HOME.values(), reverse=True)
        hooks = {"alive": "ip_up", "down": "ip_down"}
        self.system.update(**hooks, data=data, config={"interface": "eth0"})

    def __enter__(self) -> LanCluster:
        try:
            self.lan.__enter__()
            for id in self.hosts:
                self.serve(id)
            self.start()
            self.await_home()
        except BaseException:
            self.close()
            raise
        return self

    def serve(self, id: str) -> None:
        """Start the service of a host, which answers for all its addresses."""
        words = (sys.executable, ECHO, "answer", id, str(PORT))
        self.services[id] = self.hosts[id].popen(*words)

    def command(self, id: str, path: Path, *options: str) -> list[str]:
        return self.hosts[id].command(*super().command(id, path, *options))

    def close(self) -> None:
        super().close()
        self.lan.close()

    def addresses(self, id: str) -> set[str]:
        """Which of the cluster's addresses are on a host's interface."""
        found = {address.split("/")[0] for address in self.hosts[id].addresses()}
        return found & set(HOME.values())

    def await_addresses(self, expected: Mapping[str, set[str]], limit: float = 20) -> None:
        """Wait until hosts have just these addresses."""
        self.wait(
            lambda: all(self.addresses(id) == held for id, held in expected.items()),
            limit,
            lambda: f"{expected}, but { ({id: self.addresses(id) for id in expected}) }",
        )

    def await_home(self, limit: float = 30) -> None:
        """Wait until every address is at home and all nodes have settled."""
        self.await_addresses({id: {HOME[id]} if id in HOME else set() for id in IDS}, limit)
        self.wait(
            lambda: all((status := self.status(id)) and status["settled"] for id in IDS),
            limit,
            "all settle",
        )

    @contextmanager
    def asking(self, address: str) -> Iterator[Answers]:
        """The client asks who has an address, all the time; the answers are there afterwards."""
        words = (sys.executable, ECHO, "ask", address, str(PORT))
        asker = self.client.popen(*words, stdout=subprocess.PIPE)
        answers = Answers()
        try:
            time.sleep(0.3)  # it starts
            yield answers
            time.sleep((LAST + 1) * echo.PERIOD)
        finally:
            asker.send_signal(signal.SIGTERM)
            printed, _ = asker.communicate(timeout=10)
        answers.extend(Answer(*one) for one in json.loads(printed))
