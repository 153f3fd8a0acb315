"""Many trials, several labs at once, each result kept in a file as soon as it is there."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.failover.faults import FAULTS
from benchmarks.failover.measures import Costs, Outcome, Spread, stood_still
from benchmarks.failover.trial import FEW, READY, Trial

ROOT = Path(__file__).parents[2]
REALTIME = ["chrt", "--rr", "10"]
STILL = 0.3  # seconds; by more no program is to be judged
QUEUES = Path("/proc/net/softnet_stat")
BACKLOG = Path("/proc/sys/net/core/netdev_max_backlog")
DEEP = 20_000  # frames; a few labs of 50 addresses fill shorter queues
LOOP = "while True: pass"
SPREADS = ("gap", "gap_after", "two", "none")
Result = tuple[Trial, Outcome]


class Results:
    """What is known already: one line of JSON per trial.

    :param path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[Trial, Outcome] = {}
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            for line in path.read_text().splitlines():
                entry = json.loads(line)
                self._known[Trial(**entry["trial"])] = outcome(entry["outcome"])

    def add(self, trial: Trial, found: Outcome) -> None:
        """Keep one more."""
        entry = {"trial": asdict(trial), "outcome": asdict(found)}
        with self._lock, self._path.open("a") as file:
            self._known[trial] = found
            file.write(json.dumps(entry) + "\n")

    def missing(self, trials: Iterable[Trial]) -> list[Trial]:
        """Those of which nothing is known yet."""
        return [trial for trial in trials if trial not in self._known]

    def of(self, trials: Iterable[Trial]) -> Iterator[Result]:
        """What is known of these."""
        for trial in trials:
            if trial in self._known:
                yield trial, self._known[trial]


def outcome(fields: dict[str, Any]) -> Outcome:
    """An outcome from its JSON."""
    spreads = {name: Spread(**fields[name]) for name in SPREADS}
    return Outcome(**{**fields, **spreads, "costs": Costs(**fields["costs"])})


def trials(
    programs: Sequence[str], faults: Sequence[str], addresses: Sequence[int], runs: int
) -> list[Trial]:
    """The product of it all, a repetition of everything before the next one."""
    return [
        Trial(program, fault, count, run)
        for run in range(1, runs + 1)
        for count in addresses
        for fault in faults
        for program in programs
    ]


def overflowed(text: str) -> int:
    """How many frames a kernel has thrown away because its processors' queues were full.

    All labs share these queues, so a lab that fills one disturbs the others.

    :param text: of /proc/net/softnet_stat, a line per processor, hexadecimal.
    """
    return sum(int(line.split()[1], 16) for line in text.splitlines())


def shallow(backlog: int) -> str:
    """What to do about queues that are too short for labs side by side; empty: nothing."""
    if backlog >= DEEP:
        return ""
    return (
        f"the kernel throws frames away when {backlog} wait for a processor, and trials in which"
        f" it does are not counted: sysctl -w net.core.netdev_max_backlog={DEEP}"
    )


