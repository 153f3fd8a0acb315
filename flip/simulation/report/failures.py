"""Who saw which failure when, and who saw one that was none."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Mapping, Sequence
from heapq import merge
from typing import NamedTuple

from flip.membership.roster import State
from flip.simulation.report.answers import Failure
from flip.simulation.report.recording import Life, Recording, View
from flip.simulation.report.series import Series

GONE = (State.DOWN, State.LEFT)
HOW = {
    Life.STOPPED: "killed",
    Life.LEAVING: "left",
    Life.FROZEN: "frozen",
    Life.RUNNING: "cut off",
}


class Opinion(enum.IntEnum):
    """What the sound nodes think of another, in one word."""

    ALIVE = 0
    SUSPECTED = 1
    DOWN_AT_SOME = 2
    DOWN_AT_ALL = 3


class Detection(NamedTuple):
    """What came of all views of one run.

    :ivar opinions: per node, what the others thought of it and when.
    """

    failures: list[Failure]
    false_downs: int
    false_suspicions: int
    opinions: Mapping[str, Series[Opinion]]


def detect(recording: Recording) -> Detection:
    """Go through a run once more and compare what nodes saw with what was so."""
    replay = _Replay(recording)
    replay.run()
    return Detection(replay.failures, replay.false_downs, replay.false_suspicions, replay.opinions)


class _Replay:
    """The views of all nodes at one moment, and the failures up to then."""

    def __init__(self, recording: Recording) -> None:
        self.failures: list[Failure] = []
        self.false_downs = 0
        self.false_suspicions = 0
        self.opinions = {id: Series(Opinion.ALIVE) for id in recording.config.servers}
        self._recording = recording
        self._sound: frozenset[str] = frozenset()
        self._seen: defaultdict[str, dict[str, State]] = defaultdict(dict)  # by member, by node
        self._open: dict[str, Failure] = {}
        self._returning: dict[str, Failure] = {}

    def run(self) -> None:
        """Let everything happen again, in order."""
        recording = self._recording
        ends = (
            (at, 0, id, None)
            for id, series in recording.life.items()
            for at, life in series.changes
            if life is Life.STOPPED
        )
        turns = ((at, 1, "", sound) for at, sound in recording.sound.changes)
        views = ((view.at, 2, "", view) for view in recording.views)
        for at, _, id, what in merge(sorted(ends), turns, views, key=lambda entry: entry[:2]):
            if isinstance(what, View):
                self._see(what)
            elif what is None:
                self._forget(id)
            else:
                self._turn(at, what)

    def _forget(self, id: str) -> None:
        """What a process knew is gone with it."""
        for seen in self._seen.values():
            seen.pop(id, None)

    def _turn(self, at: float, sound: frozenset[str]) -> None:
        before, self._sound = self._sound, sound
        for id in sorted(before - sound):
            self._returning.pop(id, None)
            if sound:  # else nobody is left whose word counts
                failure = Failure(id, at, HOW[self._recording.life[id].at(at)])
                self._open[id] = failure
                self.failures.append(failure)
        for id in sorted(sound - before):
            failed = self._open.pop(id, None)
            if failed is not None:
                failed.lasted = at - failed.at
                self._returning[id] = failed
        for id in sorted(self._seen.keys() | self._open.keys() | self._returning.keys()):
            self._look(at, id)

    def _see(self, view: View) -> None:
        self._seen[view.member][view.by] = view.after
        if view.by in self._sound and view.member in self._sound and view.by != view.member:
            self.false_downs += view.after is State.DOWN
            self.false_suspicions += view.after is State.PROBABLY_DOWN
        self._look(view.at, view.member)

    def _look(self, at: float, id: str) -> None:
        """Note what the sound nodes have come to see of a member."""
        seen = self._seen[id]
        states = [seen.get(by, State.ALIVE) for by in self._sound if by != id]
        self.opinions[id].set(at, _opinion(states))
        failure = self._open.get(id)
        if failure is not None and states:
            after = at - failure.at
            if failure.suspected is None and any(state is not State.ALIVE for state in states):
                failure.suspected = after
            if failure.down is None and any(state in GONE for state in states):
                failure.down = after
            if failure.down_everywhere is None and all(state in GONE for state in states):
                failure.down_everywhere = after
        returned = self._returning.get(id)
        if returned is not None and all(state is State.ALIVE for state in states):
            assert returned.lasted is not None
            returned.back = at - returned.at - returned.lasted
            del self._returning[id]


def _opinion(states: Sequence[State]) -> Opinion:
    gone = sum(state in GONE for state in states)
    if gone:
        return Opinion.DOWN_AT_ALL if gone == len(states) else Opinion.DOWN_AT_SOME
    return Opinion.SUSPECTED if State.PROBABLY_DOWN in states else Opinion.ALIVE
