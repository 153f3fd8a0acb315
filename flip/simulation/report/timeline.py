"""A run told as a story: who, what, when, a line for what many did alike."""

from __future__ import annotations

import enum
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from flip.membership.roster import State
from flip.simulation.report.recording import Life, Recording, Sharing, View
from flip.wire.standing import Standing

if TYPE_CHECKING:
    from flip.simulation.machine import Point

APART = 1.0  # seconds between two events that may still be told in one line
BRIEF = 0.1  # seconds for which two owners, or a view, are not worth a line
NAMED = 4  # names that a line lists
ALIKE = 5  # lines in a row that say the same of other nodes and data points


class Tone(enum.Enum):
    """What a line means to its reader."""

    FAULT = "fault"
    BAD = "bad"
    GOOD = "good"
    PLAIN = "plain"


class Verb(NamedTuple):
    """What one or several do, as ``{what}`` is put in."""

    one: str
    many: str
    tone: Tone = Tone.PLAIN


class Line(NamedTuple):
    """From when to when, and what."""

    begin: float
    end: float
    text: str
    tone: Tone

    @property
    def when(self) -> str:
        """The time, or the times, in seconds to the hundredth."""
        begin, end = f"{self.begin:.2f}", f"{self.end:.2f}"
        return f"{begin} s" if begin == end else f"{begin}-{end} s"

    def as_json(self) -> dict[str, Any]:
        """For scripts."""
        times = {"begin": round(self.begin, 6), "end": round(self.end, 6)}
        return times | {"text": self.text, "tone": self.tone.value}


STARTS = Verb("starts", "start")
LEFT = Verb("has left", "have left")
ENDS = Verb("ends by itself", "end by themselves", Tone.BAD)
TOUCH = Verb("reaches a quorum", "reach a quorum", Tone.GOOD)
NO_TOUCH = Verb("reaches no quorum", "reach no quorum", Tone.BAD)
SEES = {
    State.PROBABLY_DOWN: Verb("suspects {what}", "suspect {what}"),
    State.DOWN: Verb("sees {what} down", "see {what} down", Tone.BAD),
    State.LEFT: Verb("sees that {what} left", "see that {what} left"),
    State.ALIVE: Verb("sees {what} alive again", "see {what} alive again", Tone.GOOD),
}
HOLDS = Verb("holds {what}", "hold {what}", Tone.GOOD)
LETS_GO = Verb("lets go of {what}", "let go of {what}")
LINK_DOWN = Verb("loses the link of {what}", "lose the link of {what}", Tone.BAD)
LINK_UP = Verb("has the link of {what} again", "have the link of {what} again", Tone.GOOD)
LAPSES = Verb("lets {what} lapse in the kernel", "let {what} lapse in the kernel")
SAYS = {
    Standing.FIT: Verb("can serve {what} again", "can serve {what} again", Tone.GOOD),
    Standing.RETURNED: Verb("is back and waits: {what}", "are back and wait: {what}"),
    Standing.DRAINED: Verb("is drained: {what}", "are drained: {what}"),
    Standing.FAILING: Verb("gives up: {what}", "give up: {what}", Tone.BAD),
    Standing.UNFIT: Verb("is not fit: {what}", "are not fit: {what}", Tone.BAD),
    Standing.UNKNOWN: Verb("has not been checked yet: {what}", "have not been checked yet: {what}"),
}
FAILS = {
    "alive": Verb("cannot take {what}: alive fails", "cannot take {what}: alive fails", Tone.BAD),
    "down": Verb("cannot drop {what}: down fails", "cannot drop {what}: down fails", Tone.BAD),
}
SHARED = {
    Sharing.TOGETHER: Verb(
        "has two owners that reach each other: {what}",
        "have two owners that reach each other: {what}",
        Tone.BAD,
    ),
    Sharing.APART: Verb(
        "has two owners that cannot hear each other: {what}",
        "have two owners that cannot hear each other: {what}",
        Tone.BAD,
    ),
    Sharing.LEFTOVER: Verb(
        "is also still live where its node was killed: {what}",
        "are also still live where their node was killed: {what}",
    ),
}


@dataclass(frozen=True)
class _Event:
    """Some did something with something; `era` counts the faults before.

    Names are kept in the order in which they came, each once.
    """

    begin: float
    end: float
    era: int
    who: tuple[str, ...]
    verb: Verb
    what: tuple[str, ...]
    is_summary: bool = False  # not everybody with everything

    def joined(self, other: _Event) -> _Event:
        """Both as one."""
        return _Event(
            min(self.begin, other.begin),
            max(self.end, other.end),
            self.era,
            tuple(dict.fromkeys(self.who + other.who)),
            self.verb,
            tuple(dict.fromkeys(self.what + other.what)),
        )


def timeline(recording: Recording) -> list[Line]:
    """The whole run, in the order in which things began."""
    starts = sorted(mark.at for mark in recording.faults)
    naming = _Naming(recording)
    events = [
        _Event(at, at, sum(start <= at for start in starts), (who,), verb, what)
        for at, who, verb, what in sorted(_events(recording, naming), key=lambda event: event[0])
    ]
    events = _fold(events, lambda event: (event.verb, event.what))
    events = _fold(events, lambda event: (event.verb, event.who))
    events = _fold_long(events)
    lines = [
        Line(event.begin, event.end, naming.sentence(event), event.verb.tone) for event in events
    ]
    lines += [
        Line(mark.at, mark.at, f"{'FAULT' if mark.began else 'END OF'} {mark.what}", Tone.FAULT)
        for mark in recording.faults
    ]
    return sorted(lines, key=lambda line: (line.begin, line.tone is not Tone.FAULT))


