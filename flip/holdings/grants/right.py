"""The permit of an exclusive system: a claimant's grants, and the guard that watches them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from flip.holdings.call import HookCall
from flip.holdings.grants.claimant import Claimant
from flip.holdings.grants.lease import NOTICE
from flip.holdings.guard.interface import Deadline, Guard
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

    def permitted(self, datum: str) -> bool:
        return self.claimant.permitted(datum, self._seconds())

    def lapsed(self, datum: str) -> bool:
        return datum in self._downs and not self.permitted(datum)

    def pursue(self, datum: str) -> None:
        self.claimant.pursue(datum)
        self._asked()

    def begin(self, datum: str, down: HookCall) -> None:
        self._downs[datum] = down
        self.arm((datum,))
        deadline = self.claimant.deadline(datum)
        if deadline is not None:
            self._watched(deadline - NOTICE)

    def kill(self, datum: str) -> None:
        self.guard.kill((self._system, datum))

    def relinquish(self, datum: str) -> None:
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

    def begun(self) -> list[str]:
        """What has to be let go of when the right to it ends."""
        return list(self._downs)

    def lapses(self) -> float | None:
        """When the first right to what was begun ends, unless it is renewed."""
        deadlines = [
            self.claimant.deadline(datum) for datum in self._downs if self.permitted(datum)
        ]
        return min((at - NOTICE for at in deadlines if at is not None), default=None)
