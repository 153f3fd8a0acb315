"""Where a journal lives: a directory of its own, and what a journal needs of it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from flip.holdings.lock import DirectoryLock

BUSY_TIMEOUT = 0.1  # seconds that somebody's sqlite3 shell may hold up the reactor


class Disk(Protocol):
    """What survives a process. Every method but `unlock` may raise OSError."""

    @property
    def name(self) -> str:
        """Where the database is, for people."""

    @property
    def locked(self) -> bool:
        """Whether this process has the disk to itself."""

    @property
    def stale(self) -> bool:
        """Whether the database missed something, as `mark_stale` noted."""

    def lock(self) -> None:
        """Keep all other processes away, or go on doing so.

        :raises StateDirectoryInUse: a live process has the disk.
        """

    def unlock(self) -> None:
        """Let the next process have it."""

    def connect(self) -> sqlite3.Connection:
        """Open the database, which is made if it is missing; every statement by itself commits.

        :raises OSError, sqlite3.Error: it cannot be opened or made.
        """

    def mark_stale(self) -> None:
        """Note that the database misses something."""

    def clear_stale(self) -> None:
        """The database is whole again."""

    def set_aside(self, mark: str) -> str:
        """Move an unreadable database out of the way; returns its new name."""


class StateDirectory:
    """The disk of a node in production: a directory that no other live node uses.

    :param path: made with mode 0700 if it is missing.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = path / "journal.sqlite"
        self._stale = path / "journal.stale"
        self._lock = DirectoryLock(path)

    @property
    def name(self) -> str:
        return str(self._database)

    @property
    def locked(self) -> bool:
        return self._lock.held

    @property
    def stale(self) -> bool:
        return self._stale.exists()

    def lock(self) -> None:
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.acquire()

    def unlock(self) -> None:
        self._lock.release()

    def connect(self) -> sqlite3.Connection:
        # Hooks' config may hold secrets.
        os.close(os.open(self._database, os.O_RDWR | os.O_CREAT, 0o600))
        return sqlite3.connect(self._database, timeout=BUSY_TIMEOUT, isolation_level=None)

    def mark_stale(self) -> None:
        self._stale.touch(mode=0o600)

    def clear_stale(self) -> None:
        self._stale.unlink(missing_ok=True)

    def set_aside(self, mark: str) -> str:
        aside = self._database.with_name(f"{self._database.name}.unreadable-{mark}")
        for suffix in ("", "-wal", "-shm"):  # a stray -wal would be played into the new database
            with suppress(FileNotFoundError):
                os.replace(f"{self._database}{suffix}", f"{aside}{suffix}")
        return str(aside)
