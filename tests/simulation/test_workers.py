"""Tests for `flip.simulation.workers`."""

from __future__ import annotations

import os
import signal

from hamcrest import assert_that, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.workers import workers


class WorkersTests(SynchronousTestCase):
    """Processes for many simulations."""

    def test_end(self) -> None:
        """They end with the context, although a reactor once took SIGTERM for itself."""
        before = signal.signal(signal.SIGTERM, lambda *_: None)
        self.addCleanup(signal.signal, signal.SIGTERM, before)
        with workers(2) as pool:
            pids = set(pool.map(_pid, range(20)))
            next(pool.imap(_pid, range(1_000_000)))  # enough for now: the rest is never done
        for pid in pids:
            self.assertRaises(ProcessLookupError, os.kill, pid, 0)

    def test_interrupts(self) -> None:
        """Ctrl-C at the terminal reaches the parent only."""
        with workers(1) as pool:
            assert_that(pool.apply(_ignores, (signal.SIGINT,)), equal_to(True))


def _pid(_: int) -> int:
    return os.getpid()


def _ignores(number: int) -> bool:
    return signal.getsignal(number) is signal.SIG_IGN
