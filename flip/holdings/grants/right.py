"""The permit of an exclusive system: a claimant's grants, and the guard that watches them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from flip.holdings.call import HookCall
from flip.holdings.grants.claimant import Claimant
from flip.holdings.grants.lease import NOTICE
from flip.holdings.guard.interface import Deadline, Guard
from flip.holdings.tally import LISTED
from flip.wire.messages import ClaimNumber


class Right:
    """Implements `flip.holdings.grants.permit.Permit`.

    :param seconds: the clock that daemon and guard share.
    :param asked: called when there is something to say to the voters.
    :param watched: called with the time at which a right ends unless it is renewed.
    :ivar guard: runs the hooks.
    :ivar over: claims that the voters have yet to hear the end of.
    """

    def __init__(
        self,
        system: str,
        claimant: Claimant,
        guard: Guard,
        seconds: Callable[[], float],
        *,
        asked: Callable[[], None],
        watched: Callable[[float], None],
    ) -> None:
        self.claimant = claimant
        self.over: list[tuple[str, ClaimNumber]] = []
        self._system = system
        self.guard = guard
        self._seconds = seconds
        self._asked = asked
        self._watched = watched
        self._downs: dict[str, HookCall] = {}  # of what was begun
        self._told: set[str] = set()  # which of it has lapsed, and that was said

    def permitted(self, datum: str) -> bool:
        return self.claimant.permitted(datum, self._seconds())

    def lapsed(self, datum: str) -> bool:
        return datum in self._downs and not self.permitted(datum)

    def pursue(self, datum: str) -> None:
        self.claimant.pursue(datum)
        self._asked()

    def begin(self, datum: str, down: HookCall) -> None:
        self._downs[datum] = down
        self.claimant.begin(datum)
        self.arm((datum,))
        deadline = self.claimant.deadline(datum)
        if deadline is not None:
            self._watched(deadline - NOTICE)

    def kill(self, datum: str) -> None:
        self.guard.kill((self._system, datum))

    def relinquish(self, datum: str) -> None:
        self._told.discard(datum)
        if self._downs.pop(datum, None) is not None:
            self.guard.disarm([(self._system, datum)])
        number = self.claimant.relinquish(datum)
        if number is not None:
            self.over.append((datum, number))
            self._asked()

    def arm(self, data: Iterable[str]) -> None:
        """Tell the guard the new deadlines of what was begun."""
        deadlines = {}
        for datum in data:
            at, down = self.claimant.deadline(datum), self._downs.get(datum)
            if at is not None and down is not None:
                deadlines[self._system, datum] = Deadline(at, down)
        if deadlines:
            self.guard.arm(deadlines)

    def lapses(self) -> tuple[list[str], list[str]]:
        """What was begun and has no right any more; and sentences about what is new of it."""
        lapsed = [datum for datum in self._downs if self.lapsed(datum)]
        fresh = [datum for datum in lapsed if datum not in self._told]
        self._told = set(lapsed)
        reasons: dict[str, list[str]] = {}
        for datum in fresh:
            reason = self._explain(datum)
            if reason:
                reasons.setdefault(reason, []).append(datum)
        return lapsed, [f"{_listed(data)}: {reason}" for reason, data in reasons.items()]

    def _explain(self, datum: str) -> str:
        """Why a quorum is missing; empty when that was said for all at once."""
        now, terms = self._seconds(), self.claimant.terms
        answers = self.claimant.grants(datum)
        if len(answers) < terms.quorum:
            return ""
        newest = sorted(answers.values())[-terms.quorum]
        silent = [id for id in terms.voters if answers.get(id, 0.0) <= newest]
        return (
            f"no quorum of voters has answered for {now - newest:.1f} s"
            f" ({', '.join(silent)} silent): lets go before its lease ends"
        )

    def ends(self) -> float | None:
        """When the first right to what was begun ends, unless it is renewed."""
        deadlines = [
            self.claimant.deadline(datum) for datum in self._downs if self.permitted(datum)
        ]
        return min((at - NOTICE for at in deadlines if at is not None), default=None)


def _listed(data: Sequence[str]) -> str:
    more = f" and {len(data) - LISTED} more" if len(data) > LISTED else ""
    return ", ".join(data[:LISTED]) + more
