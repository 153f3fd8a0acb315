"""What a node holds of one system, in memory and in the journal alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from flip.config import System
from flip.holdings.holding import Holding
from flip.holdings.hooks import Hook
from flip.holdings.journal import Held, Journal
from flip.wire.claims import Phase


class Book:
    """The holdings of one system, by data point.

    :param down: the hook that lets go of a data point.
    :ivar config: the hooks' configuration, as JSON.
    """

    def __init__(self, system: System, down: Hook, journal: Journal) -> None:
        self.holdings: dict[str, Holding] = {}
        self.config = json.dumps(dict(system.config), sort_keys=True)
        self._system = system
        self._down = down
        self._journal = journal

    def claims(self) -> dict[str, Phase]:
        """What this node claims."""
        return dict(self._claims())

    def remember(self, recorded: Iterable[Held], *, complete: bool) -> None:
        """Claim as unsure what may be left of an earlier life (R4).

        :param recorded: what the journal names.
        :param complete: whether the journal is sure to name everything.
        """
        for held in recorded:
            # Another hook that replaced the old one is trusted to know its work;
            # another interface in its configuration is another place to look at.
            outdated = held if held.config != self.config else None
            self.holdings[held.datum] = Holding(Phase.UNSURE, recorded=True, outdated=outdated)
        for datum in self._system.data:
            if datum in self.holdings:
                continue
            if not complete:
                self.holdings[datum] = Holding(Phase.UNSURE)
            elif self._system.remove_on_start:
                self.holdings[datum] = Holding(cleaning=True)
        for datum, phase in self._claims():
            self._record(datum, phase)

    def claim(self, datum: str, holding: Holding, phase: Phase) -> None:
        """Begin a new claim, or turn one into another; nothing has failed under it yet."""
        self.holdings[datum] = holding
        # What was claimed before may be there already: only a new claim can be
        # withdrawn without running `down`.
        holding.started, holding.begun = holding.phase is not None, False
        holding.phase, holding.failures, holding.error = phase, 0, None
        holding.cleaning = False
        if phase is Phase.TAKING:
            holding.recorded = True
        else:
            holding.again = False
        holding.stop_waiting()
        self._record(datum, phase)

    def hold(self, datum: str) -> None:
        """`alive` ended well for what was being taken."""
        self.holdings[datum].phase = Phase.HELD
        self._record(datum, Phase.HELD)

    def forget(self, datum: str) -> None:
        """It is claimed no more."""
        self._journal.forget(self._system.name, datum)

    def down(self, holding: Holding) -> tuple[Hook, str]:
        """The hook that lets go of a data point, and its configuration."""
        old = holding.outdated
        if old is not None and old.down:
            return Hook(old.down[-1], old.down), old.config
        return self._down, self.config

    def _claims(self) -> Iterator[tuple[str, Phase]]:
        for datum, holding in self.holdings.items():
            if holding.phase is not None:
                yield datum, holding.phase

    def _record(self, datum: str, phase: Phase) -> None:
        hook, config = self.down(self.holdings[datum])
        self._journal.hold(Held(self._system.name, datum, phase, hook.argv, config))