_Told = tuple[float, str, Verb, tuple[str, ...]]


def _events(recording: Recording, naming: _Naming) -> Iterator[_Told]:
    for view in _lasting(recording.views):
        if view.by != view.member:
            yield view.at, view.by, SEES[view.after], (view.member,)
    yield from _of_processes(recording)
    for (id, point), live in recording.live.items():
        for at, is_live in live.changes[1:]:
            if is_live:
                yield at, id, HOLDS, (naming.point(point),)
    for (id, point), served in recording.served.items():
        for at, serves in served.changes[1:]:
            if not serves:
                yield at, id, LETS_GO, (naming.point(point),)
    for run in recording.hooks:
        if run.good is False:
            yield run.at, run.id, FAILS[run.event], (naming.point(run.point),)
    for mark in recording.links:
        yield mark.at, mark.id, LINK_UP if mark.up else LINK_DOWN, (mark.interface,)
    for lapse in recording.lapses:
        yield lapse.at, lapse.id, LAPSES, (naming.point(lapse.point),)
    for word in recording.words:
        yield word.at, word.id, SAYS[word.standing], (word.system,)
    for point, sharing in recording.sharing.items():
        for interval, how in sharing.spans(recording.end):
            if how is not Sharing.NONE and interval.length >= BRIEF:
                owners = recording.owners(point, interval.begin)
                yield interval.begin, naming.point(point), SHARED[how], tuple(owners)


def _lasting(views: Iterable[View]) -> Iterator[View]:
    """Views without those that were taken back at once, which only make a story long."""
    by_pair: dict[tuple[str, str], list[View]] = {}
    for view in views:
        told = by_pair.setdefault((view.by, view.member), [])
        if told and view.after is told[-1].before and view.at - told[-1].at < BRIEF:
            told.pop()
        else:
            told.append(view)
    for told in by_pair.values():
        yield from told


def _of_processes(recording: Recording) -> Iterator[_Told]:
    killed = {mark.at for mark in recording.faults if mark.began}
    for id, series in recording.life.items():
        before = Life.STOPPED
        for at, life in series.changes[1:]:
            if before is Life.STOPPED:
                yield at, id, STARTS, ()
            elif before is Life.LEAVING and life is Life.STOPPED and at not in killed:
                yield at, id, LEFT, ()
            elif life is Life.STOPPED and at not in killed:
                yield at, id, ENDS, ()
            before = life
    for id, series_of_touch in recording.touch.items():
        for at, in_touch in series_of_touch.changes[1:]:
            if recording.life[id].at(at) is not Life.STOPPED:
                yield at, id, TOUCH if in_touch else NO_TOUCH, ()


def _fold(events: Iterable[_Event], key: Callable[[_Event], Hashable]) -> list[_Event]:
    """Join events with the same key, unless a fault or too much time is between them."""
    open_: dict[Hashable, int] = {}
    folded: list[_Event] = []
    for event in events:
        at = open_.get((event.era, key(event)))
        if at is not None and event.begin - folded[at].end <= APART:
            folded[at] = folded[at].joined(event)
        else:
            open_[event.era, key(event)] = len(folded)
            folded.append(event)
    return folded


def _fold_long(events: Sequence[_Event]) -> list[_Event]:
    """Join what would still be many lines that say the same of other names."""
    by_verb = _fold(events, lambda event: event.verb)
    folded: list[_Event] = []
    for whole in by_verb:
        parts = [
            event
            for event in events
            if event.verb is whole.verb
            and event.era == whole.era
            and whole.begin <= event.begin <= whole.end
        ]
        folded += [replace(whole, is_summary=True)] if len(parts) > ALIKE else parts
    return folded


class _Naming:
    """How nodes and data points are named in the lines about one cluster."""

    def __init__(self, recording: Recording) -> None:
        self._servers = set(recording.config.servers)
        systems = recording.config.systems
        self._is_single = len(systems) == 1
        self._points = {
            self.point((name, datum)) for name, system in systems.items() for datum in system.data
        }

    def point(self, point: Point) -> str:
        """A data point, with its system where there are several."""
        system, datum = point
        return datum if self._is_single else f"{system} {datum}"

    def sentence(self, event: _Event) -> str:
        """Who did what."""
        verb = event.verb.one if len(event.who) == 1 else event.verb.many
        who = self._names(event.who, others=event.what)
        what = self._names(event.what, others=event.who) if event.what else ""
        if event.is_summary and event.verb in SEES.values():
            what = f"some of {what}"
        return f"{who} {verb}".replace("{what}", what)

    def _names(self, names: Sequence[str], others: Sequence[str]) -> str:
        if len(names) <= NAMED:
            return ", ".join(names)
        if set(names) <= self._servers:
            if set(names) == self._servers:
                return f"all {len(names)} nodes"
            if set(names) == self._servers - set(others):
                return f"all {len(names)} others"
            return f"{len(names)} nodes"
        if set(names) == self._points:
            return f"all {len(names)} data points"
        return f"{len(names)} data points"
