"""A voter that cannot know what it has granted says nothing until all of that is over (E4)."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from flip.config import Config
from flip.holdings.grants.lease import kept
from flip.holdings.journal import Journal
from flip.log import Logger

_log = Logger()


class Silence:
    """From the start of a node until it may vote.

    Its journal says that it has all grants that this node ever gave: on the disk of
    another node, or on a new one, it does not. It says so only after a whole silence, so
    that a node which is restarted meanwhile begins another one.

    :ivar until: when it ends, in seconds of the clock; in the past without one.
    """

    def __init__(self, config: Config, clock: IReactorTime, journal: Journal) -> None:
        self._clock = clock
        self._journal = journal
        self._id = config.id
        self._timer: IDelayedCall | None = None
        leases = [
            kept(system.lease) for system in config.systems.values() if config.id in system.voters
        ]
        whole = journal.has_grants_of(config.id)
        self._seconds = 0.0 if whole else max(leases, default=0.0)
        self.until = clock.seconds() + self._seconds

    @property
    def alarm(self) -> str:
        """What an operator has to know, empty when there is nothing."""
        left = self.until - self._clock.seconds()
        return self._describe(left) if left > 0 else ""

    def begin(self) -> None:
        """Say why nothing is said, and end it in time."""
        if self._seconds:
            text = self._describe(self._seconds)
            _log.warn("{text}", text=text)
            self._journal.note_event("silent", text)
            self._timer = self._clock.callLater(self._seconds, self._end)

    def stop(self) -> None:
        """The node ends before the silence does."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def _describe(self, seconds: float) -> str:
        return (
            "as a voter of exclusive systems this node is silent for"
            f" {seconds:.1f} s: its journal is new, or lost what an earlier life has granted"
        )

    def _end(self) -> None:
        if self._journal.keep_grants_of(self._id):
            _log.info("this node votes for exclusive systems from now on")
