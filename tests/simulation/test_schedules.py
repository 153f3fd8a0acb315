"""Random schedules, and those that broke a rule once: the rules of flip hold under all of them.

More of the random ones, or one again:

    python -m flip.simulation.schedules --count 100000 --state schedules.state
    python -m flip.simulation.schedules --seed 17
"""

from __future__ import annotations

import gc
import json
import os
import re
import unittest
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hamcrest import assert_that, empty, equal_to, greater_than, is_not, less_than
from twisted.python.reflect import namedAny
from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SynchronousTestCase

from flip.errors import BadSchedule
from flip.simulation.invariants import Violation
from flip.simulation.schedules import Schedule, play
from flip.simulation.schedules.campaign import Progress, campaign, rehearse
from flip.simulation.schedules.generator import generate
from flip.simulation.schedules.shrinking import broken, shrink
from tests.matchers import has_items
from tests.simulation.rules_off import RULES, switched_off

SAMPLE = int(os.environ.get("FLIP_SCHEDULES", "200"))
FILES = sorted((Path(__file__).parent.parent / "schedules").glob("*.json"))

# Rules that text is too weak for, or that another rule stands behind so that no
# schedule of a whole cluster breaks without them: a test that does.
DIRECTED = {
    "D10": "tests.cluster.test_evidence.LateNewsTests.test_hearsay",
    "D3": "tests.cluster.test_evidence.OldVotesTests.test_isolated_voter",
    "D4": "tests.membership.test_detector.VoteTests.test_accuses_what_was_probed",
    "D5": "tests.cluster.test_lives.StallTests.test_thaw",
    "R7": "tests.cluster.test_changes.DisagreementTests.test_newer_one_plans",
    "K7": "tests.cluster.test_story.StartTests.test_restart_while_another_is_dead",
    "K8": "tests.holdings.test_keeper.ForsakingTests.test_releasing",
    "K5": "tests.cluster.test_changes.RollingChangeTests.test_less_data",
    "M5": "tests.cluster.test_lives.DoubleTests.test_double",
    "E9-list": "tests.holdings.grants.test_voter.ScopeTests.test_other_voters",
    "R8": "tests.cluster.test_lives.FlappingTests.test_flapping",
    "S1": "tests.cluster.test_lives.ManyTests.test_sweep_ends",
    "S2": "tests.cluster.test_network.LossTests.test_loss",
    "M1": "tests.membership.test_roster.VoteTests.test_ahead_of_the_record",
    "M2": "tests.membership.test_roster.TieTests.test_order",
    "M3": "tests.membership.test_roster.WitnessTests.test_back_from_leaving",
    "M4": "tests.membership.test_datagram.PingTests.test_clock_set_back",
    "M6": "tests.holdings.test_outlook.EligibilityTests.test_unreachable_heir",
    "R1+": "tests.membership.test_touch.SettledTests.test_doubt_from_before",
    "R2-unheard": "tests.holdings.test_outlook.ClaimTests.test_never_heard_of",
    "anti-entropy": "tests.membership.test_reconciliation.ReconciliationTests.test_cut_off",
    "nonce": "tests.membership.test_exchange.AckTests.test_direct",
    "suspect": "tests.membership.test_dissemination.NewsTests.test_suspect_first",
    "votes": "tests.membership.test_roster.VoteTests.test_ahead_of_the_record",
    "E2-quorum": "tests.holdings.grants.test_claimant.QuorumTests.test_newest_quorum",
    "E3-number": "tests.holdings.grants.test_voter.ReleaseTests.test_overtaken",
    "E3-record": "tests.cluster.test_exclusive.VoterTests.test_record_of_nothing",
    "E5-age": "tests.holdings.grants.test_claimant.QuorumTests.test_too_late",
    "E6": "tests.holdings.grants.test_claimant.WithdrawalTests.test_pauses",
    "A-back": "tests.holdings.address.test_repair.LinkTests.test_vanishes_and_returns",
    "H-stay": "tests.cluster.test_checks.NobodyFitTests.test_one_after_the_other",
    "AE-late": "tests.simulation.test_address_invariants.ExclusiveTests.test_margin",
    "AE-by": "tests.holdings.address.test_upkeep.ExclusiveTests.test_slow_kernel",
    "G-undo": "tests.holdings.test_course.AliveTests.test_undo_hook",
    "G-all": "tests.holdings.test_course.AliveTests.test_failure",
    "E7": "tests.holdings.grants.test_granting.AnswerTests.test_refused",
}


