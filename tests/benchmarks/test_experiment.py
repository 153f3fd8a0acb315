"""Tests for the experiment: trials, what is kept of them, and the tables."""

from __future__ import annotations

from pathlib import Path

from hamcrest import assert_that, close_to, empty, equal_to, has_length, less_than
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.lifeguard.experiment import Outcome, Trial, perform
from benchmarks.lifeguard.grid import Results, trials
from benchmarks.lifeguard.table import latencies, missed_goals, mistakes, percentile


class TrialTests(SynchronousTestCase):
    """One trial in a small cluster."""

    def test_flip(self) -> None:
        """Each member that stops for good is found down by all, and nobody else is."""
        outcome = perform(Trial("flip", 2, None, None, 1, members=9))
        assert_that(outcome.first, has_length(2))
        assert_that(outcome.full, has_length(2))
        assert_that(max(outcome.full), less_than(6.0))
        assert_that(outcome.false_positives, equal_to(0))

    def test_equal_probe_traffic(self) -> None:
        """At rest flip with one ping per second sends what SWIM sends."""
        rates = [
            perform(Trial(detector, 1, 0.1, None, 1, members=9)).datagrams_at_rest
            for detector in ("flip-1", "lifeguard")
        ]
        assert_that(rates[0], close_to(rates[1], 0.1))

    def test_chance(self) -> None:
        """A trial is the same whenever it is done."""
        trial = Trial("lifeguard", 2, 2.0, 0.5, 3, members=9)
        one, two = perform(trial), perform(trial)
        one.took = two.took = 0.0
        assert_that(one, equal_to(two))


class ResultsTests(SynchronousTestCase):
    """What was done is not done again."""

    def test_kept(self) -> None:
        """A later run finds what an earlier one has found."""
        directory = Path(self.mktemp())
        done, to_do = trials(["swim"], [1, 2], [(None, None, True)], [1])
        Results(directory).add(done, Outcome(first=[1.5]))
        again = Results(directory)
        assert_that(again.missing([done, to_do]), equal_to([to_do]))
        assert_that(list(again.of([done, to_do])), equal_to([(done, Outcome(first=[1.5]))]))

    def test_nothing_kept(self) -> None:
        """Without a directory nothing is."""
        trial = Trial("swim", 1, None, None, 1)
        assert_that(list(Results(None).of([trial])), empty())


class TableTests(SynchronousTestCase):
    """The tables."""

    def test_percentiles(self) -> None:
        """The least value that so many do not exceed."""
        values = [float(one) for one in range(1, 101)]
        shown = [percentile(values, share) for share in (0.5, 0.99, 0.999)]
        assert_that(shown, equal_to([50.0, 99.0, 100.0]))
        assert_that(percentile([], 0.5), equal_to(None))

    def test_latencies(self) -> None:
        """Each detector has a line, with its ratio to SWIM+Lifeguard, and what it missed."""
        once = (None, None)
        lines = latencies(
            [
                (Trial("lifeguard", 1, *once, 1), Outcome(first=[10.0], full=[11.0])),
                (Trial("flip", 1, *once, 1), Outcome(first=[4.0])),
            ]
        )
        shown = lines[-1].split()[4:12]
        assert_that(shown, equal_to(["4.00", "4.00", "4.00", "0.40", "-", "-", "-", "1"]))

    def test_mistakes(self) -> None:
        """The last lines are about all trials together."""
        lines = mistakes(
            [
                (Trial("lifeguard", 1, 1.0, 1.0, 1), Outcome(false_positives=30)),
                (Trial("lifeguard", 2, 1.0, 1.0, 1), Outcome(false_positives=10)),
                (Trial("flip", 2, 1.0, 1.0, 1), Outcome(false_positives=4, at_healthy=1)),
            ]
        )
        assert_that(
            lines[-1].split()[:8], equal_to(["all", "flip,", "3", "pings/s", "4", "1", "0.10", "0"])
        )

    def test_goals(self) -> None:
        """flip has to be right ten times as often, and as soon, as SWIM+Lifeguard."""
        slow = [
            (Trial("lifeguard", 1, None, None, 1), Outcome(first=[10.0])),
            (Trial("flip-1", 1, None, None, 1), Outcome(first=[10.1])),
        ]
        wrong = [
            (Trial("lifeguard", 1, 1.0, 1.0, 1), Outcome(false_positives=39)),
            (Trial("flip-1", 1, 1.0, 1.0, 1), Outcome(false_positives=4)),
        ]
        assert_that(missed_goals(slow, wrong), has_length(2))
        slow[1][1].first = [10.0]
        wrong[0][1].false_positives = 40
        assert_that(missed_goals(slow, wrong), empty())
