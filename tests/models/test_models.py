"""Tests for models/: the right protocol holds in the model checker, broken ones do not."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache

from hamcrest import assert_that, equal_to, has_length
from twisted.trial.unittest import SynchronousTestCase

from models.check import ALL, Check, Outcome, Result, chosen, missing, read, run

COMPLETE = """
State-vector 132 byte, depth reached 151669, errors: 0
  1906532 states, stored
  363.211	total actual memory usage
"""


class ReadTests(SynchronousTestCase):
    """What spin's verifier prints."""

    def outcome(self, printed: str) -> Outcome:
        return read(printed, 1.0).outcome

    def test_numbers(self) -> None:
        """States, depth and memory are those that were printed."""
        result = read(COMPLETE, 2.5)
        found = (result.outcome, result.states, result.depth, result.seconds, result.megabytes)
        assert_that(found, equal_to((Outcome.HOLDS, 1906532, 151669, 2.5, 363.211)))

    def test_broken(self) -> None:
        """A broken assertion is one, though the search ended with it."""
        printed = (
            "pan:1: assertion violated (count==1) (at depth 31)\nWarning: Search not completed"
        )
        assert_that(self.outcome(printed), equal_to(Outcome.BROKEN))

    def test_cut_short(self) -> None:
        """A search that did not see everything proves nothing, whatever it says of errors."""
        for line in (
            "error: max search depth too small",
            "Warning: Search not completed",
            "pan: out of memory",
        ):
            assert_that(self.outcome(line + COMPLETE), equal_to(Outcome.OPEN), line)

    def test_nothing(self) -> None:
        """Nor does one that was ended before it said anything, or had other errors."""
        assert_that(self.outcome(""), equal_to(Outcome.OPEN))
        errors = COMPLETE.replace("errors: 0", "errors: 1")
        assert_that(self.outcome(errors), equal_to(Outcome.OPEN))


class ModelTests(SynchronousTestCase):
    """Each search comes out as it must; see `models.check`."""

    def test_chosen(self) -> None:
        """Checks are chosen by words, all of them without any."""
        assert_that(list(chosen([])), equal_to(list(ALL)))
        assert_that(list(chosen(["NO_E3_DRIFT"])), has_length(1))


@cache
def _searches() -> dict[Check, Future[Result]]:
    """All of them, as many at once as there are cores: one after the other takes minutes."""
    pool = ThreadPoolExecutor(os.cpu_count())
    return {check: pool.submit(run, check) for check in ALL}


def _test(check: Check) -> Callable[[ModelTests], None]:
    def test(self: ModelTests) -> None:
        if missing():
            self.skipTest(f"needs {' and '.join(missing())}: apt install spin gcc")
        assert_that(_searches()[check].result().outcome, equal_to(check.expected))

    test.__doc__ = f"{check.model}: {check.meaning}."
    return test


for _check in ALL:
    _name = "_".join((_check.model, *_check.defines)).replace("=", "_").lower()
    setattr(ModelTests, f"test_{_name}", _test(_check))
