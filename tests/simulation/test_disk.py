"""A disk in memory is to a journal what a state directory is."""

from __future__ import annotations

import random
from functools import partial

from hamcrest import assert_that, calling, equal_to, none, not_none
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import StateDirectoryInUse
from flip.holdings.journal import Held, Journal
from flip.holdings.store import Store
from flip.simulation.disk import MemoryDisk, Mount
from flip.wire.claims import Phase
from tests.matchers import raises

HELD = Held("ip", "192.168.0.1", Phase.HELD, ("down",), "{}", ("192.168.0.1",))


class MemoryDiskTests(SynchronousTestCase):
    """Journals of one machine, one process after the other."""

    def setUp(self) -> None:
        self.disk = MemoryDisk("flip1")
        self.mount: Mount

    def journal(self) -> Journal:
        """The journal of a process that has just started."""
        self.mount = self.disk.mount()
        journal = Journal(self.mount, now=lambda: 0.0)
        journal.open()
        return journal

    def test_survives_a_kill(self) -> None:
        """What was written before SIGKILL is there for the next process, and the lock is free."""
        self.journal().hold(HELD)
        self.mount.vanish()
        heir = self.journal()
        assert_that((heir.held(), heir.clean), equal_to(([HELD], True)))

    def test_transaction(self) -> None:
        """What was not committed when the process was killed never was."""
        self.journal().hold(HELD)
        database = self.disk.database()
        database.execute("BEGIN")
        database.execute("DELETE FROM held")
        self.mount.vanish()
        assert_that(self.journal().held(), equal_to([HELD]))

    def test_closed(self) -> None:
        """Nor what was not committed when the database was closed."""
        self.journal().hold(HELD)
        database = self.disk.database()
        database.execute("BEGIN")
        database.execute("DELETE FROM held")
        database.close()
        self.mount.vanish()
        assert_that(self.journal().held(), equal_to([HELD]))

    def test_two_processes(self) -> None:
        """A second live process is refused, as on a real disk."""
        self.journal()
        first = self.mount
        assert_that(calling(self.journal), raises(StateDirectoryInUse, "flip1"))
        self.mount.vanish()  # of the process that was refused: the first keeps its lock
        assert_that(first.locked, equal_to(True))

    def test_lost(self) -> None:
        """A new disk knows nothing, and says so."""
        self.journal().hold(HELD)
        self.mount.vanish()
        self.disk.lose()
        assert_that(self.disk.recorded(), none())
        heir = self.journal()
        assert_that((heir.held(), heir.clean), equal_to(([], False)))

    def test_full(self) -> None:
        """A full disk is reported, marked as soon as it can be, and whole again afterwards."""
        journal = self.journal()
        journal.hold(HELD)
        self.disk.writable = False
        journal.forget("ip", HELD.datum)
        assert_that(journal.error, not_none())
        self.mount.vanish()
        self.disk.writable = True
        assert_that(self.journal().held(), equal_to([HELD]))

    def test_power_cut(self) -> None:
        """It may take what did not wait for the disk, and never what did."""
        outcomes = set()
        for seed in range(20):
            self.disk = MemoryDisk("flip1")
            store = Store(self.disk.database())
            store.apply([partial(Store.hold, held=HELD)], durable=True)
            store.apply([partial(Store.forget, system="ip", datum=HELD.datum)])
            self.disk.lose_power(random.Random(seed))
            found = Store(self.disk.database()).found
            assert found is not None
            outcomes.add(len(found.held))
        assert_that(outcomes, equal_to({0, 1}))

    def test_power_cut_of_what_waited(self) -> None:
        """What waited for the disk is there after any number of power cuts."""
        store = Store(self.disk.database())
        store.apply([partial(Store.hold, held=HELD)], durable=True)
        for seed in range(20):
            self.disk.lose_power(random.Random(seed))
            found = Store(self.disk.database()).found
            assert found is not None
            assert_that(list(found.held), equal_to([("ip", HELD.datum)]))

    def test_recorded(self) -> None:
        """It shows what the next process will find."""
        journal = self.journal()
        with journal.batch():
            journal.hold(HELD)
        assert_that(self.disk.recorded(), equal_to({("ip", HELD.datum)}))
        journal.forget("ip", HELD.datum)
        assert_that(self.disk.recorded(), equal_to(set()))
