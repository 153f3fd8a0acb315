"""One system's data points: from what the topology wants to what this node holds.

The keeper never replays a queue of changes. Whatever happens only marks data
points as due; `consider` then compares what is wanted with what is claimed and
takes the next step of `flip.holdings.decision`, one hook at a time per point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from flip.allocation.topology import TOPOLOGIES
from flip.config import System
from flip.holdings.book import Book
from flip.holdings.decision import Situation, Step, decide
from flip.holdings.holding import Holding, pause, trouble
from flip.holdings.hooks import Hook
from flip.holdings.journal import Held, Journal
from flip.holdings.outlook import NO_RIVALS, Outlook
from flip.holdings.runner import HookCall, HookResult
from flip.holdings.slots import Slots, Urgency
from flip.holdings.tally import Tally
from flip.log import Logger
from flip.wire.claims import Phase

CLEANING_ATTEMPTS = 3  # of what was never claimed; a claim is never dropped by giving up

_log = Logger()


class Runner(Protocol):
    """Runs one hook; the Deferred fails with `HookFailed`."""

    def run(self, call: HookCall) -> Deferred[HookResult]: ...


class SystemKeeper:
    """Keeps the data points of one system.

    :param acting: whether this node may take and let go (R1).
    :param in_touch: whether it reaches a quorum.
    :param due: called when there is something to `consider`.
    :param dropped: called with each data point whose claim was dropped.
    :param gave_up: called with the system's name when `alive` failed too often;
        returns whether others take over (R3).
    :ivar given_up: what this node failed to bring up and let go of, and why.
    """

    def __init__(
        self,
        me: str,
        system: System,
        hooks: Mapping[str, Hook],
        clock: IReactorTime,
        outlook: Outlook,
        journal: Journal,
        runner: Runner,
        *,
        acting: Callable[[], bool],
        in_touch: Callable[[], bool],
        due: Callable[[], None],
        dropped: Callable[[str, str], None],
        gave_up: Callable[[str], bool],
    ) -> None:
        self.system = system
        self.owners: dict[str, str] = {}
        self.wanted: frozenset[str] = frozenset()
        self.ending = False
        self.given_up: dict[str, str] = {}
        self._me = me
        self._alive = hooks["alive"]
        self._clock = clock
        self._outlook = outlook
        self._book = Book(system, hooks["down"], journal)
        self._runner = runner
        self._acting = acting
        self._in_touch = in_touch
        self._due = due
        self._dropped = dropped
        self._gave_up = gave_up
        self._points = frozenset(system.data)
        self._topology = TOPOLOGIES[system.type]
        self._pending: dict[str, None] = {}  # in order: equal histories run equal hooks
        self._stopped = False
        self._tally = Tally(system.name, clock)
        self._slots = Slots(system.hook_concurrency, self._work, self._tally.idle)

    @property
    def points(self) -> frozenset[str]:
        """All configured data points, for membership tests."""
        return self._points

    @property
    def holdings(self) -> Mapping[str, Holding]:
        """What this node knows and does about each data point; none is as good as a blank one."""
        return self._book.holdings

    @property
    def single_owner(self) -> bool:
        """Whether a data point belongs to one node only."""
        return self._topology.single_owner

    def claims(self) -> dict[str, Phase]:
        """What this node claims of this system."""
        return self._book.claims()

    def failures(self) -> dict[str, str]:
        """What failed last, by data point: hooks that are retried, and what was given up."""
        failing = {
            datum: holding.error
            for datum, holding in self.holdings.items()
            if holding.error is not None
        }
        return self.given_up | failing

    def remember(self, recorded: Iterable[Held], *, complete: bool) -> None:
        """Claim as unsure what may be left of an earlier life (R4); see `Book.remember`."""
        self._book.remember(recorded, complete=complete)

    def plan(self, owners: Mapping[str, str], wanted: frozenset[str]) -> None:
        """Take a new division: who should hold what, and what this node should."""
        changed = [
            datum
            for datum in self.system.data
            if self.owners.get(datum) != owners.get(datum)
            or (datum in wanted) is not (datum in self.wanted)
        ]
        self.owners, self.wanted = dict(owners), wanted
        self.mark(changed)

    def mark(self, data: Iterable[str]) -> None:
        """Something about these data points may have changed."""
        self._pending.update(dict.fromkeys(data))
        self._due()

    def mark_all(self) -> None:
        """Something that concerns every data point has changed."""
        self.mark((*self.system.data, *self.holdings))

    def announce(self, data: Iterable[str]) -> None:
        """Run `alive` again for those of `data` that are held: the last word to the neighbours."""
        for datum in data:
            holding = self.holdings.get(datum)
            if holding is not None and (holding.phase is Phase.HELD or holding.running == "alive"):
                holding.again = True
                self.mark((datum,))

    def stop(self) -> None:
        """Cancel all timers; hooks that run are left to end, and no other starts."""
        self._stopped = True
        self._slots.clear()
        for holding in self.holdings.values():
            holding.stop_waiting()

    def retry(self) -> None:
        """Forget all failures and try again at once."""
        self.given_up.clear()
        for datum, holding in self.holdings.items():
            if holding.failures:
                holding.failures = 0
                holding.stop_waiting()
                self.mark((datum,))

    def forsake(self, datum: str) -> None:
        """Drop the claim of what is being released although `down` has not ended well.

        For an operator who knows that nothing is left of it: while `down` never
        ends well, nobody else may take the data point.
        """
        holding = self.holdings[datum]
        holding.stop_waiting()
        if holding.running is None:
            self._drop(datum, holding)
            return
        # Hooks of one data point never overlap: it stays here until this one ends.
        holding.phase, holding.outdated = None, None
        self._book.forget(datum)
        self._dropped(self.system.name, datum)

    def consider(self) -> None:
        """Decide about every data point that is due; hooks start with `run_hooks`."""
        pending, self._pending = self._pending, {}
        holdings = self.holdings
        for datum in pending:
            holding = holdings.get(datum)
            if holding is None:
                if datum in self.wanted:  # of what is neither wanted nor here there is no question
                    self._consider(datum, Holding())
            elif holding.running is None:
                self._consider(datum, holding)

    def run_hooks(self) -> None:
        """Start the hooks that are due; their claims must have been published."""
        self._slots.fill()

    def _consider(self, datum: str, holding: Holding) -> None:
        step = self._decide(datum, holding)
        if step in (Step.CLAIM, Step.TAKE):
            if holding.phase is None or (holding.phase is not Phase.TAKING and step is Step.TAKE):
                self._book.claim(datum, holding, Phase.TAKING)
            if step is Step.TAKE and holding.retry is None:
                self._slots.add(datum, Urgency.ALIVE)
        elif step is Step.RELEASE:
            self._release(datum, holding)
        elif step is Step.WITHDRAW:
            self._drop(datum, holding)
        elif self._announcing(datum, holding) and holding.retry is None:
            self._slots.add(datum, Urgency.ALIVE)
        elif self._cleanable(datum, holding) and holding.retry is None:
            self._slots.add(datum, Urgency.CLEANING)

    def _decide(self, datum: str, holding: Holding) -> Step:
        outlook, name = self._outlook, self.system.name
        rivals = outlook.rivals(name, datum) if self.single_owner else NO_RIVALS
        owner = self.owners.get(datum)
        return decide(
            Situation(
                phase=holding.phase,
                started=holding.started,
                failed=holding.error is not None,
                outdated=holding.outdated is not None,
                wanted=datum in self.wanted,
                acting=self._acting(),
                planning=outlook.planning(),
                ending=self.ending,
                contested=rivals.contested,
                blocked=rivals.blocked,
                served_elsewhere=rivals.served,
                outranked=rivals.outranked,
                outranking=rivals.outranking,
                heir_ready=owner is not None
                and owner != self._me
                and outlook.ready(owner, name, datum),
            )
        )

    def _announcing(self, datum: str, holding: Holding) -> bool:
        # Neither a retry nor the last word on what is held and kept is a change (R1).
        # Waiting with it until this node has settled would leave the neighbours dark.
        keeps = self._in_touch() and datum in self.wanted
        may = self._acting() or keeps or holding.error is not None
        return holding.phase is Phase.HELD and holding.again and may

    def _cleanable(self, datum: str, holding: Holding) -> bool:
        return holding.cleaning and datum not in self.wanted and self._acting()

    def _release(self, datum: str, holding: Holding) -> None:
        if holding.phase is not Phase.RELEASING:
            self._book.claim(datum, holding, Phase.RELEASING)
        if holding.retry is None:
            self._slots.add(datum, Urgency.DOWN if holding.recorded else Urgency.CLEANING)

    def _drop(self, datum: str, holding: Holding) -> None:
        holding.stop_waiting()
        del self._book.holdings[datum]
        self._book.forget(datum)
        self._dropped(self.system.name, datum)
        self.mark((datum,))

    def _work(self, datum: str) -> Deferred[None] | None:
        """Start the hook that the present situation asks for, whatever it was queued for."""
        holding = self.holdings.get(datum)
        if holding is None or holding.running is not None or holding.retry is not None:
            return None
        step = self._decide(datum, holding)
        if (step is Step.TAKE and holding.phase is Phase.TAKING) or (
            step is Step.REST and self._announcing(datum, holding)
        ):
            holding.started, holding.again = True, False
            return self._run("alive", datum, holding)
        if step is Step.RELEASE and holding.phase is Phase.RELEASING:
            return self._run("down", datum, holding)
        if holding.phase is None and self._cleanable(datum, holding):
            return self._run("down", datum, holding)
        self.mark((datum,))
        return None

    def _run(self, event: str, datum: str, holding: Holding) -> Deferred[None]:
        holding.running = event
        hook, config = self._alive, self._book.config
        if event == "down":
            hook, config = self._book.down(holding)
        system = self.system
        call = HookCall(
            hook, event, system.name, datum, config, node=self._me, timeout=system.hook_timeout
        )
        done = maybeDeferred(self._runner.run, call).addCallbacks(
            lambda result: self._succeeded(event, datum, holding, result),
            lambda failure: self._failed(event, datum, holding, failure),
        )
        return done.addErrback(
            lambda failure: _log.failure("the keeper failed over a hook's result", failure)
        )

    def _succeeded(self, event: str, datum: str, holding: Holding, result: HookResult) -> None:
        self._tally.done(event, datum, result.duration, self._slots.outstanding)
        holding.running = holding.error = None
        holding.failures = 0
        if event == "down":
            self._drop(datum, holding)
        elif holding.phase is Phase.TAKING:
            self._book.hold(datum)
            self.given_up.pop(datum, None)
        self.mark((datum,))

    def _failed(self, event: str, datum: str, holding: Holding, failure: Failure) -> None:
        reason = trouble(failure)
        holding.running = None
        holding.failures += 1
        holding.error = f"{event}: {reason}"
        holding.again = holding.again or (event == "alive" and holding.phase is Phase.HELD)
        self._tally.failed(event, datum, holding.failures, reason, self._slots.outstanding)
        if self._stopped:
            return
        if holding.phase is None and (
            not holding.cleaning or holding.failures >= CLEANING_ATTEMPTS
        ):
            self._drop(datum, holding)
            return
        tried_enough = event == "alive" and holding.failures >= self.system.alive_attempts
        if tried_enough and self._gave_up(self.system.name):
            self.given_up[datum] = holding.error
        holding.retry = self._clock.callLater(pause(holding.failures), self._resume, datum, holding)
        self.mark((datum,))

    def _resume(self, datum: str, holding: Holding) -> None:
        holding.retry = None
        self.mark((datum,))
