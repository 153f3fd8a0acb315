"""Many trials on all cores, each result kept in a file as soon as it is there."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from time import monotonic

from benchmarks.lifeguard.experiment import Outcome, Trial, perform

RESULTS = "trials.jsonl"
Result = tuple[Trial, Outcome]


class Results:
    """What is known already: one line of JSON per trial.

    :param directory: where the file is; None keeps nothing.
    """

    def __init__(self, directory: Path | None) -> None:
        self._path = None
        self._known: dict[Trial, Outcome] = {}
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)
            self._path = directory / RESULTS
            if self._path.exists():
                for line in self._path.read_text().splitlines():
                    entry = json.loads(line)
                    self._known[Trial(**entry["trial"])] = Outcome(**entry["outcome"])

    def add(self, trial: Trial, outcome: Outcome) -> None:
        """Keep one more."""
        self._known[trial] = outcome
        if self._path is not None:
            entry = {"trial": asdict(trial), "outcome": asdict(outcome)}
            with self._path.open("a") as file:
                file.write(json.dumps(entry) + "\n")

    def missing(self, trials: Iterable[Trial]) -> list[Trial]:
        """Those of which nothing is known yet."""
        return [trial for trial in trials if trial not in self._known]

    def of(self, trials: Iterable[Trial]) -> Iterator[Result]:
        """What is known of these."""
        for trial in trials:
            if trial in self._known:
                yield trial, self._known[trial]


def run(trials: Sequence[Trial], results: Results, workers: int) -> None:
    """Perform what is missing, the longest first, and say on stderr how far it has come."""
    missing = sorted(results.missing(trials), key=_cost, reverse=True)
    if not missing:
        return
    began = monotonic()
    # A process per trial: the next one starts with memory that nobody has used yet.
    with get_context("spawn").Pool(workers, maxtasksperchild=1) as pool:
        for done, (trial, outcome) in enumerate(pool.imap_unordered(_perform, missing), 1):
            results.add(trial, outcome)
            _show(done, len(missing), monotonic() - began, trial, outcome)
    print(file=sys.stderr)


def _perform(trial: Trial) -> Result:
    return trial, perform(trial)


def _cost(trial: Trial) -> tuple[bool, bool, int, float]:
    """What takes long: flip's own nodes, many deaths."""
    return "flip" in trial.detector, trial.interval is not None, trial.stopped, trial.duration or 0


def _show(done: int, count: int, seconds: float, trial: Trial, outcome: Outcome) -> None:
    line = f"{done}/{count} trials, {seconds:.0f} s; last: {trial.detector} C={trial.stopped}"
    line += f" in {outcome.took:.0f} s"
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)
    else:
        print(line, file=sys.stderr, flush=True)


def trials(
    detectors: Collection[str],
    stopped: Collection[int],
    shapes: Collection[tuple[float | None, float | None, bool]],
    seeds: Collection[int],
) -> list[Trial]:
    """The product of it all.

    :param shapes: durations and intervals, and whether a stop blocks only messages.
    """
    return [
        Trial(detector, count, duration, interval, seed, blocked)
        for count in stopped
        for duration, interval, blocked in shapes
        for seed in seeds
        for detector in detectors
        # A flip node has one thread: blocked in one message, it stands still.
        if blocked or "flip" not in detector
    ]
