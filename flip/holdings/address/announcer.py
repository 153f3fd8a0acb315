"""Tells the neighbours where addresses are: at once, and again after a while."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from flip.addresses.kernel import Address, Kernel
from flip.config import System
from flip.holdings.address.kept import Kept
from flip.log import Logger

QUIET = 60.0  # seconds between two reports that the kernel refuses

_log = Logger()


class Announcer:
    """Announces what is kept.

    :param systems: by name, those with this provider.
    :param kept: whether an address is still kept here.
    """

    def __init__(
        self,
        clock: IReactorTime,
        kernel: Kernel,
        systems: Mapping[str, System],
        kept: Callable[[Address], bool],
    ) -> None:
        self._clock = clock
        self._kernel = kernel
        self._times = {
            name: system.addressing.announcements
            for name, system in systems.items()
            if system.addressing is not None
        }
        self._kept = kept
        self._series: dict[Address, int] = {}  # the latest of an address
        self._count = 0
        self._calls: set[IDelayedCall] = set()
        self._reported = -QUIET

    def tell(self, kept: Iterable[Kept]) -> None:
        """Begin a series for these, as their systems have it, in one announcement for each."""
        addresses: dict[str, list[Address]] = {}
        for one in kept:
            addresses.setdefault(one.point[0], []).extend(one.assignment.addresses)
        for system, some in addresses.items():
            self.begin(some, self._times[system])

    def begin(self, addresses: Iterable[Address], times: Sequence[float]) -> None:
        """Announce these at `times`, in seconds from now; what was planned for them is dropped."""
        announced = tuple(addresses)
        if not announced:
            return
        self._count += 1
        self._series.update(dict.fromkeys(announced, self._count))
        for after in times:
            if after:
                self._later(after, announced, self._count, last=after == times[-1])
            else:
                self._announce(announced)
        if not times or not times[-1]:
            self._finish(announced, self._count)

    def stop(self) -> None:
        """Say nothing more."""
        for call in self._calls:
            call.cancel()
        self._calls.clear()
        self._series.clear()

    def _later(
        self, after: float, addresses: tuple[Address, ...], series: int, *, last: bool
    ) -> None:
        def speak() -> None:
            self._calls.discard(call)
            self._announce(one for one in addresses if self._series.get(one) == series)
            if last:
                self._finish(addresses, series)

        call = self._clock.callLater(after, speak)
        self._calls.add(call)

    def _finish(self, addresses: Iterable[Address], series: int) -> None:
        for address in addresses:
            if self._series.get(address) == series:
                del self._series[address]

    def _announce(self, addresses: Iterable[Address]) -> None:
        here = [address for address in addresses if self._kept(address)]
        if here:
            self._kernel.announce(here).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        now = self._clock.seconds()
        if now - self._reported >= QUIET:
            self._reported = now
            _log.error(
                "addresses cannot be announced, so neighbours may look for them where they were:"
                " {error}",
                error=failure.getErrorMessage(),
            )
