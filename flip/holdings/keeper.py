"""The keeper: all systems of this node, moved by what membership learns.

Rules R1 to R8 of docs/design.md. Every trigger only marks what is due and asks
for a turn; a turn divides anew where it must, decides, publishes the claims, and
only then starts hooks: a claim is known before its hook runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.config import Config
from flip.errors import CannotRelease
from flip.holdings.attempts import Runner
from flip.holdings.difference import Difference
from flip.holdings.distress import Distress
from flip.holdings.division import Division
from flip.holdings.eligibility import Way
from flip.holdings.failback import Failback
from flip.holdings.fitness import Fitness
from flip.holdings.flapping import count_down
from flip.holdings.gate import Gate
from flip.holdings.grants.asking import Asking
from flip.holdings.grants.permit import Free
from flip.holdings.hooks import Hook
from flip.holdings.journal import Journal
from flip.holdings.last_word import LastWord
from flip.holdings.leftovers import Leftovers
from flip.holdings.outlook import SERVING, Outlook, rank
from flip.holdings.overlap import Overlap
from flip.holdings.system import SystemKeeper
from flip.log import Logger
from flip.membership.roster import Change
from flip.membership.service import Membership
from flip.wire.claims import Phase
from flip.wire.messages import Record
from flip.wire.standing import Standing, encode_standings

CANNOT_SETTLE = "it has not caught up with a quorum"
FAILING = "its alive hook kept failing"

_log = Logger()


class Keeper:
    """Turns wanted into held.

    :param runner: runs the hooks of ordinary systems; the guard runs the others.
    :param hooks: per system of this server, its `alive` and `down` hooks.
    :param grants: the rights of exclusive systems.
    """

    def __init__(
        self,
        config: Config,
        clock: IReactorTime,
        membership: Membership,
        journal: Journal,
        runner: Runner,
        hooks: Mapping[str, Mapping[str, Hook]],
        grants: Asking,
    ) -> None:
        self.systems: dict[str, SystemKeeper] = {}
        self.divisions: dict[str, Division] = {}
        self.fitness = Fitness(
            clock,
            hooks,
            self._fitness_changed,
            lambda system, before: self.failback.recovered(system, before),
        )
        self.leftovers = Leftovers(config.id, clock, journal, runner, self._ask_for_turn)
        self.outlook = Outlook(config, membership.roster, membership.touch.reachable.get)
        self.difference = Difference(config.id, self.outlook, journal)
        self.failback = Failback(config, hooks, self.fitness, self.outlook, journal, membership)
        self.distress = Distress(self.divisions, self.outlook, journal)
        self._config = config
        self._clock = clock
        self._membership = membership
        self._journal = journal
        self._grants = grants
        self._turn: IDelayedCall | None = None
        self._stopped = self._in_touch = False
        self._concerned: set[str] = set()
        self._rules: dict[str, tuple[bool, bool]] = {}
        self._last_word = LastWord(
            self.systems, self.divisions, self.outlook, two_sided=config.two_sided
        )
        self._emptied: list[Deferred[None]] = []
        self._overlap = Overlap(self.systems, self.leftovers)
        self.outlook.hinder(self._overlap.obstacle, always=True)
        systems = [config.systems[name] for name in hooks]
        self.gate = Gate(
            clock,
            membership,
            delay=max((system.delay for system in systems), default=0.0),
            timeout=config.ping_timeout,
            patience=2 * (config.ping_timeout + config.gossip_interval),
            changed=self._gate_changed,
            unsettled=self._unsettled,
        )
        for system in systems:
            right = grants.rights.get(system.name)
            keeper = self.systems[system.name] = SystemKeeper(
                config.id,
                system,
                hooks[system.name],
                clock,
                self.outlook,
                journal,
                runner if right is None else right.guard,
                Free() if right is None else right,
                acting=partial(self._acting, system.name),
                in_touch=lambda: membership.in_touch,
                due=self._ask_for_turn,
                dropped=self._dropped,
                gave_up=self._gave_up,
                looker=runner,
            )
            self.divisions[system.name] = Division(
                config, system.name, clock, self.outlook, keeper.claims, keeper.plan
            )

    def start(self) -> None:
        """Claim what an earlier life may have left, and listen."""
        recorded = self._overlap.remember(self._journal.held())
        with self._journal.batch():
            for name, keeper in self.systems.items():
                keeper.remember(recorded[name], complete=self._journal.clean)
        self.failback.start()
        self._membership.amend(claims=self.claims())
        self._membership.roster.subscribe(self._member_changed)
        self._membership.on_touch(self._touch_changed)
        self._membership.on_found_down(self._found_down)
        self._membership.touch.on_reached(self._reached)
        self._grants.on_changed(self._right_changed)
        self.gate.update()

    def stop(self) -> None:
        """Cancel all timers and heed nothing more; hooks that run are left to end."""
        self._stopped = True
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        self.gate.stop()
        self.fitness.stop()
        self.leftovers.stop()
        for division in self.divisions.values():
            division.stop()
        for keeper in self.systems.values():
            keeper.stop()

    def claims(self) -> dict[str, dict[str, Phase]]:
        """Everything that this node claims."""
        claims = {name: keeper.claims() for name, keeper in self.systems.items()}
        for name, phases in self.leftovers.claims().items():
            claims.setdefault(name, {}).update(phases)
        return {name: phases for name, phases in claims.items() if phases}

    def retry(self, system: str | None = None) -> None:
        """Try failed hooks again now and declare this node eligible again."""
        for name, keeper in self.systems.items():
            if system in (None, name):
                keeper.retry()
        self.leftovers.retry()
        self.fitness.admit(FAILING, system)

    def forsake(self, system: str, datum: str) -> None:
        """Drop the claim of a data point whose `down` does not end well.

        :raises CannotRelease: this node does not claim it, or serves it.
        """
        name = f"{system}: {datum}"
        keeper = self.systems.get(system)
        phase = keeper.claims().get(datum) if keeper is not None else None
        if (system, datum) in self.leftovers:
            self.leftovers.forsake((system, datum))
        elif keeper is None or phase is None:
            raise CannotRelease(f"{name} is not claimed by {self._config.id}.")
        elif phase in SERVING:
            raise CannotRelease(
                f"{name} is {phase.name.lower()} by {self._config.id}, not being released."
                " To move it away, stop this node or change the configuration."
            )
        else:
            keeper.forsake(datum)
        text = f"{name}: the claim was dropped by force, its down hook has not ended well"
        _log.warn("{text}", text=text)
        self._journal.note_event("forsaken", text)
        self._ask_for_turn()

    def lose(self, points: Iterable[tuple[str, str]]) -> None:
        """These ran out by themselves while this node stood still; others may hold them by now."""
        for name, datum in points:
            self.systems[name].lose((datum,))

    def release_all(self) -> Deferred[None]:
        """Let go of everything, whatever the plan says; fires when nothing is claimed."""
        self.gate.leave()
        emptied: Deferred[None] = Deferred()
        self._emptied.append(emptied)
        self.leftovers.act()
        self._gate_changed()
        return emptied

    def _member_changed(self, change: Change) -> None:
        if self._stopped:
            return
        touched = self.outlook.learn(change)
        for name, datum in touched:
            keeper = self.systems.get(name)
            if keeper is not None:
                keeper.mark((datum,))
        if change.member != self._config.id:
            self._last_word.heed(change, touched)
            self.failback.heed(change)
        if _standing(change.record) != _standing(change.record_before) or (
            change.state is not change.state_before
            or (change.claims is None) != (change.claims_before is None)
        ):
            self._mark_all()

    def _touch_changed(self) -> None:
        if self._stopped:
            return
        if self._membership.in_touch != self._in_touch:
            # Out of touch it cannot know who else announces from now on.
            self._in_touch = self._membership.in_touch
            self._last_word.repeat()
        self.gate.update()

    def _reached(self, member: str) -> None:
        # What is held here for an heir that did not answer can go to it now.
        for keeper in self.systems.values():
            keeper.mark(tuple(keeper.holdings))

    def _right_changed(self, system: str, data: Iterable[str]) -> None:
        if not self._stopped:
            self.systems[system].mark(data)

    def _gate_changed(self) -> None:
        for name, keeper in self.systems.items():
            isolated = self.gate.isolated and keeper.system.on_isolation == "release"
            if isolated and not keeper.ending:
                text = f"{name}: isolated, so it lets go of everything"
                _log.warn("{text}", text=text)
                self._journal.note_event("isolated", text)
            keeper.ending = isolated or self.gate.leaving
        if self.gate.open:
            self.leftovers.act()
        self._mark_all()

    def _divide(self) -> None:
        for name, division in self.divisions.items():
            division.update()
            keeper = self.systems[name]
            keeper.released = division.candidates.way is Way.RELEASE
            rules = keeper.released, self._acting(name)
            if rules != self._rules.get(name):
                self._rules[name] = rules  # other ones for every data point
                keeper.mark_all()

    def _acting(self, system: str) -> bool:
        """Whether this node may take and let go (R1): its health is known, and to the plan."""
        known = self.fitness.standing(system) is not Standing.UNKNOWN
        return self.gate.open and known and not self.divisions[system].without_me

    def _unsettled(self, unsettled: bool) -> None:
        if unsettled:
            self.fitness.exclude(CANNOT_SETTLE, None, standing=Standing.FAILING)
        else:
            self.fitness.admit(CANNOT_SETTLE)
            self.failback.settle()

    def _found_down(self) -> None:
        if self._stopped:
            return
        self._membership.check_pulse()  # or the gate may be open as it was before a stall
        if count_down(self._membership.roster, self._journal, self.fitness, acting=self.gate.open):
            self.failback.away()
        self._last_word.repeat()

    def _gave_up(self, system: str) -> bool:
        """Whether others take over what keeps failing here, if there are any (R3)."""
        if not self.systems[system].single_owner or self.outlook.alone(system):
            return False
        if self.fitness.excluded(FAILING, system):
            return True
        seconds = self._config.systems[system].retry_after
        text = f"{system}: alive kept failing here, so others take over for {seconds:.0f} s"
        _log.error("{text} ('flip retry' ends that sooner)", text=text)
        self._journal.note_event("gave-up", text)
        self.fitness.exclude(FAILING, seconds, (system,), Standing.FAILING)
        return True

    def _fitness_changed(self) -> None:
        for name, keeper in self.systems.items():
            if not self.fitness.excluded(FAILING, name):
                keeper.given_up.clear()
        self._membership.amend(
            ineligible=self.fitness.ineligible,
            standings=encode_standings(self.fitness.standings),
        )
        self._ask_for_turn()

    def _dropped(self, system: str, datum: str) -> None:
        owner = self.divisions[system].owners.get(datum)
        if owner is not None:
            self._concerned.add(owner)

    def _mark_all(self) -> None:
        for keeper in self.systems.values():
            keeper.mark_all()
        self._ask_for_turn()

    def _ask_for_turn(self) -> None:
        if self._turn is None and not self._stopped:
            self._turn = self._clock.callLater(0, self._take_turn)

    def _take_turn(self) -> None:
        self._turn = None
        # After a stall this turn may come before anything else notices it.
        self._membership.check_pulse()
        self.difference.update()
        self.failback.update()
        self._divide()
        self.distress.update()
        self._last_word.speak()
        self._overlap.mark()
        with self._journal.batch():
            for keeper in self.systems.values():
                keeper.consider()
        self._membership.amend(claims=self.claims(), concerns=frozenset(self._concerned))
        self._concerned.clear()
        self._grants.act()
        for keeper in self.systems.values():
            keeper.run_hooks()
        if self._emptied and not self.claims():
            emptied, self._emptied = self._emptied, []
            for waiting in emptied:
                waiting.callback(None)


def _standing(record: Record | None) -> object:
    """What of a member's record changes what may be done about many data points."""
    fitness = record and (record.status, record.ineligible, record.standings)
    return record and (fitness, rank(record))