class Grid:
    """Performs trials.

    :param parallel: how many labs at once.
    :param deadline: no trial begins after this time (`time.monotonic`).
    :param realtime: whether labs go before all else that this machine does.
    :param kept: a directory for all that the programs write, if it is to be kept.
    :ivar failed: what came to nothing, in words.
    """

    def __init__(
        self,
        results: Results,
        parallel: int,
        deadline: float = float("inf"),
        realtime: bool = False,
        kept: Path | None = None,
    ) -> None:
        self.failed: list[str] = []
        self._results = results
        self._parallel = parallel
        self._deadline = deadline
        self._realtime = realtime
        self._kept = kept
        self._running: set[subprocess.Popen[str]] = set()
        self._lost: dict[Trial, int] = {}  # what had been thrown away when each began
        self._left = 0
        self._lock = threading.Lock()

    def run(self, wanted: Sequence[Trial]) -> None:
        """Perform what is missing, in order, and say on stderr how far it has come.

        First what can run side by side; then what loads the machine, all programs
        under the same load; then what fills the kernel's table of neighbours, which
        all namespaces share, one by one.
        """
        if advice := shallow(int(BACKLOG.read_text())):
            print(advice, file=sys.stderr, flush=True)
        missing = self._results.missing(wanted)
        self._left = len(missing)
        few = [trial for trial in missing if trial.addresses <= FEW]
        quiet = [trial for trial in few if not FAULTS[trial.fault].loops]
        loud = [trial for trial in few if FAULTS[trial.fault].loops]
        many = [trial for trial in missing if trial.addresses > FEW]
        try:
            self._side_by_side(quiet)
            for first in range(0, len(loud), self._parallel):
                self._together(loud[first : first + self._parallel])
            for trial in many:
                (self._together if FAULTS[trial.fault].loops else self._one)([trial])
        finally:
            self._end()

    def _side_by_side(self, chosen: Sequence[Trial]) -> None:
        with ThreadPoolExecutor(self._parallel) as pool:
            try:
                list(pool.map(self._perform, chosen))
            except BaseException:
                self._deadline = 0  # for those that wait for a thread
                self._end()  # for those that the threads wait for
                raise

    def _one(self, alone: Sequence[Trial]) -> None:
        for trial in alone:
            self._perform(trial)

    def _perform(self, trial: Trial) -> None:
        if time.monotonic() < self._deadline:
            self._finish(trial, self._start(trial))

    def _together(self, batch: Sequence[Trial]) -> None:
        """Several under the same busy loops."""
        if time.monotonic() >= self._deadline:
            return
        fault = FAULTS[batch[0].fault]
        running = [(trial, self._start(trial)) for trial in batch]
        ready = [
            process
            for _, process in running
            if process.stdout is not None and process.stdout.readline().strip() == READY
        ]
        loops = [subprocess.Popen([sys.executable, "-c", LOOP]) for _ in range(fault.loops)]
        try:
            _go_on(ready)
            time.sleep(fault.seconds or 0)
        finally:
            for loop in loops:
                loop.kill()
                loop.wait()
        _go_on(ready)
        for trial, process in running:
            self._finish(trial, process)

    def _start(self, trial: Trial) -> subprocess.Popen[str]:
        self._lost[trial] = overflowed(QUEUES.read_text())
        words = [json.dumps(asdict(trial)), str(self._kept or "")]
        # Not where programs are to compete with busy loops.
        first = [] if FAULTS[trial.fault].loops or not self._realtime else REALTIME
        process = subprocess.Popen(
            [*first, sys.executable, "-m", "benchmarks.failover.trial", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=ROOT,
        )  # fmt: skip
        with self._lock:
            self._running.add(process)
        return process

    def _finish(self, trial: Trial, process: subprocess.Popen[str]) -> None:
        output, errors = process.communicate()
        lost = overflowed(QUEUES.read_text()) - self._lost.pop(trial)
        with self._lock:
            self._running.discard(process)
            self._left -= 1
        what = f"{trial.program}, {trial.fault}, {trial.addresses} addresses, run {trial.run}"
        if process.returncode:
            said = (errors.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
            self._fail(f"{what}: {said}")
            return
        found = outcome(json.loads(output.splitlines()[-1]))
        if (still := stood_still(found)) > STILL:
            self._fail(f"{what}: not counted, for the host stood still for {still:.1f} s")
            return
        if lost:
            self._fail(f"{what}: not counted, for the host threw {lost} frames away")
            return
        self._results.add(trial, found)
        line = f"{self._left} left; {what}: gap {found.gap.median:.3f} s,"
        line += f" after {found.gap_after.median:.3f} s, two owners {found.two.median:.3f} s"
        print(line, file=sys.stderr, flush=True)

    def _fail(self, words: str) -> None:
        self.failed.append(words)
        print(f"FAILED {words}", file=sys.stderr, flush=True)

    def _end(self) -> None:
        """Let the labs that still run take themselves down."""
        with self._lock:
            running = list(self._running)
        for process in running:
            process.terminate()
        for process in running:
            process.wait()


def _go_on(processes: Iterable[subprocess.Popen[str]]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