class RegressionTests(SynchronousTestCase):
    """The files of tests/schedules."""

    def test_with_its_rule(self) -> None:
        """Nothing is broken."""
        for path in FILES:
            assert_that((path.name, broken(Schedule.load(path))), equal_to((path.name, None)))

    def test_without_its_rule(self) -> None:
        """An invariant is broken: the schedule shows what the rule is for."""
        for path in FILES:
            schedule = Schedule.load(path)
            if schedule.rule is not None:
                with switched_off(schedule.rule):
                    outcome = broken(schedule)
                assert_that((path.name, outcome), is_not(equal_to((path.name, None))))
        # To a node a violation was a hook that failed, or what stopped its departure.
        gc.collect()
        self.flushLoggedErrors(Violation)

    def test_directed(self) -> None:
        """A test of another kind fails without the rule, and passes with it."""
        for rule, name in DIRECTED.items():
            with switched_off(rule):
                assert_that((rule, _passes(name)), equal_to((rule, False)))
            assert_that((rule, _passes(name)), equal_to((rule, True)))
        gc.collect()
        self.flushLoggedErrors()

    def test_rules(self) -> None:
        """Every rule has a schedule or a test that needs it, and there are no others."""
        rules = {Schedule.load(path).rule for path in FILES} - {None}
        assert_that(rules - RULES.keys(), empty())
        assert_that(RULES.keys() - rules - DIRECTED.keys(), empty())
        assert_that(len(FILES), greater_than(20))


class PageTests(SynchronousTestCase):
    """docs/testing.md says where the schedules of the design live."""

    def test_places(self) -> None:
        """Every place is a file or a test that is there, and every rule one that can be off."""
        root = Path(__file__).parent.parent.parent
        page = (root / "docs" / "testing.md").read_text().partition("## Where the schedules")[2]
        rows = re.findall(r"^\| ([EKMS]-?[a-l0-9]) \| (.*) \| (.*) \|$", page, re.MULTILINE)
        assert_that(len(rows), equal_to(12 + 9 + 8 + 3))
        for name, rules, places in rows:
            for rule in rules.split(", "):
                assert_that(
                    (name, rule in RULES or rule == "the model's E2"), equal_to((name, True))
                )
            for place in re.findall("`(.*?)`", places):
                there = callable(namedAny(place)) if "/" not in place else (root / place).exists()
                assert_that((name, place, there), equal_to((name, place, True)))


class RandomTests(SynchronousTestCase):
    """Schedules drawn at random."""

    def test_sample(self) -> None:
        """No rule is broken, and afterwards all is well."""
        failures = rehearse(range(SAMPLE)).failures
        assert_that([failure.report for failure in failures], empty())

    def test_same_seed(self) -> None:
        """A seed stands for one schedule, and a schedule for one run."""
        assert_that(generate(7), equal_to(generate(7)))
        assert_that(play(generate(7)), equal_to(play(generate(7))))

    def test_variety(self) -> None:
        """Every kind of fault, clusters of several sizes, and exclusive systems are drawn."""
        schedules = [generate(seed) for seed in range(300)]
        kinds = {fault.split(" ")[0] for schedule in schedules for fault in schedule.faults}
        assert_that(
            kinds,
            has_items("kill", "restart", "restart-empty", "reboot", "leave", "freeze"),
        )
        assert_that(
            kinds,
            has_items("cut", "cut-one-way", "loss", "duplicate", "latency", "drift", "mistrust"),
        )
        sizes = {len(schedule.config["servers"]) for schedule in schedules}
        assert_that(sizes, equal_to({2, 3, 4, 5}))
        systems = [schedule.config["cluster"]["system"]["s"] for schedule in schedules]
        exclusive = sum("exclusive" in system for system in systems)
        assert_that(exclusive, equal_to(150))
        assert_that(kinds, has_items("link", "unplug", "vanish", "overrun", "conflict", "drain"))
        assert_that(kinds, has_items("fail-check", "hang-check", "flap-check", "no-witness"))
        for setting, least in (("provider", 60), ("check", 25), ("failback", 25)):
            found = sum(setting in system for system in systems)
            assert_that((setting, found > least), equal_to((setting, True)))


