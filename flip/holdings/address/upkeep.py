"""Keeps addresses there: renews their lifetimes, and puts back what is missing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from errno import ETIME

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from flip.addresses.kernel import Kernel, Put, Remove
from flip.config import System
from flip.errors import AddressError, HookFailed
from flip.holdings.address.kept import Keeping, Kept
from flip.holdings.address.lifetimes import Lifetimes
from flip.holdings.guard.interface import Point
from flip.holdings.tally import LISTED
from flip.log import Logger
from flip.membership.repeat import repeating

RENEWALS = 3  # within a kernel lease
RETRY = 0.5  # seconds until what the kernel refused is tried again
WORTH = 0.25  # seconds by which an answer of a voter must prolong a lifetime to be told
EARLY = 0.05  # seconds by which the kernel may end a lifetime early

_log = Logger()


class Upkeep:
    """Renews and repairs what is kept.

    :param restored: called with addresses that are there again, to be announced.
    :param lost: called with the data points whose lifetime has run out meanwhile: this process
        stood still, and whether they may come back is not for it to say.
    :param trouble: called with what is wrong, None when it is well again.
    """

    def __init__(
        self,
        clock: IReactorTime,
        kernel: Kernel,
        systems: Mapping[str, System],
        keeping: Keeping,
        lifetimes: Lifetimes,
        *,
        restored: Callable[[Sequence[Kept]], None],
        lost: Callable[[Sequence[Point]], None],
        trouble: Callable[[str | None], None],
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._keeping = keeping
        self._lifetimes = lifetimes
        self._restored = restored
        self._lost = lost
        self._trouble = trouble
        self._failing: dict[Point, str] = {}
        self._retry: IDelayedCall | None = None
        self._exact: IDelayedCall | None = None
        self._loops = {
            name: repeating(clock, self._renewing(name), f"renewing the addresses of {name}")
            for name in systems
            if lifetimes.lease(name)
        }

    def start(self) -> None:
        """Begin to renew."""
        for name, loop in self._loops.items():
            loop.start(self._lifetimes.lease(name) / RENEWALS, now=False)

    def stop(self) -> None:
        """Renew nothing any more."""
        for loop in self._loops.values():
            _stop(loop)
        for call in (self._retry, self._exact):
            if call is not None and call.active():
                call.cancel()
        self._retry = self._exact = None

    def renew(self, points: Iterable[Point]) -> None:
        """Give these their lifetimes anew, in one batch; what is missing is put back by that."""
        now = self._clock.seconds()
        renewed: list[tuple[Kept, int | None]] = []
        lost: list[Point] = []
        for point in points:
            kept = self._keeping.by_point.get(point)
            if kept is None:
                continue
            if self.has_run_out(kept, now) and not self._lifetimes.exclusive(point[0]):
                lost.append(point)  # one that is granted still may be put back at any time
                continue
            try:
                renewed.append((kept, self._lifetimes.valid(point, now)))
            except HookFailed:
                continue  # too late: the kernel ends it, and the keeper lets go of it, too
        self.expire(lost)
        for kept, valid in renewed:
            kept.asked = -math.inf if valid is None else now + valid
        puts = [kept.puts(valid, self._lifetimes.by(kept.point)) for kept, valid in renewed]
        if puts:
            self._kernel.apply([put for some in puts for put in some]).addCallbacks(
                lambda errors: self._renewed(renewed, puts, errors, now),
                lambda failure: self._broken(renewed, failure),
            ).addErrback(lambda failure: _log.failure("addresses: renewals were lost", failure))

    def extend(self, points: Iterable[Point]) -> None:
        """Renew exclusive data points whose deadlines moved, where that gains anything.

        Every answer of every voter moves them, often by milliseconds only.
        """
        now, points = self._clock.seconds(), list(points)
        self.renew([point for point in points if self._gains(point, now)])
        self.be_exact(points)

    def _gains(self, point: Point, now: float) -> bool:
        kept = self._keeping.by_point.get(point)
        if kept is None:
            return False
        left = self._lifetimes.deadlines.get(point, now) - now
        known = max(kept.asked, -math.inf if kept.ends is None else kept.ends)
        return bool(kept.missing) or now + math.floor(left) >= known + WORTH

    def expire(self, points: Iterable[Point]) -> None:
        """The kernel has ended these: ordinary ones are lost, exclusive ones wait for grants."""
        lost = [point for point in points if not self._lifetimes.exclusive(point[0])]
        for point in lost:
            self._keeping.forget(point)
        if lost:
            self._lost(lost)

    def has_run_out(self, kept: Kept, now: float) -> bool:
        """Whether the kernel may have ended a lifetime that nobody renewed in time."""
        return kept.ends is not None and now >= kept.ends - EARLY

    def be_exact(self, points: Iterable[Point]) -> None:
        """Renew exclusive data points once more, at the moment when the seconds are whole."""
        now = self._clock.seconds()
        times = [self._lifetimes.exact(point, now) for point in points if point in self._keeping]
        first = min((time for time in times if time is not None), default=None)
        if first is None:
            return
        if self._exact is not None and self._exact.active():
            if self._exact.getTime() <= first:
                return
            self._exact.cancel()
        self._exact = self._clock.callLater(max(0.0, first - now), self._renew_exactly)

    def _renewing(self, system: str) -> Callable[[], None]:
        return lambda: self.renew([kept.point for kept in self._keeping if kept.point[0] == system])

    def _renew_exactly(self) -> None:
        now = self._clock.seconds()
        due: list[Point] = []
        later: list[Point] = []
        for kept in self._keeping:
            if not self._lifetimes.exclusive(kept.point[0]) or kept.ends is None:
                continue
            left = self._lifetimes.deadlines.get(kept.point, now) - now
            if left < 1:
                continue
            # The kernel would end it earlier than it has to, by what was not a whole second.
            (due if now + math.floor(left) > kept.ends + EARLY else later).append(kept.point)
        self.renew(due)
        self.be_exact(later)

    def _renewed(
        self,
        renewed: Sequence[tuple[Kept, int | None]],
        puts: Sequence[Sequence[Put]],
        errors: Sequence[AddressError | None],
        told: float,
    ) -> None:
        at = 0
        back: list[Kept] = []
        for (kept, valid), some in zip(renewed, puts, strict=True):
            own, at = errors[at : at + len(some)], at + len(some)
            if self._keeping.by_point.get(kept.point) is not kept:
                # It was let go of meanwhile; that followed this batch into the kernel.
                continue
            kept.asked = -math.inf
            if any(error and error.errno == ETIME for error in own):
                self._take_back(kept)
                continue
            refused = {put.address: error for put, error in zip(some, own, strict=True) if error}
            if not refused:  # else the first of them ends when it was to end before
                kept.ends = None if valid is None else told + valid
            if kept.missing - refused.keys():
                back.append(kept)
            kept.missing = frozenset(kept.missing & refused.keys())
            if refused:
                address, error = next(iter(refused.items()))
                self._failing[kept.point] = f"{address}: {error}"
            else:
                self._failing.pop(kept.point, None)
        self._report()
        if back:
            self._restored(back)

    def _take_back(self, kept: Kept) -> None:
        """The kernel was told too late: what it was told, if anything, may be too much.

        With the next answer of the voters it is put again.
        """
        self._failing.pop(kept.point, None)
        kept.ends, kept.missing = self._clock.seconds(), frozenset(kept.assignment.addresses)
        self._kernel.apply([Remove(address) for address in kept.assignment.addresses]).addErrback(
            lambda failure: _log.failure("addresses cannot be taken back", failure)
        )

    def _broken(self, renewed: Sequence[tuple[Kept, int | None]], failure: Failure) -> None:
        for kept, _ in renewed:
            self._failing[kept.point] = failure.getErrorMessage()
        self._report()

    def _report(self) -> None:
        for point in [point for point in self._failing if point not in self._keeping]:
            del self._failing[point]
        if not self._failing:
            self._trouble(None)
            return
        few = [f"{datum}: {why}" for (_, datum), why in list(self._failing.items())[:LISTED]]
        more = len(self._failing) - len(few)
        self._trouble("; ".join(few) + (f"; and {more} more" if more else ""))
        if self._retry is None or not self._retry.active():
            self._retry = self._clock.callLater(RETRY, self._try_again)

    def _try_again(self) -> None:
        self.renew(list(self._failing))
        if not any(point in self._keeping for point in self._failing):
            self._report()  # this node let go of all of it: no renewal will say that it is well


def _stop(loop: LoopingCall) -> None:
    if loop.running:
        loop.stop()
