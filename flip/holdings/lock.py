"""One live process per state directory."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from flip.errors import StateDirectoryInUse


class DirectoryLock:
    """A lock that the kernel drops when the process dies, however it dies.

    The file stays behind and means nothing by itself; it names the last owner.
    """

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        return self._fd is not None

    def acquire(self) -> None:
        """Take the lock, or keep it.

        :raises StateDirectoryInUse: a live process has it.
        :raises OSError: the file cannot be made.
        """
        if self._fd is not None:
            return
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise StateDirectoryInUse(
                f"Process {owner} holds {self._path}. Stop it, or give this node a state_dir of "
                "its own."
            ) from error
        except OSError:
            os.close(fd)
            raise
        self._fd = fd

    def release(self) -> None:
        """Let the next process have the directory."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
