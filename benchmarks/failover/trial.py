"""One trial: a program, a fault, a number of addresses; run as a program, a child of the grid.

Its argument is the trial as JSON, and its last line of output the outcome. Of a fault
with busy loops the grid makes the loops, for all that run at once: the trial says
``ready``, and goes on at each line of input.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean

from benchmarks.failover.contest import PROGRAMS
from benchmarks.failover.ending import end_in_order
from benchmarks.failover.faults import FAULTS, Fault
from benchmarks.failover.lab import MEGABYTE, Lab, rates
from benchmarks.failover.measures import Costs, Outcome, Window, measure, within

READY = "ready"
MEMORY = "/dev/shm"  # where programs write, if it is there: no trial is to measure the disk
SAMPLE = 10  # addresses
LONG = 30.0  # seconds
IDLE = 2.0  # seconds of which CPU and traffic are counted before the fault
FEW = 100  # addresses; more are never all probed at every tick


@dataclass(frozen=True)
class Trial:
    """What is tried.

    :ivar run: the number of the repetition.
    """

    program: str
    fault: str
    addresses: int
    run: int


def perform(trial: Trial, directory: Path) -> Outcome:
    """Do it in a lab of its own.

    :param directory: for what the programs write.
    :raises NotSettled: the program did not come to serve each address once.
    """
    fault = FAULTS[trial.fault]
    make = PROGRAMS[trial.program].make
    sample, slower = probing(trial)
    with Lab(make, directory, trial.addresses, sample=sample, slower=slower) as lab:
        lab.start()
        target = _only(lab.owners()[lab.addresses[0]])
        concerned = [one for one, nodes in lab.owners().items() if nodes == {target}]
        costs = _at_rest(lab)
        fault.before(lab, target)
        time.sleep(random.Random(repr(trial)).random())  # the moment within an interval
        if fault.loops:
            _synchronise(READY)
        owners, died = lab.owners(), set(lab.died)
        window, costs.busy = _strike(lab, fault, target)
        silences = lab.finish()
        gone = {node: at for node, at in lab.died.items() if node not in died}
        counted = within(lab.events, window, gone, owners)
        demanded = len(concerned) if fault.demands else 0
        outcome = measure(window, counted, silences, owners, concerned, demanded)
        costs.blurred = lab.blurred(window.begin, window.end)
        costs.load = os.getloadavg()[0]
        outcome.costs = costs
        timeline = {"window": asdict(window), "events": lab.events, "silences": silences}
        (directory / "timeline.json").write_text(json.dumps(timeline))
        return outcome


def _at_rest(lab: Lab) -> Costs:
    """What the program takes while nothing happens."""
    sent, used = lab.network.traffic(), lab.usage()
    time.sleep(IDLE)
    rested = lab.usage()
    traffic = list(zip(sent, lab.network.traffic(), strict=True))
    return Costs(
        idle=fmean(rates(used, rested, IDLE)),
        rss=fmean(one.rss for one in rested) / MEGABYTE,
        packets=fmean(new[0] - old[0] for old, new in traffic) / IDLE,
        octets=fmean(new[1] - old[1] for old, new in traffic) / IDLE,
    )


def _strike(lab: Lab, fault: Fault, target: int) -> tuple[Window, float]:
    """Let a fault happen and pass: when it was, and percent of a core on the nodes it spares."""
    used, begin = lab.usage(), time.monotonic()
    fault.begin(lab, target)
    if fault.loops:
        _synchronise()
    elif fault.seconds is not None:
        time.sleep(max(0.0, begin + fault.seconds - time.monotonic()))
    over = begin if fault.seconds is None else time.monotonic()
    fault.end(lab, target)
    lab.calm(fault.least, fault.most)
    end = time.monotonic()
    busy = rates(used, lab.usage(), end - begin)
    return Window(begin, over, end), fmean(one for n, one in enumerate(busy) if n != target)


def probing(trial: Trial) -> tuple[int, int]:
    """How many addresses are probed at every tick, and every how many ticks the others.

    As many as the machine can bear beside what it measures: all, where milliseconds
    count; few where many labs run side by side for a minute, and seconds count.
    """
    fault = FAULTS[trial.fault]
    if fault.fine and trial.addresses <= FEW:
        return FEW, 1
    if trial.addresses > FEW or (fault.seconds or 0) >= LONG:
        return SAMPLE, 10
    return SAMPLE, 4


def _only(nodes: set[int]) -> int:
    (node,) = nodes
    return node


def _synchronise(word: str = "") -> None:
    """Say a word, if there is one, and wait for the grid.

    :raises EOFError: the grid has ended.
    """
    if word:
        print(word, flush=True)
    if not sys.stdin.readline():
        raise EOFError("the grid has ended")


def main() -> None:
    """Perform the trial of the argument; the second argument is where to keep its logs."""
    end_in_order()
    trial, kept = Trial(**json.loads(sys.argv[1])), sys.argv[2]
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="flip-lab-", dir=memory) as directory:
        try:
            outcome = perform(trial, Path(directory))
        finally:
            if kept:
                name = f"{trial.program}-{trial.fault}-{trial.addresses}-{trial.run}"
                sockets = shutil.ignore_patterns("*.sock")
                shutil.copytree(directory, Path(kept, name), ignore=sockets, dirs_exist_ok=True)
    print(json.dumps(asdict(outcome)), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
