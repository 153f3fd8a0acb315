"""The lock of the guards of one node: a file in its state directory."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Callable
from contextlib import suppress

from flip.holdings.guard.interface import Point

LARGEST = 1 << 24  # bytes of the list that are read


class FileTurn:
    """A lock that the kernel drops when its owner dies; see `flip.holdings.guard.watch.Turn`.

    The file holds the owner's process id and, line by line, the hooks that would
    survive it. Where it cannot be written (a full disk), letting go comes first: the
    guard goes on without it.

    :param note: is told what is wrong with the file.
    """

    def __init__(self, path: str, note: Callable[[str], None]) -> None:
        self._path = path
        self._note = note
        self._fd = -1
        self._complained = False

    def take(self) -> dict[Point, float] | None:
        """Take the lock, or say None; see `Turn.take`."""
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            self._complain(error)
            return {}
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError as error:
            os.close(fd)
            self._complain(error)
            return {}
        self._fd = fd
        left = _read(os.pread(fd, LARGEST, 0))
        self._clear(f"{os.getpid()}\n")
        return left

    def give_up(self) -> None:
        """Let the next one have it; see `Turn.give_up`."""
        if self._fd >= 0:
            self._clear("")
            os.close(self._fd)
            self._fd = -1

    def extend(self, point: Point, until: float) -> None:
        """Write down what runs; see `Turn.extend`."""
        if self._fd >= 0:
            self._append(json.dumps([until, *point]) + "\n")

    def evict(self) -> None:
        """Kill the owner; see `Turn.evict`.

        The lock is held, so its owner lives and wrote its number there.
        """
        with suppress(OSError):
            with open(self._path, encoding="ascii", errors="replace") as file:
                first = file.readline()
            if first.strip().isdecimal() and int(first) > 1:
                os.kill(int(first), signal.SIGKILL)

    def _clear(self, text: str) -> None:
        try:
            os.ftruncate(self._fd, 0)
        except OSError as error:
            self._complain(error)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._append(text)

    def _append(self, text: str) -> None:
        try:
            os.write(self._fd, text.encode())
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        if not self._complained:
            self._complained = True
            self._note(f"{self._path} cannot be used ({error.strerror}): goes on without it")


def _read(content: bytes) -> dict[Point, float]:
    """Until when which hooks may run."""
    left: dict[Point, float] = {}
    for line in content.splitlines()[1:]:
        with suppress(ValueError, TypeError):  # torn: the disk was full
            until, system, datum = json.loads(line)
            left[system, datum] = float(until)
    return left
