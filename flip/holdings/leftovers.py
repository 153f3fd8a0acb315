"""Data points that the journal names and this node's configuration does not.

Nobody here knows their hooks any more, so the journal's are used; until `down`
has ended well they stay claimed, by name, because members that still run the
older configuration may want them (R4, R7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from flip.holdings.attempts import Runner
from flip.holdings.holding import pause, trouble
from flip.holdings.hooks import Hook
from flip.holdings.journal import Held, Journal
from flip.holdings.runner import HookCall, HookResult
from flip.holdings.tally import LISTED
from flip.log import Logger
from flip.wire.claims import Phase

TIMEOUT = 10.0  # seconds; the configuration that said otherwise is gone
Point = tuple[str, str]  # system, datum

_log = Logger()


class Leftovers:
    """Runs the recorded `down` hooks, one after the other, until each has ended well.

    :param changed: called whenever `claims` changed.
    :ivar errors: why the last try failed, for what it failed for.
    """

    def __init__(
        self,
        me: str,
        clock: IReactorTime,
        journal: Journal,
        runner: Runner,
        changed: Callable[[], None],
    ) -> None:
        self.errors: dict[Point, str] = {}
        self._me = me
        self._clock = clock
        self._journal = journal
        self._runner = runner
        self._changed = changed
        self._left: dict[Point, Held] = {}
        self._round: list[Point] = []  # what has yet to be tried before the next pause
        self._rounds = 0
        self._running = self._stopped = False
        self._retry: IDelayedCall | None = None

    def __contains__(self, point: Point) -> bool:
        return point in self._left

    def remember(self, recorded: Iterable[Held]) -> None:
        """What the journal names."""
        self._left = {(held.system, held.datum): held for held in recorded}
        for held in list(self._left.values())[:LISTED]:
            _log.warn(
                "{system}: {datum} is left from an older configuration and will be released",
                system=held.system,
                datum=held.datum,
            )
        if len(self._left) > LISTED:
            _log.warn(
                "{count} data points in all are left from an older configuration",
                count=len(self._left),
            )

    def claims(self) -> dict[str, dict[str, Phase]]:
        """All that is left, as claims."""
        claims: dict[str, dict[str, Phase]] = {}
        for system, datum in self._left:
            claims.setdefault(system, {})[datum] = Phase.UNSURE
        return claims

    def act(self) -> None:
        """This node may let go of things now."""
        if self._left and not self._running and self._retry is None and not self._stopped:
            self._rounds += 1
            self._round = list(self._left)
            self._release_next()

    def retry(self) -> None:
        """Do not wait for the next round."""
        self._rounds = 0
        if self._retry is not None:
            self._retry.cancel()
            self._try_again()

    def forsake(self, point: Point) -> None:
        """Drop the claim although `down` has not ended well; an operator says so."""
        del self._left[point]
        self.errors.pop(point, None)
        self._journal.forget(*point)
        self._changed()

    def stop(self) -> None:
        """Try no more."""
        self._stopped = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def _release_next(self) -> None:
        while self._round:
            held = self._left.get(self._round.pop())
            if held is not None:
                self._release(held)
                return
        if self._left:
            self._retry = self._clock.callLater(pause(self._rounds), self._try_again)

    def _release(self, held: Held) -> None:
        self._running = True
        hook = Hook.of_record(held.down)
        call = HookCall(
            hook, "down", held.system, held.datum, held.config, self._me, TIMEOUT, held.members
        )
        done = maybeDeferred(self._runner.run, call)
        done.addCallbacks(self._succeeded, self._failed, callbackArgs=(held,), errbackArgs=(held,))
        done.addErrback(lambda failure: _log.failure("cannot release leftovers", failure))

    def _succeeded(self, result: HookResult, held: Held) -> None:
        point = held.system, held.datum
        if self._left.pop(point, None) is not None:
            self.errors.pop(point, None)
            self._journal.forget(*point)
            self._changed()
        self._go_on()

    def _failed(self, failure: Failure, held: Held) -> None:
        reason = trouble(failure)
        point = held.system, held.datum
        if point in self._left:
            self.errors[point] = reason
            if len(self.errors) <= LISTED:
                _log.error(
                    "{system}: cannot release {datum}, left from an older configuration: {error}",
                    system=held.system,
                    datum=held.datum,
                    error=reason,
                )
        self._go_on()

    def _go_on(self) -> None:
        self._running = False
        if not self._stopped:
            # Not from here: thousands of hooks that end at once must exhaust no stack.
            self._retry = self._clock.callLater(0, self._continue)

    def _continue(self) -> None:
        self._retry = None
        self._release_next()

    def _try_again(self) -> None:
        self._retry = None
        self.act()
