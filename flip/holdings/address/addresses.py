"""The provider "address" of one node, on one page: its parts, and the kernel that they ask."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from flip.addresses.kernel import Kernel
from flip.config import Config, System
from flip.holdings.address.announcer import Announcer
from flip.holdings.address.conflicts import Conflicts
from flip.holdings.address.guard import KernelGuard
from flip.holdings.address.kept import Keeping
from flip.holdings.address.lifetimes import Lifetimes
from flip.holdings.address.links import Links
from flip.holdings.address.orphans import Orphans
from flip.holdings.address.provider import AddressProvider
from flip.holdings.address.repair import Repair
from flip.holdings.address.upkeep import Upkeep
from flip.holdings.guard.interface import Point
from flip.holdings.keeper import Keeper
from flip.log import Logger
from flip.membership.repeat import repeating
from flip.membership.roster import Roster

RETRY = 5.0  # seconds between attempts to reach the kernel
UNREACHED = "its addresses cannot be put"  # the cause of being unfit without a kernel

_log = Logger()


class _Outside(NamedTuple):
    """What goes by more than the kernel: the plan, and what is known of others."""

    keeper: Keeper
    links: Links
    orphans: Orphans
    conflicts: Conflicts

    def obstacle(self, system: str, datum: str) -> str | None:
        """Why a data point must not be taken yet although no present member claims it."""
        return self.orphans.obstacle(system, datum) or self.conflicts.obstacle(system, datum)


class Addresses:
    """Keeps the addresses of this node's systems with the provider "address".

    :param systems: by name, those of this server.
    :param recorded: the data points that an earlier life of this node held, by its journal.
    :param together: a context for many results at once: what they write becomes one write.
    :param note: called with what an operator may ask about: a kind, and a sentence.
    :param trouble: called with what is wrong with the addresses, None when it is well again.
    :ivar guard: of the exclusive ones among the systems.
    """

    def __init__(
        self,
        clock: IReactorTime,
        kernel: Kernel,
        systems: Mapping[str, System],
        recorded: Collection[Point],
        *,
        together: Callable[[], AbstractContextManager[None]],
        note: Callable[[str, str], None],
        trouble: Callable[[str | None], None],
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._systems = systems
        self._trouble = trouble
        self._troubles: dict[str, str] = {}
        self._again: IDelayedCall | None = None
        self._stopped = False
        self._note = note
        self._outside: _Outside | None = None
        self._keeping = Keeping()
        self._lifetimes = Lifetimes(systems)
        self._announcer = Announcer(
            clock, kernel, systems, lambda address: self._keeping.lasts(address, clock.seconds())
        )
        self.provider = AddressProvider(
            clock,
            kernel,
            self._keeping,
            self._lifetimes,
            self._announcer,
            recorded,
            together=together,
        )
        self._upkeep = Upkeep(
            clock,
            kernel,
            systems,
            self._keeping,
            self._lifetimes,
            restored=self._announcer.tell,
            lost=self._lost,
            trouble=lambda text: self._tell("renewing", text),
        )
        self._repair = Repair(
            clock,
            kernel,
            self._keeping,
            self._upkeep,
            restored=self._announcer.tell,
            note=note,
        )
        self.guard = KernelGuard(self.provider, self._lifetimes, self._upkeep)
        self._repeats = [
            (system.addressing.repeat, repeating(clock, self._repeating(name), "announcing"))
            for name, system in systems.items()
            if system.addressing is not None and system.addressing.repeat
        ]

    def start(self, config: Config, keeper: Keeper, roster: Roster) -> None:
        """Ask the kernel; until it has answered, calls wait.

        :param keeper: told for which systems an interface is down, what this node may not hold
            any more since it stood still, and what must not be taken yet.
        """
        links = Links(self._kernel, self._systems, keeper.fitness, keeper.retry)
        orphans = Orphans(
            config,
            self._clock,
            roster,
            self._systems,
            lambda name: keeper.systems[name].mark_all(),
        )
        conflicts = Conflicts(
            self._clock,
            self._kernel,
            roster,
            self._systems,
            inherited=lambda name, member: keeper.divisions[name].inherited(member),
            pending=lambda name, datum: keeper.systems[name].pending(datum),
            configured=lambda name, datum: keeper.systems[name].configured(datum),
            mark=lambda name, datum: keeper.systems[name].mark((datum,)),
            note=self._note,
        )
        self._outside = _Outside(keeper, links, orphans, conflicts)
        roster.subscribe(orphans.learn)
        roster.subscribe(conflicts.learn)
        keeper.outlook.hinder(self._outside.obstacle)
        self._kernel.observe(self._repair)
        self._kernel.observe(links)
        self._open()

    def stop(self) -> None:
        """Do nothing more; addresses stay until the kernel ends them, if it does."""
        self._stopped = True
        if self._again is not None and self._again.active():
            self._again.cancel()
        self.provider.stop()
        self._upkeep.stop()
        self._repair.stop()
        self._announcer.stop()
        if self._outside is not None:
            self._outside.orphans.stop()
            self._outside.conflicts.stop()
        for _, loop in self._repeats:
            if loop.running:
                loop.stop()
        self._kernel.stop()

    def status(self, system: str, datum: str) -> dict[str, Any] | None:
        """What status tells of one data point; None where there is nothing to tell."""
        point = system, datum
        kept = self._keeping.by_point.get(point)
        outside = self._outside
        found = None if outside is None else outside.conflicts.answered.get(point)
        if kept is None and found is None:
            return None
        ends = None if kept is None else kept.ends
        return {
            "interface": None if kept is None else kept.assignment.interface,
            "left": None if ends is None else round(ends - self._clock.seconds(), 1),
            "missing": [] if kept is None else sorted(address.ip for address in kept.missing),
            "conflict": None if found is None else found[1],
        }

    def _open(self) -> None:
        opened = self._kernel.start().addCallbacks(lambda _: self._opened(), self._refused)
        opened.addErrback(lambda failure: _log.failure("addresses: no start", failure))

    def _opened(self) -> None:
        if self._stopped:
            return
        if self._outside is not None:
            for name in self._systems:
                self._outside.keeper.fitness.admit(UNREACHED, name)
            self._outside.links.look()
            self._outside.conflicts.ready = True
        self._tell("kernel", None)
        self._upkeep.start()
        for seconds, loop in self._repeats:
            loop.start(seconds, now=False)
        self.provider.open()

    def _refused(self, failure: Failure) -> None:
        if self._stopped:
            return
        reason = failure.getErrorMessage()
        if self._outside is not None and self._systems:
            self._outside.keeper.fitness.exclude(UNREACHED, None, tuple(self._systems))
        self._tell("kernel", reason)
        self.provider.open(f"address: {reason}")
        self._again = self._clock.callLater(RETRY, self._open)

    def _lost(self, points: Sequence[Point]) -> None:
        if self._outside is not None:
            self._outside.keeper.lose(points)

    def _tell(self, what: str, trouble: str | None) -> None:
        before = dict(self._troubles)
        self._troubles.pop(what, None)
        if trouble is not None:
            self._troubles[what] = trouble
        if self._troubles != before:
            self._trouble("; ".join(self._troubles.values()) or None)

    def _repeating(self, system: str) -> Callable[[], None]:
        return lambda: self._announcer.begin(
            [
                address
                for kept in self._keeping
                if kept.point[0] == system
                for address in kept.assignment.addresses
            ],
            (0.0,),
        )
