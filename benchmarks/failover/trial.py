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

from benchmarks.failover.contest import PROGRAMS
from benchmarks.failover.ending import end_in_order
from benchmarks.failover.faults import FAULTS
from benchmarks.failover.lab import MEGABYTE, Lab, rates
from benchmarks.failover.measures import Outcome, Window, measure, within

READY = "ready"
IDLE = 4.0  # seconds of which CPU and traffic are counted before the fault
SAMPLE = 10  # addresses that are probed at every tick, unless the fault asks for all
FEW = 100  # addresses; of more not even such a fault can have all
SLOWER, MUCH_SLOWER = 4, 10  # every how many ticks the others are


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
    few = trial.addresses <= FEW
    sample = FEW if fault.fine and few else SAMPLE
    slower = SLOWER if few else MUCH_SLOWER
    chance = random.Random(repr(trial))
    with Lab(
        PROGRAMS[trial.program].make, directory, trial.addresses, sample=sample, slower=slower
    ) as lab:
        lab.start()
        target = _only(lab.owners()[lab.addresses[0]])
        concerned = [one for one, nodes in lab.owners().items() if nodes == {target}]
        counted, used = lab.network.traffic(), lab.usage()
        time.sleep(IDLE)
        sent = [
            (packets - p, octets - o)
            for (p, o), (packets, octets) in zip(counted, lab.network.traffic(), strict=True)
        ]
        rested = lab.usage()
        fault.before(lab, target)
        time.sleep(chance.random())  # the moment within an interval
        if fault.loops:
            _synchronise(READY)
        owners, begin, used_then = lab.owners(), time.monotonic(), lab.usage()
        dead = dict(lab.died)
        fault.begin(lab, target)
        over = begin
        if fault.loops:
            _synchronise()
        elif fault.seconds is not None:
            time.sleep(max(0.0, begin + fault.seconds - time.monotonic()))
        spared = [node for node in range(len(sent)) if node != target]
        if fault.seconds is not None:
            busy = rates(used_then, lab.usage(), time.monotonic() - begin)
            over = time.monotonic()
            fault.end(lab, target)
        lab.calm(fault.least, fault.most)
        if fault.seconds is None:
            busy = rates(used_then, lab.usage(), time.monotonic() - begin)
        window = Window(begin, over, time.monotonic())
        silences = lab.finish()
        gone = {node: at for node, at in lab.died.items() if node not in dead}
        outcome = measure(
            window,
            within(lab.events, window, gone, owners),
            silences,
            owners,
            concerned,
            len(concerned) if fault.demands else 0,
        )
        nodes = len(sent)
        outcome.idle = sum(rates(used, rested, IDLE)) / nodes
        outcome.busy = sum(busy[node] for node in spared) / len(spared)
        outcome.rss = sum(one.rss for one in rested) / nodes / MEGABYTE
        outcome.packets = sum(packets for packets, _ in sent) / nodes / IDLE
        outcome.octets = sum(octets for _, octets in sent) / nodes / IDLE
        outcome.blurred = lab.blurred(window.begin, window.end)
        outcome.load = os.getloadavg()[0]
        return outcome


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
    with tempfile.TemporaryDirectory(prefix="flip-lab-") as directory:
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
