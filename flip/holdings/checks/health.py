"""Is this node fit? Checks that are repeated, and the conclusion from their results.

A first result decides at once: until then a node that starts takes nothing. From then on
`fall` failures in a row make it unfit, and `rise` successes fit again. What ended badly
while this node itself stood still says nothing about the service and is not counted, but
for a node that does so all the time: that is no excuse for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from flip.config import Check, Config
from flip.errors import CheckFailed
from flip.holdings.checks.prober import Prober
from flip.holdings.fitness import Fitness
from flip.log import Logger
from flip.membership.pulse import Pulse
from flip.wire.standing import Standing

UNKNOWN = "its health check has not ended yet"
FAILS = "its health check fails"
PATIENCE = 3.0  # seconds after its timeout in which a check that runs has to be ended
PERIOD = 0.25  # seconds between two looks whether this node stood still

_log = Logger()


class Condition(NamedTuple):
    """What the checks of a system found.

    :ivar fit: None before the first result.
    :ivar since: when that began, by the reactor's clock.
    :ivar successes: in a row, at most as many as are needed; so are `failures`.
    :ivar reason: of the last failure, empty after a success.
    """

    fit: bool | None
    since: float
    successes: int
    failures: int
    reason: str


class HealthCheck:
    """The check of one system, again and again.

    :param stalled: whether this node has stood still since a time.
    :param note: called with what an operator may ask about later: a kind, and a sentence.
    """

    def __init__(
        self,
        system: str,
        check: Check,
        clock: IReactorTime,
        prober: Prober,
        fitness: Fitness,
        *,
        stalled: Callable[[float], bool],
        note: Callable[[str, str], None],
    ) -> None:
        self.condition = Condition(None, clock.seconds(), 0, 0, "")
        self._system = system
        self._check = check
        self._clock = clock
        self._prober = prober
        self._fitness = fitness
        self._stalled = stalled
        self._note = note
        self._began = self._watched = 0.0
        self._excused = 0  # failures in a row that were not counted
        self._timer: IDelayedCall | None = None
        self._probe: Deferred[None] | None = None
        self._stopped = False

    def start(self) -> None:
        """Take nothing until something is known, and begin."""
        self._fitness.exclude(UNKNOWN, None, (self._system,), Standing.UNKNOWN)
        self._begin()

    def stop(self) -> None:
        """End what runs, and begin no other."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._probe is not None:
            self._probe.cancel()

    def _begin(self) -> None:
        self._began = self._watched = self._clock.seconds()
        self._wait(self._check.timeout + PATIENCE, self._overdue)
        # It may end in this very call.
        probe = self._probe = maybeDeferred(self._prober.probe, self._system)
        probe.addCallbacks(lambda _: None, _reason).addCallback(self._ended).addErrback(
            lambda failure: _log.failure("a health check's result could not be judged", failure)
        )

    def _ended(self, reason: str | None) -> None:
        """A probe has ended; the reason says why it failed, None that it did not."""
        self._probe = None
        if self._stopped:
            return
        # First of all, so that there is a next time whatever happens here.
        elapsed = self._clock.seconds() - self._began
        self._wait(max(0.0, self._check.interval - elapsed), self._begin)
        self._judge(reason)

    def _overdue(self) -> None:
        """It cannot be ended, and another one beside it would only be stuck as well."""
        self._wait(self._check.interval, self._overdue)
        watched, self._watched = self._watched, self._clock.seconds()
        if self._stalled(watched):
            return  # it may have ended; that is read after all timers that are late
        elapsed = self._clock.seconds() - self._began
        self._judge(f"it has not ended after {elapsed:.0f} s, and cannot be ended")

    def _wait(self, seconds: float, call: Callable[[], None]) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(seconds, call)

    def _judge(self, reason: str | None) -> None:
        name, before = self._system, self.condition
        if reason is None:
            self._excused = 0
            successes = before.successes + 1
            self.condition = before._replace(successes=successes, failures=0, reason="")
            if before.fit is None or (not before.fit and successes >= self._check.rise):
                self._become(True, f"{name}: this node is fit{self._again()}")
            return
        if self._stalled(self._began) and self._excused < self._check.fall:
            self._excused += 1
            _log.info(
                "{system}: a health check does not count, this node stood still: {reason}",
                system=name,
                reason=reason,
            )
            return
        failures = before.failures + 1
        self.condition = before._replace(successes=0, failures=failures, reason=reason)
        if before.fit is None or (before.fit and failures >= self._check.fall):
            often = "" if failures == 1 else f" {failures} times in a row"
            self._become(False, f"{name}: this node is unfit, its check failed{often}: {reason}")
        elif before.fit:
            count = f"{failures} of {self._check.fall}"
            _log.warn(
                "{system}: the health check failed ({count}): {reason}",
                system=name,
                count=count,
                reason=reason,
            )

    def _again(self) -> str:
        if self.condition.fit is None:
            return ""
        return f" again, after {self._clock.seconds() - self.condition.since:.1f} s"

    def _become(self, fit: bool, text: str) -> None:
        (_log.info if fit else _log.warn)("{text}", text=text)
        self._note("fit" if fit else "unfit", text)
        self.condition = self.condition._replace(fit=fit, since=self._clock.seconds())
        if fit:
            self._fitness.admit(FAILS, self._system)
        else:
            self._fitness.exclude(FAILS, None, (self._system,))
        self._fitness.admit(UNKNOWN, self._system)


class HealthChecks:
    """The checks of all systems that this server lists.

    :param prober: carries them out; None where no system has one.
    :param note: called with what an operator may ask about: a kind, and a sentence.
    """

    def __init__(
        self,
        config: Config,
        clock: IReactorTime,
        prober: Prober | None,
        fitness: Fitness,
        note: Callable[[str, str], None],
    ) -> None:
        self._clock = clock
        self._stood_still = float("-inf")
        self._pulse = Pulse(clock, PERIOD, self._late)
        self._checks: dict[str, HealthCheck] = {}
        for name in config.me.systems:
            check = config.systems[name].check
            if check is not None and prober is not None:
                self._checks[name] = HealthCheck(
                    name, check, clock, prober, fitness, stalled=self._stalled, note=note
                )

    @property
    def conditions(self) -> Mapping[str, Condition]:
        """What was found, by system."""
        return {name: check.condition for name, check in self._checks.items()}

    def start(self) -> None:
        """Begin; until its first result a system is not served."""
        if self._checks:
            self._pulse.start()
        for check in self._checks.values():
            check.start()

    def stop(self) -> None:
        """End them."""
        self._pulse.stop()
        for check in self._checks.values():
            check.stop()

    def _stalled(self, since: float) -> bool:
        self._pulse.check()
        return self._stood_still >= since

    def _late(self, silence: float) -> None:
        self._stood_still = self._clock.seconds()


def _reason(failure: Failure) -> str:
    """Why a probe failed. Anything but `CheckFailed` is a bug, and goes to the log as one."""
    if isinstance(failure.value, CheckFailed):
        return failure.value.details
    if isinstance(failure.value, CancelledError):
        return "it was given up"
    _log.failure("a health check could not be carried out", failure)
    return failure.getErrorMessage()
