"""At most one owner, with real processes: daemons and guards are killed and stopped.

The proof is what the hooks wrote down themselves, by one clock.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time

from hamcrest import (
    assert_that,
    close_to,
    contains_string,
    empty,
    equal_to,
    greater_than,
    has_length,
    less_than,
)
from twisted.trial.unittest import SynchronousTestCase

from flip.demo.story import IDS
from flip.demo.workplace import TRACEBACK
from flip.holdings.guard.interface import RESOLUTION
from tests.end_to_end.exclusive import (
    DATA,
    HOOK_TIMEOUT,
    ExclusiveCluster,
    Line,
    Span,
    now,
    numbers,
    overlaps,
    spans,
)

BUSY = 0.3  # seconds that a busy machine may take for a hook written in Python
MARGIN = HOOK_TIMEOUT / 1000 + RESOLUTION


class ReckoningTests(SynchronousTestCase):
    """What the tests below conclude from the hooks' lines."""

    def test_spans(self) -> None:
        """A data point is held from the first word of `alive` to the last of `down`."""
        lines = [
            Line(1, "flip", "alive", "a", "begin"),
            Line(2, "flip", "alive", "a", "end"),
            Line(3, "flip", "alive", "a", "begin"),
            Line(5, "flip", "down", "a", "begin"),
            Line(6, "flip", "down", "a", "end"),
            Line(6, "flip1", "down", "a", "end"),
            Line(7, "flip1", "alive", "a", "begin"),
        ]
        assert_that(
            spans(lines),
            equal_to([Span(1, 6, "flip", "a"), Span(7, float("inf"), "flip1", "a")]),
        )

    def test_overlaps(self) -> None:
        """Two holders of one data point are found, of two not, nor when one follows the other."""
        one = Span(1, 6, "flip", "a")
        assert_that(overlaps([one, Span(5, 7, "flip1", "a")]), has_length(1))
        assert_that(overlaps([one, Span(0, float("inf"), "flip1", "a")]), has_length(1))
        assert_that(overlaps([one, Span(6, 7, "flip1", "a")]), empty())
        assert_that(overlaps([one, Span(5, 7, "flip1", "b")]), empty())
        assert_that(overlaps([one, Span(5, 7, "flip", "a")]), empty())


class ExclusiveTestCase(SynchronousTestCase):
    """An exclusive system of three nodes; each holds one data point."""

    if not sys.platform.startswith("linux"):
        skip = "needs /proc"

    def setUp(self) -> None:
        self.cluster = ExclusiveCluster()
        self.addCleanup(self.cluster.close)
        self.addCleanup(self.look_for_tracebacks)
        self.cluster.start()
        self.cluster.await_home()

    def look_for_tracebacks(self) -> None:
        for id in IDS:
            self.assertNotIn(TRACEBACK, self.cluster.logged(id))

    def rest(self, seconds: float) -> None:
        """Nothing moves, and no hook runs on flip1."""
        before = self.cluster.holders()
        at = now()
        time.sleep(seconds)
        ran = [line for line in self.cluster.lines() if line.node == "flip1" and line.at > at]
        assert_that((self.cluster.holders(), ran), equal_to((before, [])))

    def assert_one_owner(self) -> None:
        assert_that(overlaps(self.cluster.spans()), empty())

    def assert_hooks_alone(self, node: str) -> None:
        """No two hooks of one data point ran at once on a node; those that were killed aside."""
        lines = [line for line in sorted(self.cluster.lines()) if line.node == node]
        for datum in {line.datum for line in lines}:
            whats = [line.what for line in lines if line.datum == datum]
            assert_that(("end", "end") in itertools.pairwise(whats), equal_to(False), str(lines))

    def report(self, **values: float | int | str) -> None:
        """Measured values, into trial's log."""
        print(self.id().rsplit(".", 1)[-1], numbers(**values), file=sys.__stdout__)


