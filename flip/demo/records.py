"""What the hooks wrote down: which of them ran where and when, and what follows from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class HookRun(NamedTuple):
    """One run of a hook, by its own clock; times in nanoseconds of the wall clock."""

    node: str
    event: str
    datum: str
    began: int
    ended: int


class Handoff(NamedTuple):
    """A data point that one node let go of and another took; `gap` in seconds."""

    datum: str
    source: str
    target: str
    gap: float


def parse(node: str, record: str) -> list[HookRun]:
    """The runs in a node's record, one a line: event, datum, began, ended.

    :raises ValueError: a line is something else.
    """
    runs = []
    for line in record.splitlines():
        event, datum, began, ended = line.split()
        runs.append(HookRun(node, event, datum, int(began), int(ended)))
    return runs


def handoffs(runs: Iterable[HookRun], since: int) -> list[Handoff]:
    """Where a holder's `down` was followed by another node's `alive`, in the order of time.

    :param since: only those that were completed after this, in nanoseconds.
    """
    found = []
    holders: dict[str, str] = {}
    released: dict[str, HookRun] = {}
    for run in sorted(runs, key=lambda run: run.ended):
        if run.event == "alive":
            before = released.pop(run.datum, None)
            if before is not None and before.node != run.node and run.ended > since:
                gap = (run.ended - before.ended) / 1e9
                found.append(Handoff(run.datum, before.node, run.node, gap))
            holders[run.datum] = run.node
        elif holders.get(run.datum) == run.node:
            # Others run `down` too, to clean up what they do not hold.
            released[run.datum] = run
    return found


def overlaps(runs: Sequence[HookRun], deaths: Mapping[str, Sequence[int]]) -> list[str]:
    """Every data point that two nodes held at once, in words.

    A node counts as the holder from the first moment of its `alive` hook to the
    last of its `down` hook: longer than it was, never shorter.

    :param deaths: when nodes were killed, in nanoseconds: what a killed node
        leaves behind does not count, as nobody answers for it any more.
    """
    found = []
    holders: dict[str, dict[str, int]] = {}
    steps: list[tuple[int, str, str, str]] = [
        (run.began, "alive", run.node, run.datum)
        if run.event == "alive"
        else (run.ended, "down", run.node, run.datum)
        for run in runs
    ]
    steps += [(at, "death", node, "") for node, times in deaths.items() for at in times]
    # At one and the same moment, what ends comes before what begins.
    for at, event, node, datum in sorted(steps, key=lambda step: (step[0], step[1] == "alive")):
        if event == "death":
            for held in holders.values():
                held.pop(node, None)
        elif event == "down":
            holders.get(datum, {}).pop(node, None)
        else:
            held = holders.setdefault(datum, {})
            others = [f"{other} for {(at - since) / 1e6:.1f} ms" for other, since in held.items()]
            if node not in held and others:
                found.append(f"{node} took {datum}, then held by {' and '.join(others)}")
            held.setdefault(node, at)
    return found
