"""How many machines serve the same data point, and for how long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

from flip.membership.probe import TRIES
from flip.membership.roster import State
from flip.simulation.invariants.claims import STRETCH
from flip.simulation.invariants.invariant import Invariant
from flip.simulation.invariants.truth import CALLS, Truth
from flip.simulation.observer import Observer
from flip.simulation.placement import provided
from flip.wire.claims import Phase

if TYPE_CHECKING:
    from flip.holdings.runner import HookCall
    from flip.simulation.machine import Machine, Point
    from flip.simulation.world import World

# One and two serve a point.
_Pair = tuple["Point", str, str]


class Overlaps(Invariant):
    """Invariant 5: two that know of each other do not both hold a data point for long.

    Two running machines that reach each other both serve a shard's data point for at
    most one round trip plus one `down` hook (the longest that a well-behaved hook
    takes here, times the rounds that `hook_concurrency` makes of all hooks that
    one machine may have to run), plus the system's `delay`, plus what a slow machine needs
    for the calls that waited when it came to know, and a few more, counted from the
    moment from which, without a break, both may act (R1: in touch and settled),
    both count each other as present and reach each other by their own last probes (a
    word that comes without an answer may be a late one of somebody who has died since,
    M6: a cut that heals has been noticed with the next round of probes), and each knows
    the other's claim. Not
    counted: while packets are lost at random or late, and until the sickest node, whose
    last question got lost so, has asked again; while an `alive` hook, which `down` must
    wait for, still runs; and where a `down` hook fails.

    :ivar longest: seconds for which any two that reach each other have served the
        same point, whatever they knew.
    :ivar total: the sum of all such times.
    :ivar limit: seconds that `longest` may not exceed, for tests that know more;
        None for no limit.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self.longest = 0.0
        self.total = 0.0
        self.limit: float | None = None
        self._owners: defaultdict[Point, set[str]] = defaultdict(set)
        self._shared: set[Point] = set()
        self._epoch = -1
        self._changed = False
        self._pairs: dict[_Pair, float] = {}  # since when
        self._aware: dict[_Pair, tuple[float, float]] = {}  # since when, seconds of what waited
        self._broken = self._lossy = False  # something was broken or mended in this step
        self._asked_again = 0.0  # when every question that got lost has been repeated

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        """Keep who serves what."""
        owners = self._owners[point]
        (owners.add if serves else owners.discard)(machine.id)
        if len(owners) > 1 and self.truth.single(point):
            self._shared.add(point)
        else:
            self._shared.discard(point)
        self._changed = True

    def fault(self, text: str, began: bool) -> None:
        """Look whether packets may be lost from now on, or are no longer."""
        self._broken = True

    def stepped(self, world: World) -> None:
        """Measure what two machines serve."""
        if self._broken:
            self._broken = False
            was, self._lossy = self._lossy, self.truth.lossy
            if was and not self._lossy:
                self._asked_again = world.now + STRETCH * world.base.ping_timeout / TRIES
        if self._changed or self._epoch != self.truth.epoch:
            self._changed = False
            self._epoch = self.truth.epoch
            self._find_pairs()
        if self._pairs:
            self._measure()

    def _find_pairs(self) -> None:
        before = self._pairs
        self._pairs = {
            (point, one, two): before.get((point, one, two), self.world.now)
            for point in sorted(self._shared)
            for one, two in combinations(sorted(self._owners[point]), 2)
            if self._both_run(one, two) and self.truth.mutual(one, two)
        }
        for pair in before.keys() - self._pairs.keys():
            self.total += self.world.now - before[pair]
            self._aware.pop(pair, None)

    def _both_run(self, one: str, two: str) -> bool:
        return self.world.machines[one].running and self.world.machines[two].running

    def _measure(self) -> None:
        now = self.world.now
        for pair, since in self._pairs.items():
            (_, datum), one, two = pair
            self.longest = max(self.longest, now - since)
            if self.limit is not None and now - since > self.limit:
                raise self.violated(f"{one} and {two} both hold {datum} for {now - since:.3f} s")
            if self.truth.lossy or now < self._asked_again or not self._known(pair):
                self._aware.pop(pair, None)
                continue
            if pair not in self._aware:
                self._aware[pair] = now, max(map(self._waits, (one, two)))
            since_known, waits = self._aware[pair]
            known = now - since_known
            if known > self._bound(pair) + waits:
                raise self.violated(
                    f"{one} and {two} both hold {datum} and have known it for {known:.3f} s"
                )

    def _known(self, pair: _Pair) -> bool:
        point, one, two = pair
        return self._knows(one, two, point) and self._knows(two, one, point)

    def _knows(self, id: str, other: str, point: Point) -> bool:
        system, datum = point
        machine = self.world.machines[id]
        if machine.node is None or self._fails(machine, datum):
            return False
        keeper, membership = machine.node.parts.keeper, machine.node.parts.membership
        roster = membership.roster
        claims = roster[other].claims
        holding = keeper.systems[system].holdings.get(datum)
        return (
            keeper.gate.open
            and membership.touch.reachable.get(other) is not False
            and (holding is None or holding.running != "alive")
            and roster.state(other) in (State.ALIVE, State.PROBABLY_DOWN)
            and claims is not None
            and claims.get(system, {}).get(datum) is Phase.HELD
        )

    def _fails(self, machine: Machine, datum: str) -> bool:
        key = "down", datum
        return key in machine.failing or key in machine.hanging

    def _waits(self, id: str) -> float:
        machine = self.world.machines[id]
        waiting = machine.reactor.waiting if machine.reactor is not None else 0
        return machine.slowness * (waiting + CALLS)

    def _bound(self, pair: _Pair) -> float:
        (name, _), one, two = pair
        system = self.world.base.systems[name]
        rounds = 1 + len(system.data) // system.hook_concurrency
        longest = max(self.world.machines[id].hook_time.longest for id in (one, two))
        return self.truth.round_trip + 2 * rounds * longest + system.delay + SCHEDULING


