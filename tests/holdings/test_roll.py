"""Tests for `flip.holdings.roll`."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

from hamcrest import assert_that, contains_string, empty, equal_to, has_length, less_than
from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.roll import BOOT_ID, SLACK, Entry, Roll, parse, started

BOOT = "e8ad3a9c-8d0a-4e3c-9d2b-0d1f6f0c7a11"


def stat(pid: int, began: int, state: str = "S", name: str = "sh") -> str:
    """A line of /proc/PID/stat, as the kernel writes it."""
    return f"{pid} ({name}) {state} 1 {pid} {pid} {'0 ' * 15}{began} 4096 0\n"


class FormatTests(SynchronousTestCase):
    """What stands on the roll and in /proc."""

    @given(st.lists(st.builds(Entry, st.integers(1, 1 << 22), st.integers(0), st.just(BOOT))))
    def test_round_trip(self, entries: list[Entry]) -> None:
        """What is written is read."""
        assert_that(parse("".join(f"{entry}\n" for entry in entries)), equal_to(entries))

    def test_cut_off(self) -> None:
        """A line that did not reach the disk whole names no process; nor does garbage."""
        assert_that(parse(f"12 345 {BOOT}\n12 345 e8ad"), equal_to([Entry(12, 345, BOOT)]))
        assert_that(parse(f"\n-1 2 {BOOT}\nx y z\n1 2\n\0\0\n"), empty())

    def test_started(self) -> None:
        """The name of a program may look like anything, also like other fields."""
        assert_that(started(stat(7, 99)), equal_to(99))
        assert_that(started(stat(7, 99, name="a) Z 1 (b")), equal_to(99))

    def test_exited(self) -> None:
        """A process that nobody has waited for yet is none."""
        assert_that([started(stat(7, 99, "Z")), started(stat(7, 99, "X"))], equal_to([None, None]))

    def test_own(self) -> None:
        """The kernel's own line is read."""
        text = Path(f"/proc/{os.getpid()}/stat").read_text()
        assert_that(started(text), equal_to(int(text.rpartition(")")[2].split()[19])))


class RollTests(SynchronousTestCase):
    """One process's roll, and what the next one does with it."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp())
        self.proc, self.path = self.root / "proc", self.root / "hooks"
        (self.proc / BOOT_ID).parent.mkdir(parents=True)
        (self.proc / BOOT_ID).write_text(f"{BOOT}\n")
        self.killed: list[tuple[int, int]] = []
        self.roll = self.another()

    def another(self) -> Roll:
        return Roll(self.path, proc=self.proc, kill=self.kill)

    def kill(self, group: int, number: int) -> None:
        self.killed.append((group, number))

    def process(self, pid: int, began: int = 1000, state: str = "S") -> None:
        (self.proc / str(pid)).mkdir(exist_ok=True)
        (self.proc / str(pid) / "stat").write_text(stat(pid, began, state))

    def enter(self, *pids: int) -> None:
        for pid in pids:
            self.process(pid)
            self.roll.enter(pid)

    def end(self, pid: int) -> None:
        (self.proc / str(pid) / "stat").unlink()
        self.roll.strike(pid)

    def logged(self) -> list[str]:
        """What the next process logs when it ends the former's hooks."""
        with capturedLogs() as events:
            self.another().end_former()
        return texts(events)

    def test_left_running(self) -> None:
        """The groups of those that still run are killed, with a line for each."""
        self.enter(7, 8)
        self.end(7)
        lines = self.logged()
        assert_that(self.killed, equal_to([(8, signal.SIGKILL)]))
        assert_that(lines, has_length(1))
        assert_that(lines[0], contains_string("process 8, a hook that an earlier process"))

    def test_all_ended(self) -> None:
        """The roll is empty when nothing runs, and there is nothing to say."""
        self.enter(7, 8)
        self.end(7)
        self.end(8)
        assert_that(self.path.read_text(), equal_to(""))
        assert_that([self.logged(), self.killed], equal_to([[], []]))

    def test_others(self) -> None:
        """A number that another process has now, one of another boot, one that exited: left."""
        self.enter(7, 8, 9)
        self.process(7, began=1001)
        self.process(8, state="Z")
        (self.proc / "9" / "stat").unlink()
        assert_that([self.logged(), self.killed], equal_to([[], []]))
        self.enter(10)
        (self.proc / BOOT_ID).write_text("00000000-0000-0000-0000-000000000000\n")
        assert_that([self.logged(), self.killed], equal_to([[], []]))

    def test_once(self) -> None:
        """What was ended is on no roll any more."""
        self.enter(7)
        self.another().end_former()
        self.another().end_former()
        assert_that(self.killed, has_length(1))

    def test_may_not(self) -> None:
        """A hook of another user is reported, and the others are ended."""
        self.enter(7, 8)

        def kill(group: int, number: int) -> None:
            if group == 7:
                raise PermissionError(1, "Operation not permitted")
            self.kill(group, number)

        with capturedLogs() as events:
            Roll(self.path, proc=self.proc, kill=kill).end_former()
        assert_that(texts(events)[0], contains_string("cannot be killed: Operation not permitted"))
        assert_that(self.killed, equal_to([(8, signal.SIGKILL)]))

    def test_bounded(self) -> None:
        """While one hook runs for days beside thousands of others, the file stays short."""
        self.enter(1)
        longest = 0
        for pid in range(2, 5 * SLACK):
            self.enter(pid)
            self.end(pid)
            longest = max(longest, self.path.read_text().count("\n"))
        assert_that(longest, less_than(SLACK + 3))
        self.another().end_former()
        assert_that(self.killed, equal_to([(1, signal.SIGKILL)]))

    def test_unwritable(self) -> None:
        """It is said once; as soon as it can be written again, nothing is missing."""
        self.path.mkdir()
        with capturedLogs() as events:
            self.enter(7, 8)
        assert_that(texts(events), has_length(1))
        assert_that(
            texts(events)[0], contains_string(f"{self.path} cannot be used: Is a directory")
        )
        self.path.rmdir()
        self.enter(9)
        self.another().end_former()
        assert_that([pid for pid, _ in self.killed], equal_to([7, 8, 9]))

    def test_no_proc(self) -> None:
        """Where there is no /proc nothing is written, and nothing ended."""
        roll = Roll(self.path, proc=self.root / "none", kill=self.kill)
        roll.enter(7)
        roll.strike(7)
        roll.end_former()
        assert_that([self.path.exists(), self.killed], equal_to([False, []]))


def texts(events: Sequence[LogEvent]) -> list[str]:
    return [formatEvent(event) for event in events]
