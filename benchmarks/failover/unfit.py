"""A service fails and recovers under load, and a health check moves its address."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.failover.flips import Flip, provided
from benchmarks.failover.grid import LOOP
from benchmarks.failover.lab import Lab
from benchmarks.failover.network import Network
from benchmarks.failover.service import PORT

ROOT = Path(__file__).parents[2]
LOOPS = 4
STAY = 8.0  # seconds of each part
SECONDS = 2.5 * STAY + 2  # for which the client asks: longer than it all takes
CHECK = {
    "http": f"http://127.0.0.1:{PORT}/",
    "interval": 500,
    "timeout": 500,
    "fall": 2,
    "rise": 2,
}


class CheckedFlip(Flip):
    """flip with a health check by HTTP."""

    def __init__(self, network: Network, addresses: Sequence[str], directory: Path) -> None:
        super().__init__(network, addresses, directory, system={**provided(), "check": CHECK})

    def start(self, node: int) -> None:
        """Start the service first: a node is not fit without."""
        words = ["serve", self.name(node), str(self.broken(node))]
        self.host(node).popen(
            sys.executable, "-m", "benchmarks.failover.service", *words,
            stderr=subprocess.DEVNULL, cwd=ROOT,
        )  # fmt: skip
        super().start(node)

    def broken(self, node: int) -> Path:
        """The file with which the service of a node fails."""
        return self.directory / f"{self.name(node)}.broken"


def show() -> None:
    """Print what a client got in each second, and what it missed of the probes."""
    with (
        tempfile.TemporaryDirectory(prefix="flip-lab-") as directory,
        Lab(CheckedFlip, Path(directory), 3) as lab,
    ):
        program = lab.program
        assert isinstance(program, CheckedFlip)
        lab.start()
        address = lab.addresses[0]
        (target,) = lab.owners()[address]
        name = program.name(target)
        loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(LOOPS)]
        try:
            client = lab.network.client.popen(
                sys.executable, "-m", "benchmarks.failover.service",
                "ask", f"http://{address}:{PORT}/", str(SECONDS),
                stdout=subprocess.PIPE, text=True, cwd=ROOT,
            )  # fmt: skip
            assert client.stdout is not None
            client.stdout.readline()  # it has begun
            begin = time.monotonic()
            time.sleep(STAY / 2)
            marks = {time.monotonic() - begin: f"{name} begins to answer 503"}
            program.broken(target).touch()
            time.sleep(STAY)
            marks[time.monotonic() - begin] = f"{name} is well again"
            program.broken(target).unlink()
            time.sleep(STAY)
            end = time.monotonic()
            output, _ = client.communicate()
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
        silences = lab.finish()
        moves = [event for event in lab.events if event.address == address and event.at > begin]
    marks |= {
        event.at - begin: f"{program.name(event.node)} {'has' if event.present else 'lets go of'} "
        f"{address}"
        for event in moves
    }
    print(f"{address}, checked every {CHECK['interval']} ms, {LOOPS} busy loops beside it\n")
    print("\n".join(story(output.splitlines(), begin, end, marks)))
    missed = [heard - fell for fell, heard in silences[address] if heard and fell > begin]
    longest = max(missed, default=0.0)
    print(f"\nlongest time without an answer to a probe: {longest * 1000:.0f} ms")


def story(said: Sequence[str], begin: float, end: float, marks: dict[float, str]) -> list[str]:
    """A line for each second and each mark.

    :param said: lines of the client of the service.
    :param marks: words, by the seconds since `begin`.
    """
    per: dict[int, Counter[str]] = {n: Counter() for n in range(int(end - begin) + 1)}
    for line in said:
        at, status, who = line.split()
        if begin <= float(at) < end:
            what = f"{status} by {who}" if status != "0" else "no answer"
            per[int(float(at) - begin)][what] += 1
    found = [
        (
            float(second),
            f"{second:>6}     " + ", ".join(f"{n} x {what}" for what, n in sorted(got.items())),
        )
        for second, got in per.items()
    ]
    found += [(at, f"{at:>10.3f} {words}") for at, words in marks.items()]
    return [text for _, text in sorted(found)]