class DaemonTests(ExclusiveTestCase):
    """What becomes of a data point when its holder's daemon does not go on."""

    def test_killed(self) -> None:
        """SIGKILL: the guard lets go at once, ends, and another node takes over after the lease."""
        cluster = self.cluster
        datum, at = cluster.held_by("flip1"), now()
        cluster.kill("flip1")
        cluster.await_served(without="flip1")
        let_go = cluster.first(at, node="flip1", event="down", datum=datum, what="end")
        taken = cluster.first(at, node=None, event="alive", datum=datum, what="begin")
        self.report(let_go=let_go, taken=taken, gap=taken - let_go, lease=cluster.lease)
        assert_that(let_go, less_than(BUSY))
        cluster.wait(lambda: not cluster.guards("flip1"), 2, "the guard ends")
        assert_that(cluster.logged("flip1"), contains_string("the daemon is gone"))
        self.assert_one_owner()

    def test_restarted_at_once(self) -> None:
        """A new daemon, while the old guard still lets go: hooks of the two never meet."""
        cluster = self.cluster
        datum = cluster.held_by("flip1")
        cluster.delay("down", "flip1", 0.15)
        at = now()
        cluster.kill("flip1")
        cluster.start("flip1")
        cluster.wait(
            lambda: len(cluster.wrote(at, "flip1", "down", "end")) >= len(DATA),
            10,
            "the new daemon has let go of everything",
        )
        cluster.delay("down", "flip1", 0)
        cluster.await_home()
        back = cluster.first(at, node="flip1", event="alive", datum=datum, what="begin")
        self.report(back=back)
        self.assert_hooks_alone("flip1")
        self.assert_one_owner()

    def test_stopped(self) -> None:
        """SIGSTOP: the guard lets go at the deadline; after SIGCONT the daemon knows that."""
        cluster = self.cluster
        datum, at = cluster.held_by("flip1"), now()
        cluster.nodes["flip1"].send(signal.SIGSTOP)
        cluster.await_served(without="flip1")
        acted = cluster.first(at, node="flip1", event="down", datum=datum, what="begin")
        let_go = cluster.first(at, node="flip1", event="down", datum=datum, what="end")
        taken = cluster.first(at, node=None, event="alive", datum=datum, what="begin")
        self.report(
            acted=acted, let_go=let_go, taken=taken, gap=taken - let_go, lease=cluster.lease
        )
        # Its grants were up to a quarter of their time old when it was stopped.
        longest = cluster.lease - MARGIN
        assert_that(acted, greater_than(longest * 0.5))
        assert_that(acted, less_than(longest + BUSY))
        assert_that(let_go, less_than(taken))
        cluster.nodes["flip1"].send(signal.SIGCONT)
        cluster.await_home()
        assert_that(cluster.logged("flip1"), contains_string(f"the guard lets go of {datum}"))
        self.assert_one_owner()

    def test_killed_while_alive_runs(self) -> None:
        """An `alive` that hangs dies with its daemon, by the guard's hand, and `down` runs."""
        cluster = self.cluster
        datum = cluster.held_by("flip1")
        cluster.delay("alive", "flip1", 0.2)
        cluster.nodes["flip1"].send(signal.SIGTERM)
        cluster.nodes["flip1"].wait(10)
        cluster.await_served(without="flip1")
        began = now()
        cluster.start("flip1")
        cluster.wait(
            lambda: any(
                x.at > began and x[1:] == ("flip1", "alive", datum, "begin")
                for x in cluster.lines()
            ),
            20,
            "alive runs",
        )
        at = now()
        cluster.kill("flip1")
        cluster.await_served(without="flip1")
        let_go = cluster.first(at, node="flip1", event="down", datum=datum, what="end")
        ended = [
            x for x in cluster.lines() if x.at > at and x[1:] == ("flip1", "alive", datum, "end")
        ]
        self.report(let_go=let_go)
        assert_that(ended, empty())
        assert_that(let_go, less_than(BUSY))
        self.assert_one_owner()


