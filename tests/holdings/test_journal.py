"""Tests for `flip.holdings.journal`."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copytree
from unittest import SkipTest

from hamcrest import (
    assert_that,
    calling,
    contains_inanyorder,
    contains_string,
    empty,
    equal_to,
    has_length,
    less_than,
    none,
    not_none,
)
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import StateDirectoryInUse
from flip.holdings.disk import StateDirectory
from flip.holdings.journal import REPORT, RETRY, Event, Held, Journal
from flip.holdings.store import DOWNS_KEPT, EVENTS_KEPT
from flip.wire.claims import Phase
from tests.matchers import raises

ONE = Held(
    "ip", "192.168.0.1", Phase.HELD, ("/usr/bin/ip_down",), '{"interface": "lo0"}', ("192.168.0.1",)
)
TWO = Held("ip", "192.168.0.2", Phase.TAKING, ("/usr/bin/ip_down",), "{}", ("192.168.0.2",))
LEAVING = replace(ONE, phase=Phase.RELEASING)
NOON = 1_700_049_600.0  # 2023-11-15, 12:00:00 UTC


class JournalTestCase(SynchronousTestCase):
    """Journals in real directories, at a time of the test's choice."""

    def setUp(self) -> None:
        self.directory = Path(self.mktemp())
        self.now = NOON
        self.opened: list[Journal] = []
        self.addCleanup(self.close_all)

    def close_all(self) -> None:
        for journal in self.opened:
            journal.close()

    def journal(self, directory: Path | None = None) -> Journal:
        """An open journal."""
        journal = Journal(StateDirectory(directory or self.directory), now=lambda: self.now)
        journal.open()
        self.opened.append(journal)
        return journal

    def after_crash(self) -> Journal:
        """The journal of the next life, if the node were killed right now."""
        return self.journal(Path(copytree(self.directory, self.mktemp())))


