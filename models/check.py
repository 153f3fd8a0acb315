"""Runs the models through the model checker spin, and prints one table.

``python -m models.check`` checks the right model to the end, has each broken one
refuted, and makes sure that what has to be possible is reached. The exit code is 1
when anything is otherwise. spin and a C compiler are needed: on Debian,
``apt install spin gcc``.
"""

from __future__ import annotations

import argparse
import enum
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
DEEPEST = 2_000_000  # steps of one path; a search that goes deeper is not complete
MEMORY = 2000  # MB
SECONDS = 600  # for one search, on a slow machine


class Outcome(enum.Enum):
    """What a search came to."""

    HOLDS = "holds"  # every reachable state was seen, none breaks an assertion
    BROKEN = "found"  # a path to a broken assertion
    OPEN = "not finished"  # out of depth, memory or time: says nothing


@dataclass(frozen=True, slots=True)
class Check:
    """One search, and what it must come to.

    :param model: file name without its ending.
    :param meaning: what is left out, or looked for, for people.
    :param defines: of the model, as in ``-D NAME``.
    """

    model: str
    meaning: str
    expected: Outcome
    defines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """What spin said.

    :ivar states: different ones.
    :ivar depth: of the longest path.
    :ivar seconds: of processor time, compiling left out.
    :ivar megabytes: of memory.
    """

    outcome: Outcome
    states: int
    depth: int
    seconds: float
    megabytes: float


# A smaller instance is enough to find something.
SMALL = ("LEASE=2", "CLAIMS=1")
TWO_CLAIMS = ("LEASE=2",)


def _without(rule: str, meaning: str, size: tuple[str, ...] = SMALL) -> Check:
    return Check("exclusive", meaning, Outcome.BROKEN, (rule, *size))


def _reaches(number: int, meaning: str) -> Check:
    return Check("exclusive", f"reaches: {meaning}", Outcome.BROKEN, (f"SEEK={number}", *SMALL))


RIGHT = (
    Check("exclusive", "all rules", Outcome.HOLDS),
    Check("withdrawal", "all rules, the other claimant alive", Outcome.HOLDS),
    Check("withdrawal", "all rules, the other claimant dead", Outcome.HOLDS, ("DEAD",)),
)
WITHOUT_A_RULE = (
    _without("NO_E1_DISK", "E1: a grant is not on disk when it is answered"),
    _without("NO_E1_NUMBER", "E1: a release frees whatever number is granted", TWO_CLAIMS),
    _without("NUMBERS_REUSED", "E1: a claimant uses a number again", TWO_CLAIMS),
    _without("NO_E2_SENDING", "E2: an answer is as old as its receipt"),
    _without("NO_E2_CURRENT", "E2: a voter answers yes after it gave the grant away"),
    _without("NO_E3_RECORD", "E3: a grant is free when its owner's record has no claim"),
    _without("NO_E3_DRIFT", "E3: a voter waits for the lease as it is, by a fast clock"),
    _without("NO_E4_WAIT", "E4: grants on disk do not count as answered at the start"),
    _without("NO_E4_SILENCE", "E4: a voter without its disk speaks at once"),
    _without("NO_E4_MARK", "E4: a second restart ends the silence"),
    _without("NO_E5_MARGIN", "E5: `down` starts when the lease ends"),
    _without("NO_E5_AGE", "E5: `alive` starts whatever the age of the answers"),
    _without("NO_E10", "E10: only the daemon acts at the deadline"),
    _without("QUORUM=1", "E9: the quorum is no majority"),
    Check("withdrawal", "E6: a claim without its quorum goes on", Outcome.BROKEN, ("NO_E6",)),
    Check("withdrawal", "E7: nobody asks the owner of a grant", Outcome.BROKEN, ("NO_E7",)),
)
REACHED = (
    _reaches(1, "an owner"),
    _reaches(2, "a renewal pushes the deadline on"),
    _reaches(3, "`down` at the deadline"),
    _reaches(4, "a takeover from an owner that released nothing"),
    _reaches(5, "a handoff from an owner by its release"),
    _reaches(6, "an owner after another, a voter restarted meanwhile"),
    _reaches(7, "an owner after another, a voter's disk lost meanwhile"),
)
ALL = (*RIGHT, *WITHOUT_A_RULE, *REACHED)


