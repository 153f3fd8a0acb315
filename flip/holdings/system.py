"""One system's data points: from what the topology wants to what this node holds.

The keeper never replays a queue of changes. Whatever happens only marks data
points as due; `consider` then compares what is wanted with what is claimed and
takes the next step of `flip.holdings.decision`, one hook at a time per point.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from flip.allocation.topology import TOPOLOGIES
from flip.config import System
from flip.holdings.attempts import Attempts, Runner
from flip.holdings.book import Book
from flip.holdings.decision import Situation, Step, decide
from flip.holdings.due import Due
from flip.holdings.grants.permit import Permit
from flip.holdings.holding import Holding
from flip.holdings.hooks import Hook
from flip.holdings.journal import Held, Journal
from flip.holdings.outlook import Outlook
from flip.holdings.slots import Slots, Urgency
from flip.holdings.tally import Tally
from flip.holdings.verification import CHECK, Verification
from flip.wire.claims import Phase


class SystemKeeper:
    """Keeps the data points of one system.

    :param permit: the right to serve its data points.
    :param acting: whether this node may take and let go (R1).
    :param in_touch: whether it reaches a quorum.
    :param due: called when there is something to `consider`.
    :param dropped: called with each data point whose claim was dropped.
    :param gave_up: called with the system's name when `alive` failed too often;
        returns whether others take over (R3).
    :param looker: runs the hook that only looks, where that is not `runner`.
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
        permit: Permit,
        *,
        acting: Callable[[], bool],
        in_touch: Callable[[], bool],
        due: Callable[[], None],
        dropped: Callable[[str, str], None],
        gave_up: Callable[[str], bool],
        looker: Runner | None = None,
    ) -> None:
        self.system = system
        self.owners: dict[str, str] = {}
        self.wanted: frozenset[str] = frozenset()
        self.ending = self.released = False
        self._me = me
        self._outlook = outlook
        self._book = Book(system, hooks["down"], journal)
        self._permit = permit
        self._acting = acting
        self._in_touch = in_touch
        self._due = Due(due)
        self._dropped = dropped
        self._points = frozenset(system.data)
        self._topology = TOPOLOGIES[system.type]
        tally = Tally(system.name, clock)
        # What flip provides itself costs no process for each data point.
        limit = system.hook_concurrency if system.provider is None else len(system.data) + 1
        self._slots = Slots(limit, self._work, tally.idle)
        self._attempts = Attempts(
            me,
            system,
            hooks["alive"],
            clock,
            self._book,
            runner,
            permit,
            tally,
            outstanding=lambda: self._slots.outstanding,
            mark=lambda datum: self.mark((datum,)),
            drop=self._drop,
            gave_up=lambda: gave_up(system.name),
        )
        self._looks = Verification(
            me,
            system,
            hooks.get("verify"),
            clock,
            self._book,
            looker or runner,
            mark=lambda datum: self.mark((datum,)),
            note=journal.note_event,
        )

    @property
    def points(self) -> frozenset[str]:
        """All configured data points, for membership tests."""
        return self._points

    @property
    def holdings(self) -> Mapping[str, Holding]:
        """What this node knows and does about each data point; none is as good as a blank one."""
        return self._book.holdings

    @property
    def given_up(self) -> dict[str, str]:
        """What this node failed to bring up and let go of, and why."""
        return self._attempts.given_up

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
        # Of an exclusive system everything is let go of first, whatever the journal says.
        self._book.remember(recorded, complete=complete and not self.system.exclusive)
        self._looks.start()

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
        self._due.mark(data)

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

    def pending(self, datum: str) -> bool:
        """Whether this node should have a data point, and has not."""
        holding = self.holdings.get(datum)
        phase = None if holding is None else holding.phase
        return datum in self.wanted and phase is not Phase.HELD

    def configured(self, datum: str) -> tuple[tuple[str, ...], str]:
        """A data point's members, and its configuration as JSON."""
        return self._book.present(datum)

    def lose(self, data: Iterable[str]) -> None:
        """What was held is not here any more, and by now others may hold it: nothing is sure."""
        for datum in data:
            holding = self.holdings.get(datum)
            if holding is None:
                continue
            self._looks.end(datum)
            if holding.running is not None:
                continue  # the end of the hook that runs says how it is
            if holding.phase is Phase.HELD:
                self._book.claim(datum, holding, Phase.UNSURE)
            self.mark((datum,))

    def stop(self) -> None:
        """Cancel all timers; hooks that run are left to end, and no other starts."""
        self._attempts.stop()
        self._looks.stop()
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
        """Decide about the next data points that are due; hooks start with `run_hooks`."""
        holdings = self.holdings
        for datum in self._due.take():
            holding = holdings.get(datum)
            if holding is None:
                if datum in self.wanted:  # of what is neither wanted nor here there is no question
                    self._consider(datum, Holding())
            elif holding.running is None:
                self._consider(datum, holding)
            elif holding.running == CHECK:
                self._interrupt(datum, holding)
            elif holding.running == "alive" and self._permit.lapsed(datum):
                self._permit.kill(datum)  # its end brings the data point back here

    def _interrupt(self, datum: str, holding: Holding) -> None:
        """End a look, if there is something to do."""
        meanwhile = Step.TAKE if holding.phase is Phase.TAKING else Step.REST
        if self._decide(datum, holding) is not meanwhile:
            self._looks.end(datum)  # which brings the data point back here

    def run_hooks(self) -> None:
        """Start the hooks that are due; their claims must have been published."""
        self._slots.fill()

    def _consider(self, datum: str, holding: Holding) -> None:
        step = self._decide(datum, holding)
        if step in (Step.CLAIM, Step.ASK, Step.TAKE):
            if holding.phase is None or (holding.phase is not Phase.TAKING and step is Step.TAKE):
                self._book.claim(datum, holding, Phase.TAKING)
            if step is Step.ASK:
                self._permit.pursue(datum)
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
        rivals = (outlook.rivals if self.single_owner else outlook.hindrance)(name, datum)
        owner = self.owners.get(datum)
        return decide(
            Situation(
                phase=holding.phase,
                started=holding.started,
                begun=holding.begun,
                failed=holding.error is not None,
                outdated=holding.outdated is not None,
                wanted=datum in self.wanted,
                acting=self._acting(),
                planning=outlook.planning(),
                ending=self.ending or (self.released and self._acting()),
                contested=rivals.contested,
                blocked=rivals.blocked,
                served_elsewhere=rivals.served,
                outranked=rivals.outranked,
                outranking=rivals.outranking,
                heir_ready=not self.single_owner
                or (owner is not None and owner != self._me and outlook.ready(owner, name, datum)),
                permitted=self._permit.permitted(datum),
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
            urgency = Urgency.DOWN if holding.recorded else Urgency.CLEANING
            self._slots.add(datum, Urgency.LAPSED if self._permit.lapsed(datum) else urgency)

    def _drop(self, datum: str, holding: Holding) -> None:
        holding.stop_waiting()
        del self._book.holdings[datum]
        self._book.forget(datum)
        self._permit.relinquish(datum)
        self._dropped(self.system.name, datum)
        self.mark((datum,))

    def _keep(self, datum: str, holding: Holding) -> Deferred[None]:
        def judge(here: bool | None) -> None:
            if here:
                self._attempts.keep(datum, holding)
            self.mark((datum,))

        return self._looks.keep(datum, holding).addCallback(judge)

    def _work(self, datum: str) -> Deferred[None] | None:
        """Start the hook that the present situation asks for, whatever it was queued for."""
        holding = self.holdings.get(datum)
        if holding is None or holding.running is not None or holding.retry is not None:
            return None
        step = self._decide(datum, holding)
        if (step is Step.TAKE and holding.phase is Phase.TAKING) or (
            step is Step.REST and self._announcing(datum, holding)
        ):
            if self._looks.may_be_kept(holding):
                return self._keep(datum, holding)
            return self._attempts.alive(datum, holding)
        if step is Step.RELEASE and holding.phase is Phase.RELEASING:
            return self._attempts.down(datum, holding)
        if holding.phase is None and self._cleanable(datum, holding):
            return self._attempts.down(datum, holding)
        self.mark((datum,))
        return None
