"""When this node may take and let go (R1), and what it says of itself meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.membership.service import Membership
from flip.wire.messages import Status


class Gate:
    """Follows membership's `in_touch` and `settled`.

    :param delay: seconds between settling and acting, so that what several nodes
        learn at a start becomes one plan.
    :param timeout: seconds out of touch after which a node counts as isolated.
    :param patience: seconds that a node in touch may take to settle before it says so.
    :param changed: called whenever `open` or `isolated` changed.
    :param unsettled: called with True when patience ran out, with False on settling.
    """

    def __init__(
        self,
        clock: IReactorTime,
        membership: Membership,
        *,
        delay: float,
        timeout: float,
        patience: float,
        changed: Callable[[], None],
        unsettled: Callable[[bool], None],
    ) -> None:
        self.open = False
        self.isolated = False
        self.leaving = False
        self._clock = clock
        self._membership = membership
        self._delay = delay
        self._timeout = timeout
        self._patience = patience
        self._changed = changed
        self._unsettled = unsettled
        self._timers: dict[str, IDelayedCall] = {}

    def update(self) -> None:
        """Look at membership again."""
        if self._membership.in_touch:
            self._cancel("isolation")
            self._set(isolated=False)
        else:
            self._after("isolation", self._timeout, lambda: self._set(isolated=True))
        if self._membership.settled:
            self._cancel("patience")
            self._unsettled(False)
            self._say(Status.ACTIVE)
            if not self.open:
                self._after("opening", self._delay, lambda: self._set(open=True))
        else:
            self._cancel("opening")
            if self._membership.in_touch:
                self._after("patience", self._patience, lambda: self._unsettled(True))
            else:
                # Out of touch it cannot be helped: the others decide by their votes.
                self._cancel("patience")
            self._say(Status.JOINING)
            self._set(open=False)

    def leave(self) -> None:
        """From now on the status is for the departure to say."""
        self.leaving = True

    def stop(self) -> None:
        """Cancel all timers."""
        for name in list(self._timers):
            self._cancel(name)

    def _say(self, status: Status) -> None:
        if not self.leaving:
            self._membership.amend(status=status)

    def _set(self, *, open: bool | None = None, isolated: bool | None = None) -> None:
        before = self.open, self.isolated
        self.open = self.open if open is None else open
        self.isolated = self.isolated if isolated is None else isolated
        if (self.open, self.isolated) != before:
            self._changed()

    def _after(self, name: str, seconds: float, call: Callable[[], None]) -> None:
        """Call once, unless that is pending or has happened since the last `_cancel`."""
        if name not in self._timers:
            self._timers[name] = self._clock.callLater(seconds, call)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None and timer.active():
            timer.cancel()