def missing() -> list[str]:
    """The tools that are needed and not there."""
    return [tool for tool in ("spin", "gcc") if shutil.which(tool) is None]


def run(check: Check) -> Result:
    """Have spin search all states of a model.

    :raises subprocess.CalledProcessError: the model or what spin made of it is no program.
    """
    with tempfile.TemporaryDirectory() as directory:
        shutil.copy(HERE / f"{check.model}.pml", directory)
        defines = [f"-D{define}" for define in check.defines]
        _call(directory, "spin", *defines, "-a", f"{check.model}.pml")
        _call(
            directory,
            *("gcc", "-w", "-O2", "-DSAFETY", "-DCOLLAPSE", f"-DMEMLIM={MEMORY}"),
            *("-o", "pan", "pan.c"),
        )
        before = _processor_time()
        try:
            printed = _call(directory, "./pan", f"-m{DEEPEST}", "-w22", timeout=SECONDS)
        except subprocess.TimeoutExpired:
            printed = ""
        return read(printed, _processor_time() - before)


def read(printed: str, seconds: float) -> Result:
    """What a search printed, in numbers; what is not there was not finished."""

    def number(pattern: str) -> float:
        found = re.search(pattern, printed, re.M)
        return float(found[1]) if found else 0.0

    cut_short = re.search("max search depth|not completed|out of memory|resource limit", printed)
    if re.search(r"^pan:\d+: assertion violated", printed, re.M):
        outcome = Outcome.BROKEN
    elif re.search(r"errors: 0$", printed, re.M) and not cut_short:
        outcome = Outcome.HOLDS
    else:
        outcome = Outcome.OPEN
    return Result(
        outcome,
        int(number(r"^\s*([\d.e+]+) states, stored")),
        int(number(r"depth reached (\d+)")),
        seconds,
        number(r"^\s*([\d.]+)\s+total actual memory usage"),
    )


def _call(directory: str, *argv: str, timeout: float | None = None) -> str:
    done = subprocess.run(
        argv, cwd=directory, check=True, capture_output=True, text=True, timeout=timeout
    )
    return done.stdout


def _processor_time() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def chosen(words: Sequence[str]) -> Iterator[Check]:
    """The checks with one of these words in what they are about; all of them without any."""
    for check in ALL:
        names = " ".join((check.model, check.meaning, *check.defines))
        if not words or any(word in names for word in words):
            yield check


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checks; 0 when each came out as it must."""
    parser = argparse.ArgumentParser(prog="python -m models.check", description=__doc__)
    parser.add_argument("word", nargs="*", help="only checks with one of these words")
    options = parser.parse_args(argv)
    lacking = missing()
    if lacking:
        print(f"needs {' and '.join(lacking)}: on Debian, apt install spin gcc", file=sys.stderr)
        return 2
    table = Table(box=None, pad_edge=False)
    for heading in ("model", "what is checked", "must be", "is"):
        table.add_column(heading, overflow="fold")
    for heading in ("states", "depth", "CPU s", "MB"):
        table.add_column(heading, justify="right")
    wrong = 0
    began = time.monotonic()
    for check in chosen(options.word):
        result = run(check)
        wrong += result.outcome is not check.expected
        table.add_row(
            check.model,
            check.meaning,
            check.expected.value,
            result.outcome.value,
            f"{result.states:,}",
            f"{result.depth:,}",
            f"{result.seconds:.1f}",
            f"{result.megabytes:,.0f}",
        )
    # Terminals fold, files need not.
    width = None if sys.stdout.isatty() else int(os.environ.get("COLUMNS", "140"))
    Console(width=width).print(table)
    print(f"{table.row_count} checks, {wrong} wrong, {time.monotonic() - began:.0f} s")
    return 1 if wrong or not table.row_count else 0


if __name__ == "__main__":
    sys.exit(main())
