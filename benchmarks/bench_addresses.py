"""How long it takes to add, announce and remove 1,000 addresses, and what the reactor feels of it.

The promises are about IPv4: everything in 150 ms, and no turn of the reactor is longer than
20 ms. They are judged by the processor time of the median run, the kernel's part included, so
that they hold on a busy machine, too; the wall clock's time stands beside it. Beside flip stand
the same additions and removals by one ``ip -batch``, by one ``ip`` per address as hooks do it (8
at a time, measured with fewer addresses), and by pyroute2 where that is installed.

IPv6 costs the kernel itself more the more addresses an interface has: the table shows it
that beside ``ip -batch``, and the promise is about the reactor only.

Everything happens in a network namespace of its own: needs root, or user namespaces.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from flip.addresses.kernel import Address, Put, Remove
from flip.addresses.linux import LinuxKernel

PROMISE, LONGEST_TURN = 0.150, 0.020  # seconds
COUNT, RUNS = 1000, 5
PROCESSES = 50  # addresses of the slow ways, which are then counted as if they were COUNT
INTERFACE = "flip0"


def addresses(version: int, count: int = COUNT) -> list[Address]:
    """As many as wanted, each a network of its own."""
    if version == 4:
        return [Address(INTERFACE, f"10.9.{n >> 8}.{n & 255}", 32) for n in range(count)]
    return [Address(INTERFACE, f"fd09::{n + 1:x}", 128) for n in range(count)]


class Turns:
    """Measures the longest turn of the reactor, by a call that is always due.

    :ivar longest: in seconds of the wall clock.
    :ivar busiest: in seconds of the processor.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._last = self._last_busy = 0.0
        self.longest = self.busiest = 0.0

    @contextmanager
    def measured(self) -> Iterator[None]:
        """Measure."""
        self._last, self._last_busy = time.perf_counter(), time.process_time()
        call = self._reactor.callLater(0, self._tick)
        self._running = True
        try:
            yield
        finally:
            self._running = False
            if call.active():
                call.cancel()
            self._count()

    def _count(self) -> None:
        now, busy = time.perf_counter(), time.process_time()
        self.longest, self._last = max(self.longest, now - self._last), now
        self.busiest, self._last_busy = max(self.busiest, busy - self._last_busy), busy

    def _tick(self) -> None:
        if self._running:
            self._count()
            self._reactor.callLater(0, self._tick)


async def flip(reactor: Any, version: int) -> dict[str, float]:
    """The seconds of one run of flip's, part by part, and of its longest turn."""
    kernel = LinuxKernel(reactor)
    await kernel.start()
    turns = Turns(reactor)
    data = addresses(version)
    times: dict[str, float] = {}
    with turns.measured():
        busy = time.process_time()
        began = time.perf_counter()
        results = await kernel.apply([Put(address, 60) for address in data])
        times["add"] = time.perf_counter() - began
        began = time.perf_counter()
        await kernel.announce(data)
        times["announce"] = time.perf_counter() - began
        began = time.perf_counter()
        results += await kernel.apply([Remove(address) for address in data])
        times["remove"] = time.perf_counter() - began
        # What is told to observers, and what the reactor has put off, belongs to it.
        await deferLater(reactor, 0)
        times["all, CPU"] = time.process_time() - busy
    assert not any(results), f"refused: {next(filter(None, results))}"
    kernel.stop()
    return times | {"turn": turns.longest, "turn, CPU": turns.busiest}


def words(verb: str, address: Address) -> list[str]:
    """The command of iproute2's that does the same."""
    command = ["addr", verb, f"{address.ip}/{address.prefix}", "dev", address.interface]
    if verb == "del":
        return command
    preferred = "0" if address.version == 6 else "60"
    extra = ["nodad", "noprefixroute"] if address.version == 6 else []
    return [*command, "valid_lft", "60", "preferred_lft", preferred, *extra]


