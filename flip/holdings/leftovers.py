"""Data points that the journal names and this node's configuration does not.

Nobody here knows their hooks any more, so the journal's are used; until `down`
has ended well they stay claimed, by name, because members that still run the
older configuration may want them (R4, R7).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.errors import HookFailed
from flip.holdings.hooks import Hook
from flip.holdings.journal import Held, Journal
from flip.holdings.runner import HookCall
from flip.holdings.system import FIRST_PAUSE, LONGEST_PAUSE, Runner
from flip.log import Logger
from flip.wire.claims import Phase

TIMEOUT = 10.0  # seconds; the configuration that said otherwise is gone

_log = Logger()


class Leftovers:
    """Runs the recorded `down` hooks, one after the other, until each has ended well."""

    def __init__(
        self,
        me: str,
        clock: IReactorTime,
        journal: Journal,
        runner: Runner,
        changed: Callable[[], None],
    ) -> None:
        self.errors: dict[tuple[str, str], str] = {}
        self._me = me
        self._clock = clock
        self._journal = journal
        self._runner = runner
        self._changed = changed
        self._left: dict[tuple[str, str], Held] = {}
        self._running = False
        self._retry: IDelayedCall | None = None
        self._pause = FIRST_PAUSE

    def remember(self, recorded: Iterable[Held]) -> None:
        """What the journal names."""
        self._left = {(held.system, held.datum): held for held in recorded}
        for held in self._left.values():
            _log.warn(
                "{system}: {datum} is left from an older configuration and will be released",
                system=held.system,
                datum=held.datum,
            )

    def claims(self) -> dict[str, dict[str, Phase]]:
        """All that is left, as claims."""
        claims: dict[str, dict[str, Phase]] = {}
        for system, datum in self._left:
            claims.setdefault(system, {})[datum] = Phase.UNSURE
        return claims

    def act(self) -> None:
        """This node may let go of things now."""
        if self._left and not self._running and self._retry is None:
            self._running = True
            done = Deferred.fromCoroutine(self._release_each())
            done.addErrback(lambda failure: _log.failure("cannot release leftovers", failure))

    def stop(self) -> None:
        """Try no more."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    async def _release_each(self) -> None:
        for point, held in list(self._left.items()):
            hook = Hook(held.down[0] if held.down else "?", held.down)
            call = HookCall(
                hook, "down", held.system, held.datum, held.config, self._me, TIMEOUT
            )
            try:
                await self._runner.run(call)
            except HookFailed as error:
                self.errors[point] = str(error)
                _log.error(
                    "{system}: cannot release {datum}, left from an older configuration: {error}",
                    system=held.system,
                    datum=held.datum,
                    error=error,
                )
                continue
            del self._left[point]
            self.errors.pop(point, None)
            self._journal.forget(held.system, held.datum)
            self._changed()
        self._running = False
        if self._left:
            self._retry = self._clock.callLater(self._pause, self._try_again)
            self._pause = min(LONGEST_PAUSE, self._pause * 2)

    def _try_again(self) -> None:
        self._retry = None
        self.act()
