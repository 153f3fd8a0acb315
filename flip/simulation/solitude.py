"""The view of a failure detector that errs as badly as can be."""

from __future__ import annotations

from flip.holdings.eligibility import Candidates
from flip.holdings.outlook import NO_RIVALS, Outlook, Rivals


class Alone(Outlook):
    """By this view nobody else is there, and nobody else claims anything."""

    def candidates(self, system: str) -> Candidates:
        return Candidates(frozenset(self._servers[system]) & {self._roster.me})

    def rivals(self, system: str, datum: str) -> Rivals:
        return NO_RIVALS
