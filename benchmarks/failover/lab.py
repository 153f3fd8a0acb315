"""One lab: a network, the instruments on it, and a program that serves addresses."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from benchmarks.failover.measures import Event, Holders, Silence
from benchmarks.failover.network import Network, addresses
from benchmarks.failover.programs import Program
from tests.network.namespaces import Host, Lan

ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
CALM = 2.0  # seconds without an event, all served by one: it has settled
START_LIMIT = 90.0  # seconds from the start until it has
POLL = 0.05  # seconds
MEGABYTE = 1e6


class NotSettled(Exception):
    """The addresses did not come to have one owner each."""


class InstrumentFailed(Exception):
    """What measures has ended before it was told to."""


class Usage(NamedTuple):
    """What a program takes on one node: CPU seconds so far, bytes of memory now."""

    cpu: float
    rss: int


class Lab:
    """A context manager: everything runs within it, and nothing is left after it.

    :param count: how many addresses.
    :param nodes: how many servers.
    :param sample: how many addresses are probed at every tick, and
    :param slower: every how many ticks the others are.
    """

    def __init__(
        self,
        program: Callable[[Network, list[str], Path], Program],
        directory: Path,
        count: int,
        nodes: int = 3,
        *,
        sample: int = 50,
        slower: int = 1,
    ) -> None:
        self.addresses = addresses(count)
        self._lan = Lan(nodes + 1)
        self.network = Network(self._lan)
        self.program = program(self.network, self.addresses, directory)
        self.events: list[Event] = []
        self.died: dict[int, float] = {}
        self._holders = Holders()
        self._lock = threading.Lock()
        self._silent = count
        self._report: dict[str, Any] = {}
        self._probing = [str(sample), str(slower)]
        self._instruments: set[int] = set()
        self._prober: subprocess.Popen[str]
        self._listener = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Lab:
        self._lan.__enter__()
        try:
            self.network.prepare()
            self.program.directory.mkdir(parents=True, exist_ok=True)
            self.program.configure()
            for node, host in enumerate(self.network.nodes):
                responder = self._instrument(host, "responder", str(node + 1))
                threading.Thread(target=self._watch, args=(node, responder), daemon=True).start()
        except BaseException:
            self._lan.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lan.close()

    def start(self) -> None:
        """Start the program on all nodes, and the client's probes.

        :raises NotSettled: it comes to no rest.
        """
        for node in range(len(self.network.nodes)):
            self.program.start(node)
        self._prober = self._instrument(self.network.client, "prober", *self._probing)
        assert self._prober.stdin is not None
        self._prober.stdin.write("\n".join([*self.addresses, "", ""]))
        self._prober.stdin.flush()
        self._listener.start()
        if not self.calm(0, START_LIMIT):
            raise NotSettled(self.describe())

    def calm(self, least: float, most: float) -> bool:
        """Wait until all are served by one node each and nothing changes any more.

        :param least: seconds that it waits in any case.
        :param most: after so many it gives up, and returns False.
        :raises NotSettled: a daemon has ended that nobody asked to.
        :raises InstrumentFailed: so has the client's prober.
        """
        begun = restless = time.monotonic()
        while (now := time.monotonic()) < begun + most:
            with self._lock:
                if self.events:
                    restless = max(restless, self.events[-1].at)
                if self._silent or any(len(self._holders.of(one)) != 1 for one in self.addresses):
                    restless = now
            if now >= begun + least and now >= restless + CALM:
                return True
            if failed := self.program.failed():
                raise NotSettled(failed)
            if status := self._prober.poll():
                raise InstrumentFailed(f"the prober ended with {status}: see its traceback")
            time.sleep(POLL)
        return False

    def describe(self) -> str:
        """Who serves how many, for a message."""
        owners = [sorted(self.owners()[address]) for address in self.addresses]
        found = sorted((group, owners.count(list(group))) for group in {*map(tuple, owners)})
        served = ", ".join(
            f"{count} by {' and '.join(self.program.name(n) for n in group) or 'nobody'}"
            for group, count in found
        )
        return f"{served}; {self._silent} silent"

    def owners(self) -> dict[str, set[int]]:
        """Which living nodes have which address now."""
        with self._lock:
            return {address: self._holders.of(address) for address in self.addresses}

    def finish(self) -> dict[str, list[Silence]]:
        """End the client's probes; when each address was silent.

        :raises InstrumentFailed: they had ended before.
        """
        assert self._prober.stdin is not None
        self._prober.stdin.close()
        status = self._prober.wait(60)
        self._listener.join()
        if not self._report:
            raise InstrumentFailed(f"the prober ended with {status} and without a report")
        return {
            address: [(fell, heard) for fell, heard in found]
            for address, found in self._report["silences"].items()
        }

    def blurred(self, begin: float, end: float) -> float:
        """After `finish`: the longest time in [begin, end] without any probe."""
        late = [b - a for a, b in self._report["late"] if a <= end and b >= begin]
        return max(late, default=0.0)

    # What faults do

    def kill(self, node: int) -> None:
        """SIGKILL to every process of the program on a node."""
        self.signal(node, signal.SIGKILL)
        self.program.ended(node)

    def signal(self, node: int, number: signal.Signals) -> None:
        """A signal to every process of the program on a node."""
        _signal(self._processes(node), number)

    def crash(self, node: int) -> None:
        """Power off."""
        pids = self._processes(node)
        with self._lock:
            self.died[node] = time.monotonic()
            self._holders.dead.add(node)
        self.network.plug(self.network.nodes[node], False)
        _signal(pids, signal.SIGKILL)
        self.program.ended(node)

    def boot(self, node: int) -> None:
        """Power on: the network comes up, then the program starts."""
        self.network.forget(self.network.nodes[node])
        deadline = time.monotonic() + START_LIMIT
        while self._has(node) and time.monotonic() < deadline:
            time.sleep(POLL)
        with self._lock:
            del self.died[node]
            self._holders.dead.discard(node)
        self.network.plug(self.network.nodes[node], True)
        self.program.start(node)

    def _has(self, node: int) -> bool:
        with self._lock:
            return any(self._holders.has(node, address) for address in self.addresses)

    # What is looked at

    def usage(self) -> list[Usage]:
        """Per node."""
        return [
            Usage(
                sum(one.cpu for one in found),
                sum(one.rss for one in found),
            )
            for node in range(len(self.network.nodes))
            for found in [[one for pid in self._processes(node) for one in _usage(pid)]]
        ]

    def spare(self, process: subprocess.Popen[str]) -> None:
        """Count a process that was started on a node as one of the instruments."""
        self._instruments.add(process.pid)

    def _processes(self, node: int) -> list[int]:
        """Those of the program on a node."""
        namespace = self.network.nodes[node].namespace
        listed = subprocess.run(
            ["ip", "netns", "pids", namespace], check=True, text=True, capture_output=True
        )
        return [pid for pid in map(int, listed.stdout.split()) if pid not in self._instruments]

    def _instrument(self, host: Host, module: str, *words: str) -> subprocess.Popen[str]:
        process = host.popen(
            sys.executable, "-m", f"benchmarks.failover.{module}", *words,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            cwd=ROOT,
        )  # fmt: skip
        self.spare(process)
        return process

    def _watch(self, node: int, responder: subprocess.Popen[str]) -> None:
        assert responder.stdout is not None
        for line in responder.stdout:
            at, sign, address = line.split()
            if address.startswith("10.78."):
                event = Event(float(at), node, address, sign == "+")
                with self._lock:
                    self.events.append(event)
                    self._holders.see(event)

    def _listen(self) -> None:
        assert self._prober.stdout is not None
        for line in self._prober.stdout:
            if line.startswith("{"):
                self._report = json.loads(line)
            else:
                self._silent = int(line)


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def _usage(pid: int) -> list[Usage]:
    """Of a process and its children that have ended; nothing of one that has gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    fields = text.rpartition(")")[2].split()
    return [Usage(sum(map(int, fields[11:15])) / TICKS, int(fields[21]) * PAGE)]


def rates(before: list[Usage], after: list[Usage], seconds: float) -> list[float]:
    """Percent of a core per node."""
    return [
        100 * max(0.0, new.cpu - old.cpu) / seconds
        for old, new in itertools.zip_longest(before, after, fillvalue=Usage(0, 0))
    ]
