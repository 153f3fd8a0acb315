"""The roll of hooks that run: what a daemon that was killed leaves running, the next one ends.

Otherwise the `down` of a former life could end after this one's `alive`, and take
away what this node believes to hold.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from flip.log import Logger

PROC = Path("/proc")
BOOT_ID = "sys/kernel/random/boot_id"
STARTED = 22 - 3  # the field in /proc/PID/stat, of those from the third on
GONE = frozenset("ZX")  # states of a process that has exited
SLACK = 64  # lines of ended hooks that the file may hold

_log = Logger()


@dataclass(frozen=True)
class Entry:
    """One process, among all that ever had its number.

    :ivar started: clock ticks after boot.
    :ivar boot: the boot_id of the kernel that it ran under.
    """

    pid: int
    started: int
    boot: str

    def __str__(self) -> str:
        return f"{self.pid} {self.started} {self.boot}"


def parse(text: str) -> list[Entry]:
    """The entries of a roll; a line that was cut off by a full disk or a crash is left out."""
    entries = []
    for line in text.splitlines(keepends=True):
        words = line.split()
        if (
            line.endswith("\n")
            and len(words) == 3
            and words[0].isdecimal()
            and words[1].isdecimal()
        ):
            entries.append(Entry(int(words[0]), int(words[1]), words[2]))
    return entries


def started(stat: str) -> int | None:
    """When a process started, of its /proc/PID/stat; None if it has exited."""
    fields = stat.rpartition(")")[2].split()  # the name before may hold anything
    return None if fields[0] in GONE else int(fields[STARTED])


class Roll:
    """The hooks of one node that run, on disk.

    What cannot be written is reported once and never in the way. Where there is no
    /proc (the BSDs, macOS) nothing is written, and nothing ended.

    :param path: the file; its directory is made by others.
    :param kill: sends a signal to a process group.
    """

    def __init__(
        self, path: Path, *, proc: Path = PROC, kill: Callable[[int, int], None] = os.killpg
    ) -> None:
        self._path = path
        self._proc = proc
        self._kill = kill
        self._running: dict[int, Entry] = {}
        self._lines = 0
        self._whole = False  # the file says what is in memory
        self._reported = False

    def enter(self, pid: int) -> None:
        """A hook has started, as the leader of its own process group."""
        entry = self._entry(pid)
        if entry is not None:
            self._running[pid] = entry
            if self._whole:
                self._lines += 1
                self._write((entry,), os.O_APPEND)
            else:
                self._rewrite()

    def strike(self, pid: int) -> None:
        """A hook has ended."""
        if self._running.pop(pid, None) is None:
            return
        if not self._running or self._lines > len(self._running) + SLACK:
            self._rewrite()

    def end_former(self) -> None:
        """Kill what hooks of a former life still run, each with its process group.

        Call it with the state directory locked, and before the first hook runs.
        """
        try:
            entries = parse(self._path.read_text(errors="replace"))
        except FileNotFoundError:
            return
        except OSError as error:
            self._report(error)
            return
        for entry in entries:
            if self._entry(entry.pid) == entry:
                self._end(entry)
        self._rewrite()

    def _end(self, entry: Entry) -> None:
        try:
            self._kill(entry.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # it was faster
        except PermissionError as error:
            _log.error(
                "process {pid}, a hook that an earlier process of this node started, cannot be"
                " killed: {error}; what it does may undo what this node does",
                pid=entry.pid,
                error=error.strerror,
            )
            return
        _log.warn(
            "process {pid}, a hook that an earlier process of this node left running, was killed",
            pid=entry.pid,
        )

    def _entry(self, pid: int) -> Entry | None:
        """The process that has this number now; None if there is none, or no /proc."""
        try:
            began = started((self._proc / str(pid) / "stat").read_text(errors="replace"))
            boot = (self._proc / BOOT_ID).read_text().strip()
        except OSError:
            return None
        return None if began is None else Entry(pid, began, boot)

    def _rewrite(self) -> None:
        # In place: what a crash in between costs is one start's look at the hooks that run.
        self._lines = len(self._running)
        self._write(self._running.values(), os.O_TRUNC)

    def _write(self, entries: Iterable[Entry], mode: int) -> None:
        text = "".join(f"{entry}\n" for entry in entries).encode()
        self._whole = False
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | mode, 0o600)
            try:
                if text and os.write(fd, text) < len(text):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(fd)
        except OSError as error:
            self._report(error)
            return
        self._whole = True
        if text:  # to empty it succeeds on a full disk as well
            self._reported = False

    def _report(self, error: OSError) -> None:
        if not self._reported:
            self._reported = True
            _log.error(
                "{path} cannot be used: {error}; should this process be killed, the next one"
                " will not end the hooks that it left running",
                path=self._path,
                error=error.strerror,
            )
