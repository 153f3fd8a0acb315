"""The lock file of a node's guards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from hamcrest import assert_that, empty, equal_to, has_length
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.guard.turn import FileTurn

POINT = ("ip", "a\nb")


class FileTurnTests(SynchronousTestCase):
    """Two guards of one node."""

    def setUp(self) -> None:
        directory = Path(self.mktemp())
        directory.mkdir()
        self.path = directory / "guard"
        self.notes: list[str] = []

    def turn(self) -> FileTurn:
        return FileTurn(str(self.path), self.notes.append)

    def test_one_has_it(self) -> None:
        """The other gets it when the first gives it up."""
        one, two = self.turn(), self.turn()
        assert_that(one.take(), equal_to({}))
        assert_that(two.take(), equal_to(None))
        one.give_up()
        assert_that(two.take(), equal_to({}))
        two.give_up()

    def test_left_running(self) -> None:
        """What an owner that died had written down is known to the next, once."""
        one = self.turn()
        one.take()
        one.extend(POINT, 12.5)
        one.extend(("ip", "c"), 1.0)
        one.extend(POINT, 13.5)
        os.close(one._fd)  # as the kernel does
        two = self.turn()
        assert_that(two.take(), equal_to({POINT: 13.5, ("ip", "c"): 1.0}))
        two.give_up()
        assert_that(two.take(), equal_to({}))
        two.give_up()

    def test_ended_in_order(self) -> None:
        """Whoever gives it up leaves nothing running."""
        one = self.turn()
        one.take()
        one.extend(POINT, 12.5)
        one.give_up()
        assert_that(one.take(), equal_to({}))
        one.give_up()

    def test_torn(self) -> None:
        """Lines that a full disk has torn are passed over."""
        self.path.write_bytes(b'17\n[1.5, "ip", "a"]\n[2.5, "i\n[3]\nnull\n\xff\n')
        turn = self.turn()
        assert_that(turn.take(), equal_to({("ip", "a"): 1.5}))
        turn.give_up()

    def test_evict(self) -> None:
        """Kills the owner, stopped or not."""
        program = (
            "import sys, os, signal; sys.path[:] = eval(sys.argv[2]);"
            "from flip.holdings.guard.turn import FileTurn;"
            "FileTurn(sys.argv[1], print).take(); print(flush=True); os.kill(os.getpid(), 19)"
        )
        words = [sys.executable, "-c", program, str(self.path), repr(sys.path)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as owner:
            assert owner.stdout is not None
            owner.stdout.readline()
            turn = self.turn()
            assert_that(turn.take(), equal_to(None))
            turn.evict()
            assert_that(owner.wait(10), equal_to(-signal.SIGKILL))
        assert_that(turn.take(), equal_to({}))
        turn.give_up()

    def test_evict_nobody(self) -> None:
        """A file that names nobody harms nobody."""
        for content in (b"", b"1\n", b"-1\n", b"nonsense\n", b"0\n"):
            self.path.write_bytes(content)
            self.turn().evict()

    def test_unusable(self) -> None:
        """Letting go comes first: without the file it goes on, and says so once."""
        self.path = self.path / "missing" / "guard"
        turn = self.turn()
        assert_that((turn.take(), turn.take()), equal_to(({}, {})))
        turn.extend(POINT, 1.0)
        turn.give_up()
        assert_that(self.notes, has_length(1))
        self.assertIn("goes on without it", self.notes[0])

    def test_full_disk(self) -> None:
        """What cannot be written down is not waited for; nothing else changes."""
        if not os.path.exists("/dev/full"):
            self.skipTest("needs /dev/full")
        turn = self.turn()
        turn.take()
        full = os.open("/dev/full", os.O_WRONLY)
        os.dup2(full, turn._fd)
        os.close(full)
        turn.extend(POINT, 1.0)
        turn.give_up()
        assert_that(self.notes, has_length(1))

    def test_nothing_said(self) -> None:
        """When all is well there is nothing to say."""
        turn = self.turn()
        turn.take()
        turn.extend(POINT, 1.0)
        turn.give_up()
        assert_that(self.notes, empty())
