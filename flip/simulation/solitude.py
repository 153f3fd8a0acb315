"""The view of a failure detector that errs as badly as can be."""

from __future__ import annotations

from collections.abc import Mapping

from flip.holdings.eligibility import Candidates
from flip.holdings.outlook import NO_RIVALS, Outlook, Rivals
from flip.wire.standing import Standing


class Alone(Outlook):
    """By this view nobody else is there, and nobody else claims anything."""

    def candidates(self, system: str) -> Candidates:
        return Candidates(frozenset(self.standings(system)))

    def standings(self, system: str) -> Mapping[str, Standing]:
        me = self._roster.me
        return {id: word for id, word in super().standings(system).items() if id == me}

    def rivals(self, system: str, datum: str) -> Rivals:
        return NO_RIVALS