class ShrinkingTests(SynchronousTestCase):
    """From a long schedule to a short one."""

    def test_faults(self) -> None:
        """Only what it takes to fail alike is left, and times are round."""
        schedule = replace(
            generate(0),
            faults=("kill n0@1.234-5.678", "loss 10%@2.5-3.5", "freeze n1,n2@2.345-3.9"),
            duration=14.0,
        )
        short = shrink(schedule, lambda tried: any("freeze" in fault for fault in tried.faults))
        assert_that(short.faults, equal_to(("freeze n2@2-4",)))
        assert_that(short.duration, less_than(5.0))

    def test_nothing_to_shrink(self) -> None:
        """A schedule that breaks nothing is refused."""
        with self.assertRaises(ValueError):
            shrink(replace(generate(0), faults=()))


class FileTests(SynchronousTestCase):
    """Schedules as files."""

    def test_round_trip(self) -> None:
        """What is saved is loaded."""
        path = Path(self.mktemp())
        schedule = replace(generate(3), description="an example", rule="R2")
        schedule.save(path)
        assert_that(Schedule.load(path), equal_to(schedule))

    def test_garbage(self) -> None:
        """Anything else is refused."""
        for text in ("", "[]", "{}", '{"faults": 3}', '{"faults": [], "colour": "red"}'):
            path = Path(self.mktemp())
            path.write_text(text)
            with self.assertRaises(BadSchedule):
                Schedule.load(path)


class CampaignTests(SynchronousTestCase):
    """Thousands of them."""

    def test_resume(self) -> None:
        """Stopped and gone on with, it comes to what it comes to at once."""
        whole = Progress(0, 0)
        campaign(whole, 50, 1, lambda progress: None)
        path = Path(self.mktemp())
        part = Progress(0, 0)
        with self.assertRaises(KeyboardInterrupt):
            campaign(part, 50, 1, self._saved_once(path))
        part = Progress.load(path)
        assert_that(part.next, equal_to(25))
        campaign(part, 50, 1, lambda progress: progress.save(path))
        assert_that(
            replace(Progress.load(path), seconds=0.0), equal_to(replace(whole, seconds=0.0))
        )

    def test_failures(self) -> None:
        """What breaks a rule is told with its seed, and the others go on."""
        with switched_off("R2"):
            tally = rehearse(range(4))
        self.flushLoggedErrors(Violation)
        assert_that(tally.count, equal_to(4))
        assert_that({failure.invariant for failure in tally.failures}, has_items("BreakBeforeMake"))

    def test_bad_state(self) -> None:
        """A file that is no state is refused."""
        path = Path(self.mktemp())
        path.write_text(json.dumps({"first": 0}))
        with self.assertRaises(BadSchedule):
            Progress.load(path)

    def _saved_once(self, path: Path) -> Callable[[Progress], None]:
        def told(progress: Progress) -> None:
            progress.save(path)
            raise KeyboardInterrupt

        return told


class ReportTests(SynchronousTestCase):
    """What a violation tells."""

    def test_everything(self) -> None:
        """The seed, the time, the rule, the schedule and the last events."""
        schedule = Schedule.load(FILES[0].with_name("R3-first.json"))
        with switched_off("R3-first"), self.assertRaises(Violation) as caught:
            play(schedule)
        self.flushLoggedErrors(Violation)
        text = str(caught.exception)
        for part in (f"seed {schedule.seed}", *schedule.faults, "n0 starts", "claims"):
            assert_that((part, part in text), equal_to((part, True)))
        assert_that(caught.exception.invariant, equal_to("BreakBeforeMake"))


def _passes(name: str) -> bool:
    """Whether one test passes."""
    case, _, method = name.rpartition(".")
    result = TestResult()
    test: unittest.TestCase = namedAny(case)(method)
    test.run(result)
    return result.wasSuccessful() and result.testsRun == 1