class GuardTests(ExclusiveTestCase):
    """What becomes of the guard does not concern the data points, while there is a daemon."""

    def test_killed(self) -> None:
        """SIGKILL of the guard: another one is there at once, armed; nothing moves."""
        cluster = self.cluster
        old = cluster.guard("flip1")
        os.kill(old, signal.SIGKILL)
        took = cluster.wait(lambda: cluster.guards("flip1") not in ([], [old]), 2, "another guard")
        self.rest(2 * cluster.lease)
        # And this one is as good as the first.
        datum, at = cluster.held_by("flip1"), now()
        cluster.nodes["flip1"].send(signal.SIGSTOP)
        cluster.await_served(without="flip1")
        acted = cluster.first(at, node="flip1", event="down", datum=datum, what="begin")
        self.report(replaced=took, acted=acted)
        self.assert_one_owner()

    def test_stopped(self) -> None:
        """SIGSTOP of the guard: the daemon misses its answer, kills it, starts another one."""
        cluster = self.cluster
        old = cluster.guard("flip1")
        os.kill(old, signal.SIGSTOP)
        took = cluster.wait(lambda: cluster.guards("flip1") not in ([], [old]), 3, "another guard")
        self.rest(2 * cluster.lease)
        self.report(replaced=took)
        assert_that(cluster.guards("flip1"), has_length(1))
        assert_that(cluster.logged("flip1"), contains_string("it did not answer, and was killed"))

    def test_asked_to_end(self) -> None:
        """SIGTERM, SIGINT and SIGHUP do not end a guard that guards something."""
        cluster = self.cluster
        guard = cluster.guard("flip1")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTSTP):
            os.kill(guard, number)
        time.sleep(0.5)
        assert_that(cluster.guard("flip1"), equal_to(guard))

    def test_left(self) -> None:
        """After a clean stop of the daemon there is no guard, and the data point has moved."""
        cluster = self.cluster
        datum, at = cluster.held_by("flip1"), now()
        cluster.nodes["flip1"].send(signal.SIGTERM)
        cluster.nodes["flip1"].wait(10)
        cluster.await_served(without="flip1")
        cluster.wait(lambda: not cluster.guards("flip1"), 2, "the guard ends")
        let_go = cluster.first(at, node="flip1", event="down", datum=datum, what="end")
        taken = cluster.first(at, node=None, event="alive", datum=datum, what="begin")
        self.report(let_go=let_go, taken=taken, gap=taken - let_go)
        assert_that(taken - let_go, close_to(0.0, BUSY))
        self.assert_one_owner()


class NobodyTests(ExclusiveTestCase):
    """The exception: neither daemon nor guard."""

    def test_both_killed(self) -> None:
        """What they held stays, and a restart cleans it up before anything else."""
        cluster = self.cluster
        datum, at = cluster.held_by("flip1"), now()
        guard = cluster.guard("flip1")
        cluster.nodes["flip1"].send(signal.SIGSTOP)
        os.kill(guard, signal.SIGKILL)
        cluster.kill("flip1")
        cluster.wait(lambda: len(cluster.holders()[datum]) == 2, 10, "another node takes it")
        taken = cluster.first(at, node=None, event="alive", datum=datum, what="begin")
        cluster.start("flip1")
        cluster.wait(lambda: cluster.wrote(at, "flip1", "alive", "begin"), 10, "flip1 has it again")
        cluster.await_home()
        cleaned = cluster.first(at, node="flip1", event="down", datum=datum, what="end")
        again = cluster.first(at, node="flip1", event="alive", datum=datum, what="begin")
        self.report(taken=taken, cleaned=cleaned, again=again, two_owners=cleaned - taken)
        assert_that(taken, greater_than(cluster.lease - MARGIN))
        assert_that(cleaned, less_than(again))
