"""What a node must still know after it was killed: holdings, incarnation, events."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial

from flip.errors import JournalUnreadable, StateDirectoryInUse
from flip.holdings.disk import Disk
from flip.holdings.store import (
    DOWNS_KEPT,
    DRAINED,
    EVENTS_KEPT,
    Change,
    Contents,
    Event,
    Grant,
    Held,
    Store,
)
from flip.log import Logger

__all__ = ["Event", "Held", "Journal"]

RETRY = 5.0  # seconds between attempts to write again
REPORT = 60.0  # seconds between reports that it cannot be written
Point = tuple[str, str]  # system, datum
FAILURES = (OSError, sqlite3.Error, JournalUnreadable)

_log = Logger()


class Journal:
    """The memory of one node, kept on a disk that no other live node uses.

    What it says while the process runs comes from memory and is always right. A
    disk that is full, read-only or damaged is reported and never in the way:
    `error` says so until everything is on disk again.

    Open it in the process that uses it: a lock and a database do not survive a
    fork.
    """

    def __init__(self, disk: Disk, *, now: Callable[[], float]) -> None:
        """
        :param now: seconds of the wall clock.
        """
        self.path = disk.name
        self.clean = False
        self.error: str | None = None
        self._disk = disk
        self._now = now
        self._store: Store | None = None
        self._contents = Contents()
        self._changes: list[Change] = []
        self._news: deque[Event] = deque(maxlen=EVENTS_KEPT)  # events not on disk yet
        self._opened = self._batching = False
        self.doubtful: set[Point] = set()
        self._tried = self._reported = float("-inf")

    def open(self) -> None:
        """Read what the last life of this node wrote.

        Afterwards `clean` tells whether that is all that it held. It is not when
        the journal was missing or damaged, when its last words did not reach the
        disk, and when the disk takes no writes now. It stays so until the first
        `hold` or `forget`: put all that may be left behind into one `batch`.

        :raises StateDirectoryInUse: a live process uses the directory.
        """
        try:
            store = self._connect()
            self._contents = store.found or self._contents
            self._contents.complete &= not self._disk.stale
            # A write, to see at once whether the disk takes any.
            self._apply(store, self._remember_complete())
        except FAILURES as error:
            self._fail(error)
        self._opened = True
        self.clean = self._contents.complete and self.error is None

    def close(self) -> None:
        """Let the next process have the directory."""
        self._tried = float("-inf")
        self.flush()
        self._opened = False
        if self._store is not None:
            self._store.close()
            self._store = None
        self._disk.unlock()

    @property
    def locked(self) -> bool:
        """Whether the directory is this process's alone; not where it cannot even be locked."""
        return self._disk.locked

    @property
    def incarnation(self) -> int:
        """The last one remembered, 0 if none."""
        return self._contents.incarnation

    def remember_incarnation(self, incarnation: int) -> None:
        # A claim number may have come further than the record's.
        highest = self._contents.incarnation = max(incarnation, self._contents.incarnation)
        self._write(partial(Store.remember, name="incarnation", value=highest))

    @property
    def drained(self) -> frozenset[str]:
        """The systems for which an operator has drained this node."""
        return frozenset(self._contents.drained)

    def drain(self, system: str) -> None:
        """An operator drained this node for a system; on disk before this returns."""
        self._contents.drained.add(system)
        self._remember_drained(system, True)

    def undrain(self, system: str) -> None:
        """It is drained no more; on disk before this returns."""
        if system in self._contents.drained:
            self._contents.drained.discard(system)
            self._remember_drained(system, False)

    def _remember_drained(self, system: str, drained: bool) -> None:
        # An operator gives the command once, and reads that it was done: a power cut, too,
        # must leave it so.
        self._changes.append(partial(Store.remember, name=f"{DRAINED}{system}", value=int(drained)))
        self.flush(durable=True)

    def held(self) -> list[Held]:
        """What is held, or may be."""
        return list(self._contents.held.values())

    def hold(self, held: Held) -> None:
        """Insert, or replace what was known of the same system and datum."""
        self._contents.held[held.system, held.datum] = held
        self._write(partial(Store.hold, held=held))
        self._complete()

    def forget(self, system: str, datum: str) -> None:
        """It is held no more."""
        self._contents.held.pop((system, datum), None)
        self._write(partial(Store.forget, system=system, datum=datum))
        self._complete()

    def grants(self) -> Mapping[Point, Grant]:
        """Whom this node, as a voter, has granted what."""
        return self._contents.grants

    def grant(self, grants: Mapping[Point, Grant]) -> bool:
        """Grant these, on disk before this returns.

        :returns: False when they did not get there for sure, and nothing changed here. On
            disk they may stand all the same: until all is written again, these are `doubtful`.
        """
        if self.error is not None and not self._due():
            return False
        before = self._contents.grants
        self._contents.grants = {**before, **grants}
        self._changes += [
            partial(Store.grant, system=system, datum=datum, grant=grant)
            for (system, datum), grant in grants.items()
        ]
        self.flush(durable=True)
        if self.error is not None:
            self._contents.grants = before
            self.doubtful.update(grants)
        return self.error is None

    def revoke(self, points: Iterable[Point]) -> None:
        """These are granted to nobody."""
        for system, datum in points:
            self._contents.grants.pop((system, datum), None)
            self._write(partial(Store.revoke, system=system, datum=datum))

    def has_grants_of(self, id: str) -> bool:
        """Whether this journal is known to have all grants that the node `id` ever gave."""
        return self._contents.voter == _fingerprint(id)

    def keep_grants_of(self, id: str) -> bool:
        """From now on this journal has all grants of the node `id`; whether that is on disk."""
        self._contents.voter = _fingerprint(id)
        self._changes.append(partial(Store.remember, name="voter", value=self._contents.voter))
        self.flush(durable=True)
        return self.error is None

    def note_down(self, incarnation: int) -> bool:
        """This node was voted down at `incarnation`; False if that was noted before.

        The votes of long ago may reach a later life of this node.
        """
        if incarnation <= self._contents.buried:
            return False
        now = self._now()
        self._contents.buried = incarnation
        self._contents.downs = [*self._contents.downs, now][-DOWNS_KEPT:]
        self._write(
            partial(Store.note_down, time=now),
            partial(Store.remember, name="buried", value=incarnation),
        )
        return True

    def downs_since(self, seconds: float) -> int:
        """How often it was voted down in the last `seconds`."""
        now = self._now()
        return sum(abs(now - time) <= seconds for time in self._contents.downs)

    def note_event(self, kind: str, text: str) -> None:
        """Something an operator may ask about later. The last 10,000 are kept."""
        printable = text.encode(errors="backslashreplace").decode()
        self._news.append(Event(self._now(), kind, printable))
        self._write()

    def events(self, limit: int) -> list[Event]:
        """The last ones, oldest first; only those not yet on disk while it cannot be read."""
        try:
            known = self._store.events(limit) if self._store is not None else []
        except sqlite3.Error as error:
            self._fail(error)
            known = []
        return [*known, *self._news][-limit:]

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Everything written inside reaches the disk as one."""
        self._batching = True
        try:
            yield
        finally:  # what is in memory by now is true, whatever happened then
            self._batching = False
            self.flush()

    def flush(self, *, durable: bool = False) -> None:
        """Write what has not reached the disk, if anything.

        Every change does so by itself. Call it now and then, so that a journal
        that could not be written is whole again soon after the disk is.

        :param durable: wait until it would survive a power cut.
        """
        if not self._opened or not (self._changes or self._news or self.error):
            return
        if self.error is not None and not self._due():
            return
        try:
            if self._store is None:
                # Durable, for nobody knows what of a write that failed is on disk.
                everything = partial(Store.replace, contents=self._contents)
                self._apply(self._connect(), everything, durable=True)
                self.doubtful.clear()
            else:
                self._apply(self._store, *self._changes, durable=durable)
        except (*FAILURES, StateDirectoryInUse) as error:
            self._fail(error)
            return
        if self.error is not None:
            self.error = None
            _log.info("journal {path}: is written again, nothing is missing", path=self.path)

    def _due(self) -> bool:
        """Whether it is time to try again, after a failure."""
        return abs(self._now() - self._tried) >= RETRY

    def _write(self, *changes: Change) -> None:
        self._changes += changes
        if not self._batching:
            self.flush()

    def _complete(self) -> None:
        if not self._contents.complete:
            self._contents.complete = True
            self._write(self._remember_complete())

    def _remember_complete(self) -> Change:
        return partial(Store.remember, name="complete", value=self._contents.complete)

    def _connect(self) -> Store:
        self._disk.lock()
        try:
            self._store = Store(self._disk.connect())
        except JournalUnreadable as error:
            stamp = datetime.fromtimestamp(self._now(), UTC).strftime("%Y%m%dT%H%M%SZ")
            aside = self._disk.set_aside(stamp)
            self._report(f"{error} It is kept as {aside}; here is a new one.")
            self._store = Store(self._disk.connect())
        return self._store

    def _apply(self, store: Store, *changes: Change, durable: bool = False) -> None:
        news = [partial(Store.note_event, event=event) for event in self._news]
        store.apply([*changes, *news], durable=durable)
        self._disk.clear_stale()
        self._changes.clear()
        self._news.clear()

    def _fail(self, error: Exception) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
        self._changes.clear()  # everything is written again, from memory
        if self._disk.locked:
            # Often works on a full disk. Where it does not, nothing more can be done.
            with suppress(OSError):
                self._disk.mark_stale()
        self.error = str(error)
        self._tried = now = self._now()
        if abs(now - self._reported) >= REPORT:
            self._reported = now
            self._report(
                f"cannot be written ({error}). flip goes on; but killed now, it would not know "
                "what it held. Make room, or make the directory writable."
            )

    def _report(self, text: str) -> None:
        _log.error("journal {path}: {text}", path=self.path, text=text)
        self._news.append(Event(self._now(), "journal", text))


def _fingerprint(id: str) -> int:
    """A number for a node's id, which fits a column of SQLite."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") >> 1
