"""Hears what others did to the addresses that this node keeps, and has it undone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.addresses.kernel import Address, Assigned, Kernel, Link
from flip.holdings.address.kept import Keeping, Kept
from flip.holdings.address.upkeep import Upkeep
from flip.holdings.guard.interface import Point
from flip.holdings.tally import LISTED

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds, when an address keeps vanishing
CALM = 10.0  # seconds that it has to stay for that to be forgotten
QUIET = 60.0  # seconds between two events about it


class Repair:
    """An observer of the kernel (`flip.addresses.kernel.Observer`).

    :param restored: called with what is there again when a link came up.
    :param note: called with what an operator may ask about: a kind, and a sentence.
    """

    def __init__(
        self,
        clock: IReactorTime,
        kernel: Kernel,
        keeping: Keeping,
        upkeep: Upkeep,
        *,
        restored: Callable[[Sequence[Kept]], None],
        note: Callable[[str, str], None],
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._keeping = keeping
        self._upkeep = upkeep
        self._restored = restored
        self._note = note
        self._vanished: list[Address] = []
        self._again: dict[Point, tuple[int, float]] = {}  # how often in a row, the last time
        self._noted: dict[Point, float] = {}
        self._calls: set[IDelayedCall] = set()

    def stop(self) -> None:
        """Repair nothing any more."""
        for call in self._calls:
            call.cancel()
        self._calls.clear()

    def appeared(self, address: Address, assigned: Assigned) -> None:
        """Whoever put it: it is there."""
        kept = self._keeping.owner(address)
        if kept is not None:
            kept.missing -= {address}

    def vanished(self, address: Address) -> None:
        """Gather what vanishes in this turn: a thousand addresses are one event."""
        kept = self._keeping.owner(address)
        if kept is None:
            return
        kept.missing |= {address}
        self._vanished.append(address)
        if len(self._vanished) == 1:
            self._later(0.0, self._look)

    def link_changed(self, name: str, link: Link | None) -> None:
        """Put back what went with the link, and tell the neighbours of all that is on it."""
        if link is None or not link.up:
            return
        here = [kept for kept in self._keeping if kept.assignment.interface == name]
        whole = [kept for kept in here if not kept.missing]
        self._upkeep.renew([kept.point for kept in here if kept.missing])
        self._restored(whole)

    def _look(self) -> None:
        vanished, self._vanished = self._vanished, []
        now = self._clock.seconds()
        over: list[Point] = []
        waits: dict[float, list[Point]] = {}
        news: list[Address] = []
        for address in vanished:
            kept = self._keeping.owner(address)
            if kept is None or address not in kept.missing:
                continue
            link = self._kernel.links().get(address.interface)
            if self._upkeep.has_run_out(kept, now):
                over.append(kept.point)
            elif link is not None and link.up:
                pause = self._pause(kept.point, now)
                waits.setdefault(pause, []).append(kept.point)
                if now - self._noted.get(kept.point, -QUIET) >= QUIET:
                    self._noted[kept.point] = now
                    news.append(address)
        self._report(news)
        self._upkeep.expire(over)
        for pause, points in waits.items():
            self._later(pause, partial(self._upkeep.renew, points))

    def _pause(self, point: Point, now: float) -> float:
        """At once for the first time, then after ever longer pauses while it keeps vanishing."""
        times, last = self._again.get(point, (0, now))
        times = times + 1 if now - last < CALM + LONGEST_PAUSE else 1
        self._again[point] = times, now
        return 0.0 if times <= 1 else min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (times - 2))

    def _report(self, addresses: Sequence[Address]) -> None:
        if not addresses:
            return
        few = ", ".join(str(address) for address in addresses[:LISTED])
        more = f" and {len(addresses) - LISTED} more" if len(addresses) > LISTED else ""
        self._note(
            "address-removed",
            f"somebody else removed {few}{more}: put back (this is told once"
            f" in {QUIET:.0f} s for each)",
        )

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        def go() -> None:
            self._calls.discard(call)
            act()

        call = self._clock.callLater(seconds, go)
        self._calls.add(call)
