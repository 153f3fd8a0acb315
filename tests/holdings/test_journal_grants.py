"""Tests for the grants in `flip.holdings.journal`: what a voter must not forget."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hamcrest import assert_that, empty, equal_to, has_length, less_than, none

from flip.holdings.disk import StateDirectory
from flip.holdings.journal import RETRY, Journal
from flip.holdings.store import Grant
from flip.wire.messages import INCARNATIONS, ClaimNumber
from tests.holdings.test_journal import ONE, JournalTestCase

A, B = ("ip", "a"), ("ip", "b")
FIRST = Grant("flip1", ClaimNumber(1_700_000_000_000, 1), 5000)
SECOND = Grant("flip2", ClaimNumber(INCARNATIONS - 1, INCARNATIONS - 1), 86_400_000)


class TracedDirectory(StateDirectory):
    """A directory whose database tells what it executes, and can break."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.statements: list[str] = []
        self.databases: list[sqlite3.Connection] = []

    def connect(self) -> sqlite3.Connection:
        database = super().connect()
        database.set_trace_callback(self.statements.append)
        self.databases.append(database)
        return database

    def refuse_writes(self, refuse: bool = True) -> None:
        self.databases[-1].execute(f"PRAGMA query_only = {refuse:d}")


class GrantsTestCase(JournalTestCase):
    """A journal on a disk that the test watches."""

    def setUp(self) -> None:
        super().setUp()
        self.disk = TracedDirectory(self.directory)
        self.kept = Journal(self.disk, now=lambda: self.now)
        self.kept.open()
        self.opened.append(self.kept)

    def durable(self) -> list[str]:
        """The statements that wait for the disk, since the last time."""
        durable, found = False, []
        for statement in self.disk.statements:
            if statement.startswith("PRAGMA synchronous"):
                durable = statement.endswith("FULL")
            elif durable:
                found.append(statement)
        self.disk.statements.clear()
        return found


class MemoryTests(GrantsTestCase):
    """What survives."""

    def test_kill(self) -> None:
        """Grants survive a killed process, and so does what was taken back."""
        assert_that(self.kept.grant({A: FIRST, B: FIRST}), equal_to(True))
        assert_that(self.kept.grant({A: SECOND}), equal_to(True))
        self.kept.revoke([B])
        assert_that(self.after_crash().grants(), equal_to({A: SECOND}))

    def test_power_cut(self) -> None:
        """A grant waits for the disk before it is told; what is taken back need not."""
        self.kept.hold(ONE)
        assert_that(self.durable(), empty())
        self.kept.grant({A: FIRST})
        statements = [statement.split()[0] for statement in self.durable()]
        assert_that(statements, equal_to(["BEGIN", "INSERT", "COMMIT"]))
        self.kept.revoke([A])
        self.kept.hold(ONE)
        assert_that(self.durable(), empty())

    def test_drained(self) -> None:
        """An operator's word, too, is on disk before he reads that it was heard."""
        for say in (self.kept.drain, self.kept.undrain):
            say("ip")
            statements = [statement.split()[0] for statement in self.durable()]
            assert_that(statements, equal_to(["BEGIN", "INSERT", "COMMIT"]))

    def test_batch(self) -> None:
        """Also in the middle of a batch, with all that was written before it."""
        with self.kept.batch():
            self.kept.hold(ONE)
            self.kept.grant({A: FIRST})
            heir = self.after_crash()
            assert_that([heir.grants(), heir.held()], equal_to([{A: FIRST}, [ONE]]))

    def test_incarnation(self) -> None:
        """The incarnation that is remembered is the highest: claim numbers may be ahead."""
        self.kept.remember_incarnation(100)
        self.kept.remember_incarnation(90)
        assert_that(self.after_crash().incarnation, equal_to(100))


