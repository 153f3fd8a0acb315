"""What a node holds of one system, in memory and in the journal alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flip.config import System
from flip.holdings.holding import Holding
from flip.holdings.hooks import Hook
from flip.holdings.journal import Held, Journal
from flip.wire.claims import Phase


class Book:
    """The holdings of one system, by data point.

    :param down: the hook that lets go of a data point.
    """

    def __init__(self, system: System, down: Hook, journal: Journal) -> None:
        self.holdings: dict[str, Holding] = {}
        self._config = _as_json(system.config)  # of all data points that have no other
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
            # Other members are other places as well.
            as_now = (held.members, held.config) == self.present(held.datum)
            outdated = None if as_now else held
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
        unsure = holding.recorded and holding.phase is Phase.UNSURE
        holding.kept = unsure and phase is Phase.TAKING
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

    def present(self, datum: str) -> tuple[tuple[str, ...], str]:
        """A data point's members and the hooks' configuration as JSON, as the file has it now."""
        point = self._system.special.get(datum)
        if point is None:
            return (datum,), self._config
        return point.members, _as_json(point.config)

    def down(self, datum: str, holding: Holding) -> tuple[Hook, tuple[str, ...], str]:
        """The hook that lets go of a data point, its members and the hook's configuration."""
        old = holding.outdated
        if old is None:
            return self._down, *self.present(datum)
        if old.down:
            return Hook.of_record(old.down), old.members, old.config
        return self._down, old.members, self.present(datum)[1]

    def _claims(self) -> Iterator[tuple[str, Phase]]:
        for datum, holding in self.holdings.items():
            if holding.phase is not None:
                yield datum, holding.phase

    def _record(self, datum: str, phase: Phase) -> None:
        hook, members, config = self.down(datum, self.holdings[datum])
        self._journal.hold(Held(self._system.name, datum, phase, hook.recorded, config, members))


def _as_json(config: Mapping[str, Any]) -> str:
    return json.dumps(dict(config), sort_keys=True)
