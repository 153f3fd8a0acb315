"""Runs the hooks of one system, and draws the conclusions: what is held, what is tried again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from flip.config import System
from flip.holdings.book import Book
from flip.holdings.call import Hook, HookCall, HookResult
from flip.holdings.grants.permit import Permit
from flip.holdings.holding import Holding, pause, trouble
from flip.holdings.tally import Tally
from flip.log import Logger
from flip.wire.claims import Phase

CLEANING_ATTEMPTS = 3  # of what was never claimed; a claim is never dropped by giving up

_log = Logger()


class Runner(Protocol):
    """Runs one hook; the Deferred fails with `HookFailed`."""

    def run(self, call: HookCall) -> Deferred[HookResult]: ...


class Attempts:
    """The runs of one system's hooks.

    :param outstanding: how many hooks run or wait, for the log.
    :param mark: called with each data point that has to be decided about anew.
    :param drop: called with each data point that is here no more.
    :param gave_up: called when `alive` failed too often; returns whether others take
        over (R3).
    :ivar given_up: what this node failed to bring up and let go of, and why.
    """

    def __init__(
        self,
        me: str,
        system: System,
        alive: Hook,
        clock: IReactorTime,
        book: Book,
        runner: Runner,
        permit: Permit,
        tally: Tally,
        *,
        outstanding: Callable[[], int],
        mark: Callable[[str], None],
        drop: Callable[[str, Holding], None],
        gave_up: Callable[[], bool],
    ) -> None:
        self.given_up: dict[str, str] = {}
        self._me = me
        self._system = system
        self._alive = alive
        self._clock = clock
        self._book = book
        self._runner = runner
        self._permit = permit
        self._tally = tally
        self._outstanding = outstanding
        self._mark = mark
        self._drop = drop
        self._gave_up = gave_up
        self._stopped = False

    def stop(self) -> None:
        """Plan no further tries; hooks that run are left to end."""
        self._stopped = True

    def alive(self, datum: str, holding: Holding) -> Deferred[None]:
        """Run `alive`; what undoes it is told to whoever watches over the right to it."""
        holding.started, holding.begun, holding.again = True, True, False
        down = self._down(datum, holding)
        self._permit.begin(datum, down)
        members, config = self._book.present(datum)
        # What is held stays, when to run `alive` once more fails for one member of a group.
        undo = down.hook if holding.phase is Phase.TAKING and len(members) > 1 else None
        call = self._call("alive", datum, self._alive, members, config)
        return self._run(call._replace(undo=undo), holding)

    def keep(self, datum: str, holding: Holding) -> None:
        """What was being taken turned out to be here already."""
        if holding.phase is Phase.TAKING:
            _log.info("{system}: {datum} is here already", system=self._system.name, datum=datum)
            self._book.hold(datum)
            self.given_up.pop(datum, None)

    def down(self, datum: str, holding: Holding) -> Deferred[None]:
        """Run `down`."""
        return self._run(self._down(datum, holding), holding)

    def _down(self, datum: str, holding: Holding) -> HookCall:
        return self._call("down", datum, *self._book.down(datum, holding))

    def _call(
        self, event: str, datum: str, hook: Hook, members: tuple[str, ...], config: str
    ) -> HookCall:
        name, timeout = self._system.name, self._system.hook_timeout
        return HookCall(hook, event, name, datum, config, self._me, timeout, members)

    def _run(self, call: HookCall, holding: Holding) -> Deferred[None]:
        holding.running = call.event
        done = maybeDeferred(self._runner.run, call).addCallbacks(
            lambda result: self._succeeded(call.event, call.datum, holding, result),
            lambda failure: self._failed(call.event, call.datum, holding, failure),
        )
        return done.addErrback(
            lambda failure: _log.failure("the keeper failed over a hook's result", failure)
        )

    def _succeeded(self, event: str, datum: str, holding: Holding, result: HookResult) -> None:
        self._tally.done(event, datum, result.duration, self._outstanding())
        holding.running = holding.error = None
        holding.failures = 0
        if event == "down":
            self._drop(datum, holding)
        elif holding.phase is Phase.TAKING:
            self._book.hold(datum)
            self.given_up.pop(datum, None)
        self._mark(datum)

    def _failed(self, event: str, datum: str, holding: Holding, failure: Failure) -> None:
        reason = trouble(failure)
        holding.running = None
        holding.failures += 1
        holding.error = f"{event}: {reason}"
        holding.again = holding.again or (event == "alive" and holding.phase is Phase.HELD)
        self._tally.failed(event, datum, holding.failures, reason, self._outstanding())
        if self._stopped:
            return
        if holding.phase is None and (
            not holding.cleaning or holding.failures >= CLEANING_ATTEMPTS
        ):
            self._drop(datum, holding)
            return
        tried_enough = event == "alive" and holding.failures >= self._system.alive_attempts
        if self._permit.lapsed(datum):
            tried_enough = False  # it was killed, and may be as good as any other
        if tried_enough and self._gave_up():
            self.given_up[datum] = holding.error
        holding.retry = self._clock.callLater(pause(holding.failures), self._resume, datum, holding)
        self._mark(datum)

    def _resume(self, datum: str, holding: Holding) -> None:
        holding.retry = None
        self._mark(datum)
