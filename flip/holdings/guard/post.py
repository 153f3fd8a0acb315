"""What the guard knows of one data point."""

from __future__ import annotations

from flip.holdings.call import HookCall
from flip.holdings.guard.messages import Run
from flip.holdings.guard.running import Running

PASSED = "its deadline has passed"


class Post:
    """One data point, while there is something to know.

    :ivar at: the deadline, None while it is not armed.
    :ivar leaving: why it is being let go of, None when it is not.
    :ivar gone: the duration of the guard's own `down` that ended well, until the
        daemon has taken note of it.
    :ivar failures: of the guard's own `down`, in a row.
    :ivar orders: those that wait; while a hook runs, none is for `down`, for it ends soon.
    """

    __slots__ = ("at", "down", "failures", "gone", "leaving", "orders", "running")

    def __init__(self) -> None:
        self.at: float | None = None
        self.down: HookCall | None = None
        self.leaving: str | None = None
        self.gone: float | None = None
        self.failures = 0
        self.running: Running | None = None
        self.orders: list[Run] = []

    @property
    def guarded(self) -> bool:
        """Whether something may have to be let go of."""
        return self.at is not None or self.leaving is not None

    @property
    def idle(self) -> bool:
        """Whether there is nothing to remember."""
        return not (self.guarded or self.orders) and self.gone is None and self.running is None

    def runs(self, event: str) -> bool:
        """Whether a hook of this kind runs."""
        return self.running is not None and self.running.call.event == event

    def take_orders(self, event: str) -> list[Run]:
        """Take the orders of one kind off the list."""
        taken = [order for order in self.orders if order.call.event == event]
        self.orders = [order for order in self.orders if order.call.event != event]
        return taken

    def refusal(self, now: float) -> str | None:
        """Why an `alive` must not start, None when it may."""
        if self.leaving is not None or self.gone is not None:
            return "it was let go of in the meantime"
        if self.at is None:
            return "it is not armed"
        return PASSED if self.at <= now else None
