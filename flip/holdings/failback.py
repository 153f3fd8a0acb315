"""Who comes back, and who is drained: what keeps a server that could serve from serving.

With `failback` other than "auto" a server that was down or unfit does not take back what
others serve by now: it says that it has returned, and is only a last resort. It comes in
again when all whom it found serving are gone, after a time, or when an operator says so.
When a whole cluster starts, nobody finds anybody serving, and nobody is kept out.
A node that stood still knows only who served before that: it waits until it has heard
everybody out, and finds then who serves.

An operator's drain lasts until it is taken back, over restarts too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from flip.config import Config
from flip.holdings.fitness import Fitness
from flip.holdings.journal import Journal
from flip.holdings.outlook import SERVING, Outlook
from flip.log import Logger
from flip.membership.roster import Change
from flip.membership.service import Membership
from flip.wire.messages import Status
from flip.wire.standing import Standing

DRAINED = "it is drained, until 'flip undrain'"
RETURNED = "it was away, and others serve its data now, until 'flip undrain' (failback)"

_log = Logger()


class Failback:
    """Drains this node for systems that it lists.

    :param systems: all systems that this server lists.
    :param fitness: where that is declared.
    """

    def __init__(
        self,
        config: Config,
        systems: Iterable[str],
        fitness: Fitness,
        outlook: Outlook,
        journal: Journal,
        membership: Membership,
    ) -> None:
        self._me = config.id
        self._systems = {name: config.systems[name] for name in systems}
        self._fitness = fitness
        self._outlook = outlook
        self._journal = journal
        self._membership = membership
        self._undecided = set(self._systems)  # since this node started
        self._settled = False
        self._veterans: set[str] = set()  # who acted before this node came
        self._keepers: dict[str, frozenset[str]] = {}
        self._returning: set[str] = set()  # until it is known who keeps this node out

    def start(self) -> None:
        """Declare what an operator said in an earlier life of this node."""
        drained = [name for name in self._systems if name in self._journal.drained]
        if drained:
            self._fitness.exclude(DRAINED, None, drained, Standing.DRAINED)

    def heed(self, change: Change) -> None:
        """Another member changed."""
        if change.record_before is not None or change.record is None:
            return
        # A cluster that starts is unsure of what it holds: who is sure acted before, and is
        # only out of touch now, perhaps until this node came.
        claims = (change.claims or {}).values()
        serves = any(phase in SERVING for phases in claims for phase in phases.values())
        if change.record.status == Status.ACTIVE or serves:
            self._veterans.add(change.member)

    def settle(self) -> None:
        """This node has heard everybody out, and is about to act."""
        if not self._settled:
            self._settled = True
            for system in self._systems:
                if self._fitness.standing(system) < Standing.FAILING:
                    self.recovered(system, Standing.UNKNOWN)
        for system in sorted(self._returning):
            self._return(system)

    def recovered(self, system: str, before: Standing) -> None:
        """This node can serve a system again."""
        if not self._settled:
            return  # it may be the first of all to start
        if before is Standing.UNFIT:
            self._undecided.discard(system)  # it was away, whoever came when
        self._return(system)

    def away(self) -> None:
        """This node was voted down, and comes back."""
        if self._settled:
            self._undecided.clear()
            for system in self._systems:
                self._return(system)

    def update(self) -> None:
        """Come in where all who kept this node out are gone: there is nothing to move back."""
        if not self._membership.settled:
            return  # what is heard first after a stall is old
        for system, keepers in list(self._keepers.items()):
            if not self._fitness.excluded(RETURNED, system):
                del self._keepers[system]
            elif not keepers & self._outlook.fit(system):
                del self._keepers[system]
                gone = ", ".join(sorted(keepers))
                self._note("undrained", f"{system}: {gone} gone, so {self._me} serves again")
                self._fitness.admit(RETURNED, system)

    def drain(self, systems: Iterable[str]) -> None:
        """Serve these systems only as a last resort, until `undrain`."""
        for system in systems:
            if system not in self._journal.drained:
                self._journal.drain(system)
                self._note("drained", f"{system}: {self._me} is drained")
            self._fitness.exclude(DRAINED, None, (system,), Standing.DRAINED)

    def undrain(self, systems: Iterable[str]) -> None:
        """Let this node serve again, whatever drained it."""
        for system in systems:
            waits = system in self._keepers or system in self._returning
            if self._fitness.excluded(DRAINED, system) or waits:
                self._note("undrained", f"{system}: {self._me} is drained no more")
            self._journal.undrain(system)
            self._keepers.pop(system, None)
            self._returning.discard(system)
            self._fitness.admit(DRAINED, system)
            self._fitness.admit(RETURNED, system)

    def _return(self, system: str) -> None:
        """This node can serve a system: wait, if others do, or until it is known whether."""
        seconds = self._systems[system].failback
        if not seconds:
            return
        if not self._membership.settled:
            self._keepers.pop(system, None)
            self._returning.add(system)
            self._keep_out(system, math.inf)
            return
        keepers = self._outlook.serving(system)
        if system in self._undecided:
            keepers &= self._veterans
        self._undecided.discard(system)
        if keepers:
            self._keepers[system] = keepers
            ends = "until 'flip undrain'" if math.isinf(seconds) else f"for {seconds:g} s"
            names = ", ".join(sorted(keepers))
            text = f"{system}: {self._me} was away; {ends} its data stays with {names}"
            self._note("returned", text)
            self._keep_out(system, seconds)
        elif system in self._returning:
            self._fitness.admit(RETURNED, system)
        self._returning.discard(system)

    def _keep_out(self, system: str, seconds: float) -> None:
        limit = None if math.isinf(seconds) else seconds
        self._fitness.exclude(RETURNED, limit, (system,), Standing.RETURNED)

    def _note(self, kind: str, text: str) -> None:
        _log.info("{text}", text=text)
        self._journal.note_event(kind, text)