class WholeTests(GrantsTestCase):
    """E4: whether the disk has all that this node granted."""

    def test_new(self) -> None:
        """A new journal does not know; when it is told so it does, and stays so."""
        assert_that(self.kept.has_grants_of("flip"), equal_to(False))
        self.kept.grant({A: FIRST})
        assert_that(self.after_crash().has_grants_of("flip"), equal_to(False))
        assert_that(self.kept.keep_grants_of("flip"), equal_to(True))
        assert_that(self.durable(), has_length(6))
        assert_that(self.after_crash().has_grants_of("flip"), equal_to(True))

    def test_another_node(self) -> None:
        """The disk of another node says nothing of what this one granted."""
        self.kept.keep_grants_of("flip")
        assert_that(self.after_crash().has_grants_of("flip1"), equal_to(False))

    def test_unreadable(self) -> None:
        """Nor does one that could not be read."""
        self.kept.keep_grants_of("flip")
        self.kept.close()
        path = Path(self.kept.path)
        path.write_bytes(b"rubbish" * 1000)
        for beside in path.parent.glob("*-wal"):
            beside.unlink()
        heir = self.journal()
        assert_that(heir.has_grants_of("flip"), equal_to(False))
        assert_that(heir.grants(), empty())

    def test_earlier_version(self) -> None:
        """The journal of a flip without grants is read; and it does not know of any."""
        self.kept.hold(ONE)
        self.kept.remember_incarnation(77)
        self.kept.close()
        database = sqlite3.connect(self.kept.path)
        with database:
            database.execute("DROP TABLE grants")
            database.execute("ALTER TABLE held DROP COLUMN members")
            database.execute("PRAGMA user_version = 1")
        database.close()
        heir = self.journal()
        assert_that([heir.held(), heir.incarnation, heir.clean], equal_to([[ONE], 77, True]))
        assert_that([heir.has_grants_of("flip"), heir.error], equal_to([False, None]))
        assert_that(heir.grant({A: FIRST}), equal_to(True))
        assert_that(self.after_crash().grants(), equal_to({A: FIRST}))


class UnwritableTests(GrantsTestCase):
    """A disk that takes no writes."""

    def setUp(self) -> None:
        super().setUp()
        self.kept.keep_grants_of("flip")
        self.kept.grant({A: FIRST})
        self.disk.refuse_writes()

    def test_refused(self) -> None:
        """What does not get there is not granted; what is there stays."""
        assert_that(self.kept.grant({A: SECOND, B: SECOND}), equal_to(False))
        assert_that(self.kept.grants(), equal_to({A: FIRST}))
        assert_that(self.kept.doubtful, equal_to({A, B}))

    def test_no_hurry(self) -> None:
        """It is not tried again at once, and that raises no doubts."""
        self.kept.grant({B: SECOND})
        self.kept.doubtful.clear()
        self.now += RETRY / 2
        assert_that(self.kept.grant({A: SECOND}), equal_to(False))
        assert_that(self.kept.doubtful, empty())

    def test_writable_again(self) -> None:
        """Then everything is written anew, on disk for sure, and no doubts are left."""
        self.kept.grant({B: SECOND})
        self.now += RETRY
        self.durable()
        self.kept.flush()
        assert_that(len(self.durable()), less_than(50))
        assert_that([self.kept.error, self.kept.doubtful], equal_to([None, set()]))
        assert_that(self.after_crash().grants(), equal_to({A: FIRST}))
        assert_that(self.kept.grant({B: SECOND}), equal_to(True))

    def test_on_disk_all_the_same(self) -> None:
        """A write that failed may be there: what replaces it waits for the disk."""
        self.kept.grant({A: SECOND})
        database = sqlite3.connect(self.kept.path)
        with database:
            database.execute("UPDATE grants SET node = 'flip2'")
        database.close()
        self.now += RETRY
        self.durable()
        self.kept.note_event("any", "thing")
        statements = [statement.split()[0] for statement in self.durable()]
        assert_that(statements[0], equal_to("BEGIN"))
        assert_that(statements[-1], equal_to("COMMIT"))
        assert_that(self.after_crash().grants(), equal_to({A: FIRST}))
        assert_that(self.after_crash().has_grants_of("flip"), equal_to(True))

    def test_end_of_a_silence(self) -> None:
        """That all grants are there is true also where it cannot be written yet."""
        assert_that(self.kept.keep_grants_of("flip3"), equal_to(False))
        self.now += RETRY
        self.kept.flush()
        assert_that(self.after_crash().has_grants_of("flip3"), equal_to(True))
        assert_that(self.kept.error, none())