def batch(version: int, verb: str) -> float:
    """The seconds that one ``ip -batch`` takes."""
    text = "".join(f"{' '.join(words(verb, address))}\n" for address in addresses(version))
    began = time.perf_counter()
    subprocess.run(["ip", "-batch", "-"], input=text, text=True, check=True)
    return time.perf_counter() - began


def processes(version: int, verb: str) -> float:
    """The seconds that a process per address takes, 8 at a time."""

    def run(address: Address) -> None:
        subprocess.run(["ip", *words(verb, address)], check=True)

    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(run, addresses(version, PROCESSES)))
    return (time.perf_counter() - began) * COUNT / PROCESSES


def pyroute2(version: int, verb: str) -> float:
    """The seconds that pyroute2's IPRoute takes, one request after another."""
    library = importlib.import_module("pyroute2")
    with library.IPRoute() as route:
        (number,) = route.link_lookup(ifname=INTERFACE)
        began = time.perf_counter()
        for address in addresses(version, PROCESSES):
            route.addr(verb, index=number, address=address.ip, prefixlen=address.prefix)
        return (time.perf_counter() - began) * COUNT / PROCESSES


def other_ways(version: int) -> dict[str, Callable[[int, str], float]]:
    """How else it can be done here.

    For IPv6 the slow ways are left out: few addresses do not tell what many cost.
    """
    ways: dict[str, Callable[[int, str], float]] = {"ip -batch": batch}
    if version == 6:
        return ways
    ways["ip per address"] = processes
    if importlib.util.find_spec("pyroute2"):
        ways["pyroute2"] = pyroute2
    return ways


async def bench(reactor: Any) -> None:
    """Print the table; exit 1 if a promise is broken."""
    broken = False
    columns = ("add", "announce", "remove", "all", "all, CPU", "turn", "turn, CPU")
    print(f"{f'{COUNT} addresses, ms':<20}" + "".join(f"{column:>10}" for column in columns))
    for version in (4, 6):
        runs = [await flip(reactor, version) for _ in range(RUNS)]
        times = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        times["all"] = times["add"] + times["announce"] + times["remove"]
        cells = "".join(f"{times[column] * 1e3:>10.1f}" for column in columns)
        print(f"IPv{version} {'flip':<15}{cells}")
        changes = times["add"] + times["remove"]
        for name, way in other_ways(version).items():
            taken = [(way(version, "add"), way(version, "del")) for _ in range(RUNS)]
            add, remove = (statistics.median(column) for column in zip(*taken, strict=True))
            row = f"IPv{version} {name:<15}{add * 1e3:>10.1f}{'-':>10}{remove * 1e3:>10.1f}"
            print(f"{row}   flip adds and removes in {changes / (add + remove):.2f} of its time")
        broken = broken or times["turn, CPU"] > LONGEST_TURN
        broken = broken or (version == 4 and times["all, CPU"] > PROMISE)
    print(f"the promise: IPv4 in {PROMISE * 1e3:.0f} ms, no turn over {LONGEST_TURN * 1e3:.0f} ms")
    sys.exit(int(broken))


def main() -> int:
    """Enter a namespace, or measure in it."""
    if sys.argv[1:] == ["--inside"]:
        for command in (
            ["link", "add", INTERFACE, "type", "veth", "peer", "name", "flip1"],
            ["link", "set", "flip1", "up"],
            ["link", "set", INTERFACE, "up"],
        ):
            subprocess.run(["ip", *command], check=True)
        react(lambda reactor: Deferred.fromCoroutine(bench(reactor)))
    user = [] if os.geteuid() == 0 else ["--map-root-user"]
    enter = ["unshare", *user, "--net"]
    if not shutil.which("unshare") or not shutil.which("ip"):
        print("skipped: needs Linux with unshare (util-linux) and ip (iproute2)")
        return 0
    if subprocess.run([*enter, "ip", "link", "add", "v", "type", "veth"], check=False).returncode:
        print("skipped: no network namespace can be made here")
        return 0
    return subprocess.run([*enter, sys.executable, __file__, "--inside"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