class MemoryTests(JournalTestCase):
    """What is remembered."""

    def test_first_life(self) -> None:
        """A new journal knows nothing, and says that it does not know what was held."""
        journal = self.journal()
        assert_that(journal.clean, equal_to(False))
        assert_that(journal.error, none())
        assert_that([journal.held(), journal.incarnation, journal.events(9)], equal_to([[], 0, []]))

    def test_private(self) -> None:
        """Nobody else may read it: hooks' configurations can hold secrets."""
        journal = self.journal()
        assert_that(stat.S_IMODE(self.directory.stat().st_mode), equal_to(0o700))
        assert_that(stat.S_IMODE(Path(journal.path).stat().st_mode), equal_to(0o600))

    def test_every_write_survives_a_kill(self) -> None:
        """Whatever was written is there in the next life, without any close."""
        journal = self.journal()
        steps: list[tuple[Callable[[], None], list[Held]]] = [
            (partial(journal.hold, ONE), [ONE]),
            (partial(journal.hold, TWO), [ONE, TWO]),
            (partial(journal.hold, LEAVING), [LEAVING, TWO]),
            (partial(journal.forget, "ip", ONE.datum), [TWO]),
            (partial(journal.forget, "ip", "unheard of"), [TWO]),
        ]
        for step, expected in steps:
            step()
            heir = self.after_crash()
            assert_that(heir.held(), contains_inanyorder(*expected))
            assert_that(journal.held(), contains_inanyorder(*expected))
            assert_that(heir.clean, equal_to(True))
        journal.remember_incarnation(2**61)
        assert_that(self.after_crash().incarnation, equal_to(2**61))

    def test_killed(self) -> None:
        """A process that is killed leaves its journal readable and its lock free."""
        script = (
            "import os, signal, sys; from pathlib import Path\n"
            "from flip.holdings.disk import StateDirectory\n"
            "from flip.holdings.journal import Journal\n"
            "disk = StateDirectory(Path(sys.argv[1]))\n"
            "journal = Journal(disk, now=lambda: 0.0); journal.open()\n"
            "journal.remember_incarnation(7); os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        ended = subprocess.run([sys.executable, "-c", script, self.directory], env=environ)
        assert_that(ended.returncode, equal_to(-signal.SIGKILL))
        assert_that(self.journal().incarnation, equal_to(7))

    def test_clean_needs_a_complete_list(self) -> None:
        """Who dies before it has said what may be left behind, leaves that unknown."""
        journal = self.journal()
        journal.remember_incarnation(1)
        journal.note_event("start", "")
        assert_that(self.after_crash().clean, equal_to(False))
        journal.forget("ip", "192.168.0.1")
        assert_that(self.after_crash().clean, equal_to(True))

    def test_close(self) -> None:
        """A closed journal's directory is free, and its content complete."""
        journal = self.journal()
        journal.hold(ONE)
        journal.close()
        heir = self.journal()
        assert_that([heir.held(), heir.clean], equal_to([[ONE], True]))
        journal.note_event("late", "written by nobody")
        assert_that(heir.events(1), empty())

    def test_batch(self) -> None:
        """A batch reaches the disk whole or not at all."""
        journal = self.journal()
        with journal.batch():
            journal.hold(ONE)
            journal.hold(TWO)
            assert_that(journal.held(), has_length(2))
            assert_that(self.after_crash().held(), empty())
        assert_that(self.after_crash().held(), has_length(2))

    def test_failed_batch(self) -> None:
        """Disk and memory agree after a batch that an exception ended."""
        journal = self.journal()
        with self.assertRaises(ZeroDivisionError), journal.batch():
            journal.hold(ONE)
            raise ZeroDivisionError
        assert_that(self.after_crash().held(), equal_to(journal.held()))
        journal.hold(TWO)
        assert_that(self.after_crash().held(), has_length(2))

    def test_events(self) -> None:
        """Events come back oldest first, with their time, and survive."""
        journal = self.journal()
        for number in range(3):
            self.now = NOON + number
            journal.note_event("down", f"number {number}")
        expected = [Event(NOON + 1, "down", "number 1"), Event(NOON + 2, "down", "number 2")]
        assert_that(journal.events(2), equal_to(expected))
        assert_that(self.after_crash().events(2), equal_to(expected))

    def test_unprintable_event(self) -> None:
        """Text that no encoding knows is no reason to fail."""
        journal = self.journal()
        journal.note_event("hook", "\udcff")
        assert_that(journal.events(1)[0].text, equal_to("\\udcff"))

    def test_events_are_bounded(self) -> None:
        """Only the last events are kept."""
        journal = self.journal()
        with journal.batch():
            for number in range(EVENTS_KEPT):
                journal.note_event("down", str(number))
        journal.note_event("down", "last")
        kept = journal.events(2 * EVENTS_KEPT)
        assert_that(kept, has_length(EVENTS_KEPT))
        assert_that([kept[0].text, kept[-1].text], equal_to(["1", "last"]))

    def test_downs(self) -> None:
        """How often the node was voted down is known for any time back, also after a restart."""
        journal = self.journal()
        for incarnation, when in enumerate((0, 100, 500), 1):
            self.now = NOON + when
            journal.note_down(incarnation)
        for known in (journal, self.after_crash()):
            assert_that([known.downs_since(s) for s in (0, 450, 600)], equal_to([1, 2, 3]))
        for incarnation in range(4, 4 + 2 * DOWNS_KEPT):
            journal.note_down(incarnation)
        assert_that(journal.downs_since(600), equal_to(DOWNS_KEPT))
        assert_that(self.after_crash().downs_since(600), equal_to(DOWNS_KEPT))

    def test_down_noted_once(self) -> None:
        """Old votes that reach a later life are no news."""
        journal = self.journal()
        assert_that([journal.note_down(7) for _ in range(2)], equal_to([True, False]))
        later = self.after_crash()
        assert_that([later.note_down(at) for at in (7, 6, 8)], equal_to([False, False, True]))
        assert_that(later.downs_since(600), equal_to(2))


class LockTests(JournalTestCase):
    """One node, one directory."""

    def test_in_use(self) -> None:
        """A second journal on the directory is refused, and told by whom; the first goes on."""
        journal = self.journal()
        journal.hold(ONE)
        second = Journal(StateDirectory(self.directory), now=lambda: self.now)
        assert_that(
            calling(second.open), raises(StateDirectoryInUse, f"Process {os.getpid()} holds ")
        )
        assert_that(calling(second.open), raises(StateDirectoryInUse, str(self.directory)))
        journal.hold(TWO)
        assert_that(self.after_crash().held(), has_length(2))


class DamageTests(JournalTestCase):
    """A database that cannot be read."""

    def setUp(self) -> None:
        super().setUp()
        journal = self.journal()
        with journal.batch():
            for number in range(500):
                journal.hold(Held("ip", str(number), Phase.HELD, ("down",), "{}", (str(number),)))
        journal.close()
        self.path = Path(journal.path)

    def damaged(self, words: str) -> None:
        """It is set aside whole, a new one works, and the report says why."""
        content = self.path.read_bytes()
        with capturedLogs() as logs:
            journal = self.journal()
        (report,) = [event for event in logs if event["log_level"].name == "error"]
        assert_that(report["text"], contains_string(words))
        aside = self.path.with_name("journal.sqlite.unreadable-20231115T120000Z")
        assert_that(report["text"], contains_string(str(aside)))
        assert_that(aside.read_bytes()[100:], equal_to(content[100:]))
        assert_that([journal.clean, journal.error], equal_to([False, None]))
        assert_that(journal.events(1)[0].kind, equal_to("journal"))
        journal.hold(ONE)
        heir = self.after_crash()
        assert_that([heir.held(), heir.clean], equal_to([[ONE], True]))

    def test_garbage(self) -> None:
        """A file that is no database."""
        self.path.write_bytes(b"garbage" * 1000)
        self.damaged("not a database")

    def test_truncated(self) -> None:
        """A database that lost its end."""
        os.truncate(self.path, self.path.stat().st_size // 2)
        self.damaged("malformed")

    def test_overwritten_page(self) -> None:
        """A database with a bad page in the middle."""
        with self.path.open("r+b") as file:
            file.seek(self.path.stat().st_size // 2 & ~4095)
            file.write(b"\xa5" * 4096)
        self.damaged("")

    def test_unknown_phase(self) -> None:
        """A row with a phase that this flip does not know."""
        self.execute("UPDATE held SET phase = 99 WHERE datum = '7'")
        self.damaged("99 is not a valid Phase")

    def test_broken_hook(self) -> None:
        """A row with no readable hook."""
        self.execute("UPDATE held SET down = '[' WHERE datum = '7'")
        self.damaged("Expecting value")

    def test_broken_text(self) -> None:
        """A row that is no UTF-8."""
        self.execute("UPDATE held SET config = CAST(x'ff' AS TEXT) WHERE datum = '7'")
        self.damaged("UTF-8")

    def test_missing_table(self) -> None:
        """A database that is not ours."""
        self.execute("DROP TABLE held")
        self.damaged("no such table")

    def test_newer_schema(self) -> None:
        """The journal of a newer flip is not misread."""
        self.execute("PRAGMA user_version = 99")
        self.damaged("its schema is 99")

    def test_emptied(self) -> None:
        """A file that lost everything is as good as none."""
        os.truncate(self.path, 0)
        journal = self.journal()
        assert_that([journal.held(), journal.clean, journal.error], equal_to([[], False, None]))

    def execute(self, statement: str) -> None:
        database = sqlite3.connect(self.path)
        with database:
            database.execute(statement)
        database.close()


class UnwritableTests(JournalTestCase):
    """A disk that takes no writes."""

    def fill(self, journal: Journal) -> None:
        """Let the database grow no more."""
        store = journal._store
        assert store is not None
        store._database.execute("PRAGMA max_page_count = 1")  # means: its present size

    def error(self, journal: Journal) -> str:
        """Why it is not written."""
        assert journal.error is not None
        return journal.error

    def unmount(self) -> None:
        subprocess.run(["umount", "--lazy", self.directory], check=True)

    def hold_many(self, journal: Journal) -> None:
        for number in range(500):
            journal.hold(Held("ip", str(number), Phase.HELD, ("down",), "{}", (str(number),)))

    def test_full(self) -> None:
        """A full disk is reported once, and what is held stays right in memory."""
        journal = self.journal()
        journal.hold(ONE)
        self.fill(journal)
        with capturedLogs() as logs:
            self.hold_many(journal)
        assert_that([event["text"] for event in logs], has_length(1))
        assert_that(logs[0]["text"], contains_string("full"))
        assert_that(self.error(journal), contains_string("full"))
        assert_that(journal.held(), has_length(501))
        assert_that(journal.events(9)[0].kind, equal_to("journal"))

    def test_killed_while_full(self) -> None:
        """The next life knows that the journal had missed something."""
        journal = self.journal()
        journal.hold(ONE)
        self.fill(journal)
        self.hold_many(journal)
        heir = self.after_crash()
        assert_that(heir.clean, equal_to(False))
        heir.note_event("start", "")
        heir.close()
        # Even if that life ends before it knows better.
        third = self.journal(Path(heir.path).parent)
        assert_that(third.clean, equal_to(False))

    def test_room_again(self) -> None:
        """When there is room again everything is written, events included."""
        journal = self.journal()
        journal.note_event("first", "")
        self.fill(journal)
        self.hold_many(journal)
        journal.forget("ip", "0")
        journal.note_event("second", "")
        self.now += RETRY
        with capturedLogs() as logs:
            journal.flush()
        assert_that(logs[0]["log_format"], contains_string("is written again"))
        assert_that(journal.error, none())
        heir = self.after_crash()
        assert_that(heir.held(), contains_inanyorder(*journal.held()))
        assert_that(heir.held(), has_length(499))
        kinds = [event.kind for event in heir.events(9)]
        assert_that(kinds, equal_to(["first", "journal", "second"]))
        assert_that(heir.clean, equal_to(True))

    def test_full_during_a_batch(self) -> None:
        """A batch that does not fit is whole in memory and absent from the disk."""
        journal = self.journal()
        journal.hold(ONE)
        self.fill(journal)
        with journal.batch():
            self.hold_many(journal)
        assert_that(journal.held(), has_length(501))
        assert_that(self.after_crash().held(), equal_to([ONE]))

    def test_reports_are_rare(self) -> None:
        """While it lasts it is reported now and then."""
        self.directory.write_text("in the way")
        with capturedLogs() as logs:
            journal = self.journal()
            while self.now < NOON + REPORT:
                assert_that(logs, has_length(1))
                self.now += RETRY
                journal.note_event("tick", "")
            assert_that(logs, has_length(2))

    def test_no_directory(self) -> None:
        """Where the directory cannot be made, flip goes on; and writes once it can."""
        self.directory.write_text("in the way")
        journal = self.journal()
        assert_that(self.error(journal), contains_string(str(self.directory)))
        assert_that(journal.clean, equal_to(False))
        journal.hold(ONE)
        assert_that(journal.held(), equal_to([ONE]))
        self.directory.unlink()
        self.now += RETRY
        journal.hold(TWO)
        assert_that(journal.error, none())
        assert_that(self.after_crash().held(), contains_inanyorder(ONE, TWO))

    def test_directory_taken_meanwhile(self) -> None:
        """A directory that somebody else made his own meanwhile is left to him."""
        self.directory.write_text("in the way")
        late = self.journal()
        self.directory.unlink()
        owner = self.journal()
        owner.hold(ONE)
        self.now += RETRY
        late.hold(TWO)
        assert_that(self.error(late), contains_string("Another live node"))
        heir = self.after_crash()
        assert_that([heir.held(), heir.clean], equal_to([[ONE], True]))

    def test_no_permission(self) -> None:
        """A directory that may not be written."""
        if os.geteuid() == 0:
            raise SkipTest("root may write everywhere")
        self.directory.mkdir(0o500)
        assert_that(self.journal().error, not_none())

    def test_read_only(self) -> None:
        """A file system that is mounted read-only, and then is not."""
        self.directory.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "ro", "flip-test", str(self.directory)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            raise SkipTest("needs root, and the right to mount")
        self.addCleanup(self.unmount)
        journal = self.journal()
        assert_that(self.error(journal), contains_string("Read-only"))
        journal.hold(ONE)
        assert_that([journal.held(), journal.clean], equal_to([[ONE], False]))
        subprocess.run(["mount", "-o", "remount,rw", self.directory], check=True)
        self.now += RETRY
        journal.flush()
        assert_that(journal.error, none())
        assert_that(self.after_crash().held(), equal_to([ONE]))

    def test_unopenable(self) -> None:
        """A database that cannot even be opened."""
        (self.directory / "journal.sqlite").mkdir(parents=True)
        journal = self.journal()
        assert_that([journal.clean, journal.held()], equal_to([False, []]))
        assert_that(self.error(journal), contains_string("journal.sqlite"))

    def test_busy(self) -> None:
        """Somebody's sqlite3 shell holds nothing up for long."""
        journal = self.journal()
        shell = sqlite3.connect(journal.path, isolation_level=None)
        self.addCleanup(shell.close)
        shell.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        self.hold_many(journal)
        assert_that(time.monotonic() - started, less_than(1.0))
        assert_that(self.error(journal), contains_string("locked"))
        shell.execute("COMMIT")
        self.now += RETRY
        journal.flush()
        assert_that(self.after_crash().held(), has_length(500))

    def test_really_full(self) -> None:
        """A file system with no room left, and then with some."""
        self.directory.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "flip-test", str(self.directory)]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
            raise SkipTest("needs root, and the right to mount")
        self.addCleanup(self.unmount)
        journal = self.journal()
        journal.hold(ONE)
        ballast = self.directory / "ballast"
        with ballast.open("wb", buffering=0) as file, self.assertRaises(OSError):
            while True:
                file.write(bytes(4096))
        self.hold_many(journal)
        assert_that(journal.error, not_none())
        assert_that(journal.held(), has_length(501))
        assert_that((self.directory / "journal.stale").exists(), equal_to(True))
        ballast.unlink()
        self.now += RETRY
        journal.flush()
        assert_that(journal.error, none())
        heir = self.after_crash()
        assert_that([len(heir.held()), heir.clean], equal_to([501, True]))
