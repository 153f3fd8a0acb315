"""From what was seen on the nodes and at the client to the numbers of one trial; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import NamedTuple

Silence = tuple[float, float | None]


class Event(NamedTuple):
    """An address came to a node (`present`) or went from it; `at` in seconds."""

    at: float
    node: int
    address: str
    present: bool


@dataclass
class Holders:
    """Which nodes have which address.

    :ivar dead: nodes that are off: what their kernels still have serves nobody.
    """

    dead: set[int] = field(default_factory=set)
    _nodes: dict[str, set[int]] = field(default_factory=dict)

    def see(self, event: Event) -> None:
        """Learn of an event."""
        nodes = self._nodes.setdefault(event.address, set())
        (nodes.add if event.present else nodes.discard)(event.node)

    def of(self, address: str) -> set[int]:
        """The nodes that serve an address."""
        return self._nodes.get(address, set()) - self.dead

    def has(self, node: int, address: str) -> bool:
        """Whether a node, living or not, has an address."""
        return node in self._nodes.get(address, set())


class Owned(NamedTuple):
    """Seconds with two owners and with none, and by whom it was served at the end."""

    two: float
    none: float
    owners: int


def owned(events: Iterable[Event], holders: Collection[int], begin: float, end: float) -> Owned:
    """How long one address had two owners, and how long none.

    :param events: of this address, on living nodes, in order.
    :param holders: the living nodes that have it at `begin`.
    """
    nodes, two, none, since = set(holders), 0.0, 0.0, begin
    for event in [*events, Event(end, -1, "", False)]:
        if len(nodes) > 1:
            two += event.at - since
        elif not nodes:
            none += event.at - since
        since = event.at
        (nodes.add if event.present else nodes.discard)(event.node)
    return Owned(two, none, len(nodes))


def gap(silences: Iterable[Silence], begin: float, end: float) -> float:
    """The longest silence in [begin, end], in seconds; one that began before counts from begin."""
    return max(
        (
            (end if heard is None else min(heard, end)) - max(fell, begin)
            for fell, heard in silences
            if heard is None or heard > begin
        ),
        default=0.0,
    )


@dataclass
class Spread:
    """One measure of several addresses: the median and the worst of them."""

    median: float
    worst: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """That of some values; of none, 0."""
        return cls(median(values), max(values)) if values else cls(0.0, 0.0)


@dataclass
class Costs:
    """What a program takes, and how good the measurement was.

    :ivar idle: percent of a core per node, before the fault.
    :ivar busy: the same during it, on the nodes that it spares.
    :ivar rss: MB per node.
    :ivar packets: sent by each node per second, before the fault.
    :ivar octets: likewise.
    :ivar blurred: the longest time without a probe, because the prober got no CPU; 0: none.
    :ivar load: of the machine, at the end.
    """

    idle: float = 0.0
    busy: float = 0.0
    rss: float = 0.0
    packets: float = 0.0
    octets: float = 0.0
    blurred: float = 0.0
    load: float = 0.0


@dataclass
class Outcome:
    """What one trial has shown; times in seconds.

    :ivar gap: the longest silence of each address that the fault concerns.
    :ivar gap_after: the same after the fault was over.
    :ivar others: the same of all other addresses, during it all.
    :ivar two: for how long each had two owners.
    :ivar none: for how long each had none.
    :ivar two_at_end: how many had two when the measurement ended.
    :ivar dark_at_end: how many did not answer then.
    :ivar moves: how often an address came to a node.
    :ivar needless: moves that the fault does not call for.
    :ivar measured: for how long.
    :ivar costs: what it took.
    """

    gap: Spread
    gap_after: Spread
    others: float
    two: Spread
    none: Spread
    two_at_end: int
    dark_at_end: int
    moves: int
    needless: int
    measured: float
    costs: Costs = field(default_factory=Costs)


@dataclass(frozen=True)
class Window:
    """The time that counts.

    :ivar begin: of the fault.
    :ivar over: its end; `begin` for one that lasts.
    :ivar end: of the measurement.
    """

    begin: float
    over: float
    end: float


def measure(
    window: Window,
    events: Sequence[Event],
    silences: Mapping[str, Sequence[Silence]],
    owners: Mapping[str, Collection[int]],
    concerned: Collection[str],
    demanded: int,
) -> Outcome:
    """The outcome of a trial, without its costs.

    :param events: within the window, on living nodes.
    :param owners: of all addresses, when it began.
    :param concerned: the addresses whose owner the fault strikes.
    :param demanded: the moves that the fault calls for.
    """
    of: dict[str, list[Event]] = {address: [] for address in owners}
    for event in sorted(events):
        of[event.address].append(event)
    times = {
        address: owned(of[address], owners[address], window.begin, window.end) for address in owners
    }
    during = {address: gap(silences[address], window.begin, window.end) for address in owners}
    moves = sum(event.present for event in events)
    return Outcome(
        gap=Spread.of([during[address] for address in concerned]),
        gap_after=Spread.of(
            [gap(silences[address], window.over, window.end) for address in concerned]
        ),
        others=max((during[address] for address in owners if address not in concerned), default=0),
        two=Spread.of([times[address].two for address in concerned]),
        none=Spread.of([times[address].none for address in concerned]),
        two_at_end=sum(one.owners > 1 for one in times.values()),
        dark_at_end=sum(heard is None for address in owners for _, heard in silences[address][-1:]),
        moves=moves,
        needless=max(0, moves - demanded),
        measured=window.end - window.begin,
    )


def within(
    events: Iterable[Event],
    window: Window,
    died: Mapping[int, float],
    owners: Mapping[str, Collection[int]],
) -> list[Event]:
    """The events that count: those in the window, and on a node that goes off, its end.

    :param died: when nodes went off, within the window; what their kernels do then is no event.
    :param owners: of all addresses, when the window began.
    """
    counted = [
        event
        for event in events
        if window.begin <= event.at <= window.end and event.at < died.get(event.node, event.at + 1)
    ]
    return counted + [
        Event(at, node, address, False)
        for node, at in died.items()
        for address, nodes in owners.items()
        if node in nodes
    ]


def stood_still(outcome: Outcome) -> float:
    """Seconds for which the host itself stood still during a trial, as far as it shows.

    Then the prober got no CPU, in spite of its priority; or addresses that no fault concerns,
    and that nobody moved, were silent all the same: the network stood still.
    """
    return max(outcome.costs.blurred, 0.0 if outcome.needless else outcome.others)
