"""What one system's hooks did, as log lines: one each, or one for all where there are many."""

from __future__ import annotations

from collections import Counter

from twisted.internet.interfaces import IReactorTime

from flip.log import Logger

LISTED = 20  # moves, or hooks, that have a line each; more are one line in the log

_log = Logger()


class Tally:
    """Reports the results of one system's hooks.

    When more than `LISTED` hooks are due at once, one line follows when all of
    them have ended. A failure is worth a line of its own up to the same number.
    """

    def __init__(self, system: str, clock: IReactorTime) -> None:
        self._system = system
        self._clock = clock
        self._began: float | None = None  # set while results are gathered
        self._done: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._longest = 0.0

    def done(self, event: str, datum: str, duration: float, due: int) -> None:
        """A hook ended well.

        :param duration: seconds.
        :param due: how many hooks run or wait, this one included.
        """
        self._gather(due, duration)
        self._done[event] += 1
        log = _log.info if self._began is None else _log.debug
        log(
            "{system}: {event} {datum} done in {milliseconds:.0f} ms",
            system=self._system,
            event=event,
            datum=datum,
            milliseconds=duration * 1000,
        )

    def failed(self, event: str, datum: str, times: int, reason: str, due: int) -> None:
        """A hook failed, for the `times`-th time in a row."""
        self._gather(due, 0.0)
        self._failed[event] += 1
        listed = self._began is None or self._failed.total() <= LISTED
        log = _log.error if listed else _log.debug
        log(
            "{system}: {event} {datum} failed (attempt {times}): {reason}",
            system=self._system,
            event=event,
            datum=datum,
            times=times,
            reason=reason,
        )

    def idle(self) -> None:
        """No hook runs or waits any more."""
        if self._began is not None:
            events = sorted(self._done.keys() | self._failed.keys())
            log = _log.error if self._failed else _log.info
            log(
                "{system}: {results} in {seconds:.1f} s; the longest took {milliseconds:.0f} ms",
                system=self._system,
                results=", ".join(self._sum(event) for event in events),
                seconds=self._clock.seconds() - self._began,
                milliseconds=self._longest * 1000,
            )
        self._began, self._longest = None, 0.0
        self._done.clear()
        self._failed.clear()

    def _gather(self, due: int, duration: float) -> None:
        if self._began is None and due > LISTED:
            self._began = self._clock.seconds() - duration
            self._done.clear()
            self._failed.clear()
            self._longest = 0.0
        self._longest = max(self._longest, duration)

    def _sum(self, event: str) -> str:
        done, failed = self._done[event], self._failed[event]
        text = f"{event} done for {done} data points"
        return f"{text} and failed {failed} times" if failed else text