SCHEDULING = 0.01  # seconds in which the calls of one moment are made


class Neighbours(Observer):
    """Where the neighbours' traffic for each data point goes (R6).

    An `alive` hook announces an address to them, again whenever it is run again, and
    flip does so itself for the addresses that it sets: they send to whichever machine
    announced it last.
    """

    def __init__(self, world: World) -> None:
        self.pointing: dict[Point, str] = {}
        systems = world.base.systems.items()
        self._by_hooks = {name for name, system in systems if not provided(system)}

    def hook_started(self, machine: Machine, call: HookCall) -> None:
        """An `alive` hook may announce as soon as it runs."""
        if call.event == "alive" and call.system in self._by_hooks:
            self.announced(machine, (call.system, call.datum))

    def hook_ended(self, machine: Machine, call: HookCall, good: bool) -> None:
        """It may do so at its very end as well."""
        if call.event == "alive" and good and call.system in self._by_hooks:
            self.announced(machine, (call.system, call.datum))

    def announced(self, machine: Machine, point: Point) -> None:
        """Whoever speaks last is believed."""
        self.pointing[point] = machine.id


class Exclusive(Invariant):
    """Invariant 6: at most one machine holds a data point of an exclusive system, ever.

    Counted from the start of `alive` to the end of `down`, or of the machine.
    The promise is made for a holder whose machine runs flip or its guard: what
    a machine went on serving while neither of them ran is excused until it serves
    it no more, and the time for which it made two owners is `unguarded`. Where flip sets
    the addresses the kernel is the guard, and nothing is excused.
    """

    def __init__(self, world: World, truth: Truth) -> None:
        super().__init__(world, truth)
        self._owners: defaultdict[Point, set[str]] = defaultdict(set)
        self._excused: set[tuple[str, Point]] = set()
        self._unguarded_since: dict[Point, float] = {}
        self._unguarded = 0.0
        self._systems = frozenset(
            name for name, system in world.base.systems.items() if system.exclusive
        )
        self._kernels = {name for name in self._systems if provided(world.base.systems[name])}

    @property
    def unguarded(self) -> float:
        """Seconds with two owners, of which all but one had neither flip nor guard."""
        open_ended = (self.world.now - since for since in self._unguarded_since.values())
        return self._unguarded + sum(open_ended)

    def served_changed(self, machine: Machine, point: Point, serves: bool) -> None:
        """Count at once, not after the step."""
        if point[0] not in self._systems:
            return
        owners = self._owners[point]
        (owners.add if serves else owners.discard)(machine.id)
        if serves and not self._promised(machine, point):
            self._excused.add((machine.id, point))
        if not serves:
            self._excused.discard((machine.id, point))
        self._judge(point)

    def process_changed(self, machine: Machine) -> None:
        """Excuse what neither flip nor its guard looks after."""
        if self._systems and not machine.guarded:
            for point in sorted(machine.served):
                if point[0] in self._systems and not self._promised(machine, point):
                    self._excused.add((machine.id, point))
                    self._judge(point)

    def _promised(self, machine: Machine, point: Point) -> bool:
        return machine.guarded or point[0] in self._kernels

    def _judge(self, point: Point) -> None:
        owners = self._owners[point]
        bound = list(self._bound_by(point))
        if len(bound) > 1:
            raise self.violated(f"{' and '.join(bound)} hold {point[1]} of {point[0]}")
        if len(owners) > 1:
            self._unguarded_since.setdefault(point, self.world.now)
        else:
            since = self._unguarded_since.pop(point, self.world.now)
            self._unguarded += self.world.now - since

    def _bound_by(self, point: Point) -> Iterator[str]:
        return (id for id in sorted(self._owners[point]) if (id, point) not in self._excused)
