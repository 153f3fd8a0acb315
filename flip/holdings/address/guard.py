"""The guard of exclusive systems of addresses: the kernel, which counts down their lifetimes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from twisted.internet.defer import Deferred, succeed

from flip.holdings.address.lifetimes import Lifetimes
from flip.holdings.address.provider import AddressProvider
from flip.holdings.address.upkeep import Upkeep
from flip.holdings.call import HookCall, HookResult
from flip.holdings.guard.interface import Condition, Deadline, LetGo, Point


class KernelGuard:
    """A `flip.holdings.guard.interface.Guard` without a process.

    It never says that it let go: while this process runs, the keeper does so in time, and when
    it does not, nobody is there to be told.
    """

    def __init__(self, provider: AddressProvider, lifetimes: Lifetimes, upkeep: Upkeep) -> None:
        self._provider = provider
        self._lifetimes = lifetimes
        self._upkeep = upkeep

    def run(self, call: HookCall) -> Deferred[HookResult]:
        """Run a call; `alive` fails when less than a second is left until its deadline."""
        done = self._provider.run(call)
        if call.event == "alive":
            done.addCallback(self._begun, (call.system, call.datum))
        return done

    def _begun(self, result: HookResult, point: Point) -> HookResult:
        self._upkeep.be_exact((point,))
        return result

    def arm(self, deadlines: Mapping[Point, Deadline]) -> None:
        """Renew the lifetimes of what is here by its new deadlines, where that is worth it."""
        for point, deadline in deadlines.items():
            self._lifetimes.deadlines[point] = deadline.at
        self._upkeep.extend(deadlines)

    def disarm(self, points: Iterable[Point]) -> None:
        """Nothing of these is here any more."""
        for point in points:
            self._lifetimes.deadlines.pop(point, None)

    def kill(self, point: Point) -> None:
        """Fail an `alive` that waits; what the kernel has been told cannot be stopped."""
        self._provider.cancel(point)

    def on_let_go(self, observer: Callable[[LetGo], None]) -> None:
        """There is never anything to tell."""

    def on_trouble(self, observer: Callable[[str | None], None]) -> None:
        """The kernel dies with its addresses."""

    @property
    def condition(self) -> Condition:
        """How it is."""
        armed = len(self._lifetimes.deadlines)
        return Condition(None, self._provider.ready, armed, 0, None)

    def start(self) -> None:
        """It is there already."""

    def stop(self) -> Deferred[None]:
        """It goes on by itself."""
        return succeed(None)
