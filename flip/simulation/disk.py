"""A machine's disk in memory: it survives killed processes, and can be lost."""

from __future__ import annotations

import random
import sqlite3
from types import TracebackType
from typing import Any, Literal

from flip.errors import StateDirectoryInUse

SYNCHRONOUS = "PRAGMA synchronous"  # FULL: a commit waits until it would survive a power cut


class _Database(sqlite3.Connection):
    """Survives the process that closes it, as a file does.

    :ivar durable: all of it, as it was at the last commit that waited for the disk.
    """

    durable: bytes | None = None
    _waits = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith(SYNCHRONOUS):
            self._waits = sql.endswith("FULL")
        return super().execute(sql, parameters)

    def __exit__(
        self,
        type: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
        /,
    ) -> Literal[False]:
        super().__exit__(type, value, traceback)
        if self._waits and value is None:
            self.durable = self.serialize()
        return False

    def close(self) -> None:
        """Undo what is not committed; `discard` really closes."""
        self.rollback()

    def discard(self) -> None:
        super().close()


class MemoryDisk:
    """What the processes of one machine leave to one another.

    :param name: for people.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.stale = False
        self.user: Mount | None = None
        self._database: _Database | None = None
        self._writable = True

    @property
    def writable(self) -> bool:
        """Whether anything new can be written; a disk that is full takes nothing."""
        return self._writable

    @writable.setter
    def writable(self, writable: bool) -> None:
        self._writable = writable
        if self._database is not None:
            self._database.execute(f"PRAGMA query_only = {not writable:d}")

    def mount(self) -> Mount:
        """The disk as one process sees it."""
        return Mount(self)

    def database(self) -> sqlite3.Connection:
        """What is on it; made when there is nothing."""
        if self._database is None:
            if not self.writable:
                raise OSError(f"no space left on {self.name}")
            self._database = sqlite3.connect(":memory:", isolation_level=None, factory=_Database)
        return self._database

    def recorded(self) -> set[tuple[str, str]] | None:
        """The data points that the journal names; None when it does not claim to name all."""
        if self._database is None or self.stale:
            return None
        complete = "SELECT value FROM facts WHERE name = 'complete'"
        if self._database.execute(complete).fetchone() not in ((1,), (True,)):
            return None
        return set(self._database.execute("SELECT system, datum FROM held"))

    def lose_power(self, rng: random.Random) -> None:
        """Lose what was committed since the last commit that waited for the disk, or nothing.

        Where none ever waited, nothing is lost: the system wrote it back long ago.
        """
        database = self._database
        if database is not None and database.durable is not None and rng.random() < 0.5:
            database.deserialize(database.durable)

    def lose(self) -> None:
        """Replace it by an empty one."""
        if self._database is not None:
            self._database.discard()
        self._database = None
        self.stale = False


class Mount:
    """A `flip.holdings.disk.Disk`: what one process has of its machine's disk."""

    def __init__(self, disk: MemoryDisk) -> None:
        self._disk = disk

    @property
    def name(self) -> str:
        return self._disk.name

    @property
    def locked(self) -> bool:
        return self._disk.user is self

    @property
    def stale(self) -> bool:
        return self._disk.stale

    def lock(self) -> None:
        if self._disk.user not in (None, self):
            raise StateDirectoryInUse(f"Another simulated process uses {self.name}.")
        self._disk.user = self

    def unlock(self) -> None:
        if self.locked:
            self._disk.user = None

    def vanish(self) -> None:
        """The process is gone, whatever it was about to write."""
        if self.locked:
            self._disk.database().rollback()
            self._disk.user = None

    def connect(self) -> sqlite3.Connection:
        return self._disk.database()

    def mark_stale(self) -> None:
        self._refuse_full()
        self._disk.stale = True

    def clear_stale(self) -> None:
        if self._disk.stale:
            self._refuse_full()
            self._disk.stale = False

    def set_aside(self, mark: str) -> str:
        self._disk.lose()
        return f"{self.name}.unreadable-{mark}"

    def _refuse_full(self) -> None:
        if not self._disk.writable:
            raise OSError(f"no space left on {self.name}")
