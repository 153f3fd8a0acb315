"""A cluster with an exclusive system, and what its hooks wrote down about who held what."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from flip.demo.story import IDS, SYSTEM
from tests.end_to_end.processes import FAST, LOOPBACK, Cluster, NotInTime

HOOK_TIMEOUT = 300  # milliseconds
DATA = ("a", "b", "c")
# One clock for all processes of this host, and one write for each line.
CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
HOOK = """\
#!{python} -IS
import os, sys, time
event, node, datum = os.environ["FLIP_EVENT"], os.environ["FLIP_NODE"], sys.argv[1]
log = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def note(what):
    line = f"{{time.clock_gettime_ns({clock})}} {{node}} {{event}} {{datum}} {{what}}\\n"
    os.write(log, line.encode())
note("begin")
try:
    time.sleep(float(open({delays!r} + f"-{{event}}-{{node}}").read()))
except FileNotFoundError:
    pass
note("end")
"""


def now() -> int:
    """Nanoseconds of the clock that the hooks use."""
    return time.clock_gettime_ns(CLOCK)


class Line(NamedTuple):
    """What a hook wrote down: it began, or it ends well now; `at` in nanoseconds."""

    at: int
    node: str
    event: str
    datum: str
    what: str


class Span(NamedTuple):
    """A time in which a node held a data point: from the first of `alive` to the end of `down`."""

    began: float
    ended: float
    node: str
    datum: str


def spans(lines: Sequence[Line]) -> list[Span]:
    """Who held what and when, in nanoseconds; longer than it was, never shorter."""
    found: list[Span] = []
    began: dict[tuple[str, str], int] = {}
    for line in sorted(lines):
        held = line.node, line.datum
        if (line.event, line.what) == ("alive", "begin"):
            began.setdefault(held, line.at)
        elif (line.event, line.what) == ("down", "end") and held in began:
            found.append(Span(began.pop(held), line.at, *held))
    found += [Span(at, float("inf"), *held) for held, at in began.items()]
    return sorted(found)


def overlaps(found: Sequence[Span]) -> list[str]:
    """Every pair of nodes that held the same data point at the same time, in words."""
    return [
        f"{one.datum}: {one.node} until {one.ended / 1e9:.3f},"
        f" {two.node} from {two.began / 1e9:.3f}"
        for one, two in itertools.combinations(found, 2)
        if one.datum == two.datum
        and one.node != two.node
        and max(one.began, two.began) < min(one.ended, two.ended)
    ]


class ExclusiveCluster(Cluster):
    """Three nodes that all serve the data points a, b and c of an exclusive system."""

    def __init__(self, host: str = LOOPBACK, **settings: Any) -> None:
        super().__init__(host, **FAST | settings)
        self.log = self.root / "lines"
        for server in self.servers.values():
            server["systems"] = [SYSTEM]
        hook = self.root / "hooks" / "recorded"
        hook.write_text(
            HOOK.format(
                python=sys.executable,
                log=str(self.log),
                clock=int(CLOCK),
                delays=str(self.root / "delay"),
            )
        )
        hook.chmod(0o700)
        self.system.update(
            alive=str(hook),
            down=str(hook),
            exclusive=True,
            hook_timeout=HOOK_TIMEOUT,
            data=list(DATA),
            config={},
        )

    @property
    def lease(self) -> float:
        """Seconds."""
        return 2 * (float(self.configuration["ping_timeout"]) + HOOK_TIMEOUT) / 1000

    def lines(self) -> list[Line]:
        """What the hooks have written down so far."""
        with suppress(FileNotFoundError):
            words = (line.split() for line in self.log.read_text().splitlines())
            return [Line(int(at), *rest) for at, *rest in words]
        return []

    def spans(self) -> list[Span]:
        return spans(self.lines())

    def holders(self) -> dict[str, set[str]]:
        """Who holds each data point now, by the hooks."""
        held: dict[str, set[str]] = {datum: set() for datum in DATA}
        for span in self.spans():
            if span.ended == float("inf"):
                held[span.datum].add(span.node)
        return held

    def served(self) -> bool:
        """Whether each data point has a node whose `alive` hook has ended."""
        done = {
            (line.node, line.datum)
            for line in self.lines()
            if (line.event, line.what) == ("alive", "end")
        }
        return all(
            len(ids) == 1 and (next(iter(ids)), datum) in done
            for datum, ids in self.holders().items()
        )

    def await_served(self, limit: float = 20, *, without: str | None = None) -> None:
        """Wait until every data point is held by one node, and none by `without`."""
        self.wait(
            lambda: self.served() and not any(without in ids for ids in self.holders().values()),
            limit,
            lambda: f"one holder each, but {self.holders()}",
        )

    def await_home(self, limit: float = 30) -> None:
        """Wait until each node holds one data point."""
        self.wait(
            lambda: self.served() and set().union(*self.holders().values()) == set(IDS),
            limit,
            lambda: f"one each, but {self.holders()}",
        )

    def held_by(self, id: str) -> str:
        """The data point that a node holds."""
        (datum,) = (datum for datum, ids in self.holders().items() if id in ids)
        return datum

    def wrote(self, since: int, node: str, event: str, what: str) -> list[Line]:
        """What a node's hooks of one kind have written since then."""
        return [
            line
            for line in sorted(self.lines())
            if line.at > since and (line.node, line.event, line.what) == (node, event, what)
        ]

    def first(self, since: int, *, node: str | None, event: str, datum: str, what: str) -> float:
        """Seconds from `since` until a hook wrote this; `node` None means another than its holder.

        :raises NotInTime: it has not.
        """
        for line in sorted(self.lines()):
            right = node is None or line.node == node
            if line.at > since and right and line[2:] == (event, datum, what):
                return (line.at - since) / 1e9
        raise NotInTime(f"no {event} {datum} {what} of {node} since {since}: {self.lines()}")

    def delay(self, event: str, id: str, seconds: float) -> None:
        """Let a node's hooks of one kind take longer from now on; 0 is as before."""
        path = self.root / f"delay-{event}-{id}"
        if seconds:
            path.write_text(str(seconds))
        else:
            path.unlink()

    def guards(self, id: str | None = None) -> list[int]:
        """The process ids of the guards that run, of one node or of all."""
        return [
            pid
            for pid, words in _processes()
            if len(words) in (5, 6)
            and words[2].endswith("/guard")
            and words[4].startswith(f"{self.root}/")
            and id in (None, words[3])
        ]

    def guard(self, id: str) -> int:
        """The process id of a node's guard."""
        (pid,) = self.guards(id)
        return pid

    def close(self) -> None:
        for node in self.nodes.values():
            node.close()
        # They let go now; hooks that hang keep them, and what they run would be removed.
        deadline = time.monotonic() + 3
        while (left := self.guards()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().close()


def _processes() -> Iterator[tuple[int, list[str]]]:
    """All processes of this host, and their command lines."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().split(b"\0")[:-1]
                yield int(entry.name), [os.fsdecode(word) for word in words]


def numbers(**values: float | int | str) -> str:
    """Measured values as one line of JSON, times in seconds."""
    rounded = {name: round(v, 3) if isinstance(v, float) else v for name, v in values.items()}
    return json.dumps(rounded)
