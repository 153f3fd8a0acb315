"""`flip.membership.detector`: who is probed when, and which silence becomes a vote."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable

from hamcrest import (
    assert_that,
    contains_inanyorder,
    empty,
    equal_to,
    greater_than,
    has_length,
    is_,
    less_than,
    less_than_or_equal_to,
)

from flip.membership.detector import Detector
from flip.membership.health import Health
from flip.membership.member import WITNESS
from flip.membership.probe import Probe
from flip.membership.roster import State
from flip.membership.touch import Touch
from flip.wire.messages import Status, Update
from tests.matchers import is_not
from tests.membership.samples import FIVE, ClockTestCase, record, roster, votes

INTERVAL, TIMEOUT, LATENCY = 1.0, 1.5, 0.002


class Network:
    """Answers the detector's questions, after a while, for those that are not dead."""

    def __init__(self, test: DetectorTestCase) -> None:
        self.test = test
        self.dead: set[str] = set()
        self.cannot_help: set[str] = set()
        self.cut_from: set[str] = set()  # reached through helpers only
        self.pings: list[str] = []
        self.requests: list[tuple[str, str]] = []
        self.over: list[Probe] = []

    def ping(self, probe: Probe) -> None:
        self.pings.append(probe.target)
        sent = self.test.clock.seconds()
        if probe.target not in self.dead | self.cut_from:
            self.test.clock.callLater(LATENCY, self.answer, probe, sent)

    def ping_req(self, probe: Probe, helpers: Iterable[str]) -> None:
        sent = self.test.clock.seconds()
        for helper in helpers:
            self.requests.append((helper, probe.target))
            if helper not in self.dead | self.cut_from | self.cannot_help:
                self.test.clock.callLater(LATENCY, self.help, probe, helper, sent)

    def answer(self, probe: Probe, sent: float) -> None:
        self.test.touch.acked(probe.target, sent)
        self.test.judge()
        probe.answered()

    def help(self, probe: Probe, helper: str, sent: float) -> None:
        self.test.touch.signed(helper, sent)
        probe.helped.add(helper)
        if probe.target not in self.dead:
            self.test.touch.vouched(probe.target, sent)
            probe.answered()

    def forget(self, probe: Probe) -> None:
        self.over.append(probe)


class DetectorTestCase(ClockTestCase):
    """Node a."""

    def prepare(
        self, servers: tuple[str, ...] = FIVE, per_interval: int = 3, seed: int = 1
    ) -> Detector:
        """A detector that has not started."""
        self.roster = roster("a", servers)
        self.touch = Touch(self.roster, TIMEOUT, self.clock.seconds)
        self.health = Health()
        self.network = Network(self)
        self.detector = Detector(
            self.clock,
            random.Random(seed),
            self.roster,
            self.touch,
            self.health,
            self.network,
            interval=INTERVAL,
            per_interval=per_interval,
            timeout=TIMEOUT,
            judged=self.judge,
        )
        for member in servers:
            self.roster.merge((Update(member, record(member)),), member)
        self.addCleanup(self.finish)
        return self.detector

    def start(
        self, servers: tuple[str, ...] = FIVE, per_interval: int = 3, seed: int = 1
    ) -> Detector:
        """A detector in touch with everybody."""
        detector = self.prepare(servers, per_interval, seed)
        detector.start()
        self.run_for(0.5)
        self.network.pings.clear()
        return detector

    def judge(self) -> None:
        before = self.touch.in_touch
        self.touch.judge()
        if self.touch.in_touch and not before:
            self.detector.hear_out()

    def finish(self) -> None:
        self.detector.stop()
        self.clock.advance(LATENCY)  # what is on its way

    def voters(self, suspect: str) -> frozenset[str]:
        return self.roster[suspect].votes


class RotationTests(DetectorTestCase):
    """Each member once per round, in a new order every round."""

    def rounds(self, count: int, members: int) -> list[list[str]]:
        self.run_for(count * members / 3 * INTERVAL + 2, 0.05)
        pings = self.network.pings
        return [pings[at * members : (at + 1) * members] for at in range(count)]

    def test_rounds(self) -> None:
        """Nobody is left out, nobody comes twice, and steps may cross the border of a round."""
        others = tuple(f"n{n}" for n in range(10))
        self.start(("a", *others))
        rounds = self.rounds(12, 10)
        for members in rounds:
            assert_that(members, contains_inanyorder(*others))
        assert_that({tuple(members) for members in rounds}, has_length(greater_than(6)))

    def test_steps(self) -> None:
        """A step probes that many members, and nobody twice, though the rounds overlap."""
        self.start(("a", "b", "c", "d", "e"))
        for _ in range(20):
            self.network.pings.clear()
            self.run_for(INTERVAL, 0.05)
            assert_that(self.network.pings, has_length(3))
            assert_that(set(self.network.pings), has_length(3))

    def test_gap(self) -> None:
        """A member waits at most two rounds less two for its next probe."""
        others = tuple(f"n{n}" for n in range(20))
        self.start(("a", *others), per_interval=1)
        self.run_for(200, 0.1)
        last: dict[str, int] = {}
        gaps = []
        for at, member in enumerate(self.network.pings):
            if member in last:
                gaps.append(at - last[member])
            last[member] = at
        assert_that(max(gaps), less_than_or_equal_to(2 * len(others) - 1))

    def test_more_per_step_than_members(self) -> None:
        """Everybody once per step."""
        self.start(("a", "b", "c"))
        self.run_for(3 * INTERVAL, 0.05)
        assert_that(Counter(self.network.pings), equal_to({"b": 3, "c": 3}))

    def test_left(self) -> None:
        """Who left is not probed, until it is back."""
        self.start()
        self.roster.merge((Update("b", record("b", 5, 1, status=Status.LEFT)),), "b")
        self.run_for(5, 0.05)
        assert_that("b" in self.network.pings, is_(False))
        self.roster.merge((Update("b", record("b", 6)),), "b")
        self.run_for(5, 0.05)
        assert_that("b" in self.network.pings, is_(True))

    def test_all_left(self) -> None:
        """The last one has nobody to probe."""
        self.start()
        gone = [Update(id, record(id, 5, 1, status=Status.LEFT)) for id in "bcde"]
        self.roster.merge(gone, "b")
        self.run_for(3, 0.05)
        assert_that(self.network.pings, empty())

    def test_down(self) -> None:
        """Who is down is probed on, so that a partition heals."""
        self.start()
        self.network.dead.add("b")
        self.roster.accuse("b", 5, ("c", "d", "e"))
        self.run_for(10, 0.05)
        self.network.pings.clear()
        self.network.dead.clear()
        self.run_for(5, 0.05)
        assert_that((self.touch.reachable["b"], "b" in self.network.pings), equal_to((True, True)))

    def test_an_error_does_not_end_it(self) -> None:
        """A bug in what follows a step costs that step."""
        detector = self.prepare()
        self.patch(detector, "_judged", lambda: 1 / 0)
        detector.start()
        self.run_for(3 * INTERVAL + 0.5, 0.05)
        assert_that(len(self.network.pings), greater_than(3 + 2 * 3))
        assert_that(self.errors(ZeroDivisionError), is_not(empty()))

    def test_start(self) -> None:
        """At start everybody is probed, at once."""
        self.prepare().start()
        assert_that(self.network.pings, contains_inanyorder("b", "c", "d", "e"))

    def test_stopped(self) -> None:
        """After the stop nothing is probed, whatever is learnt."""
        detector = self.start()
        self.network.dead.add("b")
        self.run_for(2)
        detector.stop()
        self.network.pings.clear()
        self.roster.merge((votes("c", 5, "d"), Update("b", record("b", 6))), "d")
        detector.sign_of_life("b")
        detector.probe_soon("bc")
        self.run_for(3)
        assert_that(self.network.pings, empty())
        assert_that(self.clock.getDelayedCalls(), empty())


class VoteTests(DetectorTestCase):
    """A vote is this node's own, fresh evidence."""

    def test_silence(self) -> None:
        """A missed probe is a vote against the incarnation that was probed."""
        self.start()
        self.network.dead.add("b")
        self.detector.probe_soon("b")
        self.run_for(TIMEOUT - 0.05)
        assert_that(self.voters("b"), empty())
        self.run_for(0.1)
        assert_that(self.voters("b"), equal_to({"a"}))

    def test_through_a_helper(self) -> None:
        """Whom a helper reaches nobody votes against."""
        self.start()
        self.network.cut_from.add("b")
        self.run_for(10, 0.05)
        assert_that((self.voters("b"), self.touch.reachable["b"]), equal_to((frozenset(), True)))

    def test_without_witnesses(self) -> None:
        """Who hears nobody at all is itself cut off, and accuses nobody."""
        self.start()
        self.network.dead.update("bcde")
        self.run_for(20, 0.05)
        for member in "bcde":
            assert_that(self.voters(member), empty())
        assert_that(self.touch.in_touch, is_(False))

    def test_too_few_witnesses(self) -> None:
        """One of four that answers is not enough for a quorum of three."""
        self.start()
        self.network.dead.update("cde")
        self.detector.probe_soon("c")
        self.run_for(TIMEOUT + 0.1)
        assert_that(self.voters("c"), empty())

    def test_not_in_touch(self) -> None:
        """Who is not in touch accuses nobody."""
        self.prepare()
        self.network.dead.update("cde")
        self.detector.start()
        self.run_for(20, 0.05)
        assert_that(self.touch.in_touch, is_(False))
        for member in "cde":
            assert_that(self.voters(member), empty())

    def test_doubt_from_before(self) -> None:
        """A probe that began before this node was in touch is begun again, and then counts (K7)."""
        self.prepare()
        self.network.dead.add("b")
        began = self.clock.seconds()
        self.detector.start()
        self.run_for(2 * TIMEOUT - 0.1)
        assert_that(self.voters("b"), empty())
        self.run_for(0.3)
        assert_that(self.voters("b"), equal_to({"a"}))
        assert_that(self.clock.seconds() - began, less_than(2 * TIMEOUT + 0.3))

    def test_accuses_what_was_probed(self) -> None:
        """A member that rose during the probe is not accused for a time after its rise (D4)."""
        self.start()
        self.network.dead.add("b")
        self.detector.probe_soon("b")
        self.run_for(1.0)
        self.roster.witness("b", 6)
        self.run_for(0.6)
        assert_that(
            (self.voters("b"), self.roster.state("b")), equal_to((frozenset(), State.ALIVE))
        )

    def test_quorum_has_spoken(self) -> None:
        """More votes than a quorum only cost bytes."""
        self.start()
        self.network.dead.add("b")
        self.roster.accuse("b", 5, ("c", "d", "e"))
        self.run_for(10, 0.05)
        assert_that(self.voters("b"), equal_to({"c", "d", "e"}))

    def test_hearsay(self) -> None:
        """Nobody votes on hearsay, but looks for oneself at once."""
        self.start()
        self.network.pings.clear()
        self.roster.merge((votes("b", 5, "c"),), "c")
        assert_that(self.network.pings, equal_to(["b"]))
        self.run_for(TIMEOUT + 0.1)
        assert_that(self.voters("b"), equal_to({"c"}))

    def test_stall(self) -> None:
        """Nobody is accused for what this node slept through; it asks again."""
        self.start()
        self.detector.probe_soon("b")
        self.clock.advance(LATENCY / 2)
        self.clock.rightNow += 10
        self.network.pings.clear()
        for call in self.clock.calls[:]:
            if call.func == self.network.answer:
                call.cancel()  # the socket's buffer was too small
        self.clock.advance(0)
        for member in "bcde":
            assert_that(self.voters(member), empty())
        assert_that("b" in self.network.pings, is_(True))

    def test_three_nodes_time(self) -> None:
        """A death is a vote after an interval and a timeout at most."""
        for seed in range(5):
            self.start(("a", "b", "c"), seed=seed)
            self.run_for(0.37 * seed, 0.01)
            self.network.dead.add("b")
            self.seconds_until(lambda: self.voters("b"), INTERVAL + TIMEOUT + 0.1)
            self.finish()


class EarlyVoteTests(DetectorTestCase):
    """An old datagram must not bring a dead member back (M6, D10)."""

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.network.dead.add("b")
        self.roster.accuse("b", 5, ("c", "d"))
        self.detector.probe_soon("b")
        self.run_for(TIMEOUT + 0.1)
        assert_that(self.roster.state("b"), is_(State.DOWN))

    def test_late_refutation(self) -> None:
        """Who has missed b votes at once against what others say that it says, and probes it."""
        self.network.pings.clear()
        self.roster.merge((Update("b", record("b", 6)),), "c")
        assert_that((self.voters("b"), self.network.pings), equal_to(({"a"}, ["b"])))

    def test_from_itself(self) -> None:
        """What b says itself is no hearsay: it is probed, not accused."""
        self.network.pings.clear()
        self.roster.merge((Update("b", record("b", 6)),), "b")
        assert_that((self.voters("b"), self.network.pings), equal_to((frozenset(), ["b"])))

    def test_new_life(self) -> None:
        """Nor is a new life a refutation: who hears of a restart from others first waits."""
        self.network.pings.clear()
        self.roster.merge((Update("b", record("b", 9, birth=9, boot=2)),), "c")
        assert_that((self.voters("b"), self.network.pings), equal_to((frozenset(), ["b"])))

    def test_one_per_timeout(self) -> None:
        """A member that refutes again and again gets one early vote per timeout."""
        early = 0
        for incarnation in range(6, 36):
            self.roster.merge((Update("b", record("b", incarnation)),), "c")
            early += bool(self.voters("b"))
            self.run_for(0.1, 0.05)
        assert_that(early, equal_to(2))

    def test_reachable(self) -> None:
        """Who reaches b has no reason."""
        self.network.dead.clear()
        self.detector.probe_soon("b")
        self.run_for(TIMEOUT / 6 + 0.1)
        self.roster.merge((Update("b", record("b", 6)),), "c")
        assert_that(self.voters("b"), empty())

    def test_cut_off(self) -> None:
        """Who is cut off has no say."""
        self.network.dead.update("cde")
        self.run_for(5, 0.05)
        self.roster.merge((Update("b", record("b", 6)),), "c")
        assert_that(self.voters("b"), empty())


class RisingTests(DetectorTestCase):
    """A silent member whose incarnation rises while it is being probed."""

    def setUp(self) -> None:
        super().setUp()
        self.start(("a", "b", "c"))
        self.network.dead.add("b")
        self.detector.probe_soon("b")
        self.run_for(TIMEOUT + 0.1)
        self.seconds_until(lambda: "b" in self.detector._probes, 2)

    def rise(self, incarnation: int, boot: int = 2) -> None:
        self.roster.merge((Update("b", record("b", incarnation, boot=boot)),), "b")

    def test_asked_anew(self) -> None:
        """The probe that runs would accuse what is past: another begins, and its vote counts."""
        self.run_for(1.0)
        self.rise(9)
        assert_that(self.detector._probes["b"].accused, equal_to(9))
        self.run_for(TIMEOUT + 0.05)
        assert_that(self.voters("b"), equal_to({"a"}))

    def test_ever_rising(self) -> None:
        """A member that rises all the time does not escape its verdict."""
        verdicts: list[str] = []
        missed = self.touch.missed

        def count(member: str, began: float) -> None:
            verdicts.append(member)
            missed(member, began)

        self.patch(self.touch, "missed", count)
        for incarnation in range(9, 109):
            self.rise(incarnation)
            self.run_for(0.1)
        assert_that(len(verdicts), greater_than(10 / (2 * TIMEOUT) - 1))


class DoubtTests(DetectorTestCase):
    """Whether it is that member or this node is asked of others in time (D1, S1)."""

    def many(self, count: int) -> tuple[str, ...]:
        return ("a", *(f"n{n:03d}" for n in range(count)))

    def test_sample(self) -> None:
        """One death among a hundred costs a few dozen packets, once."""
        self.start(self.many(100))
        self.run_for(40, 0.05)
        self.network.pings.clear()
        self.network.requests.clear()
        self.network.dead.add("n007")
        self.detector.probe_soon(("n007",))
        self.run_for(TIMEOUT + 0.1, 0.02)
        assert_that(self.voters("n007"), equal_to({"a"}))
        rotation = 2 * 3
        assert_that(len(self.network.pings), less_than(6 + 5 + rotation + 3))
        assert_that(self.network.requests, has_length(4 * 3))

    def test_asked_for_help(self) -> None:
        """Helpers are others that answer, never the suspect."""
        self.start(self.many(30))
        self.network.dead.add("n007")
        self.detector.probe_soon(("n007",))
        self.run_for(TIMEOUT + 0.1, 0.02)
        assert_that({target for _, target in self.network.requests}, equal_to({"n007"}))
        assert_that("n007" in {helper for helper, _ in self.network.requests}, is_(False))

    def test_dead_for_long(self) -> None:
        """A member known to be silent raises no doubt: the cost of a death ends."""
        self.start(self.many(50))
        self.network.dead.add("n007")
        self.roster.accuse("n007", 5, self.many(50)[10:40])
        self.run_for(60, 0.05)
        self.network.pings.clear()
        self.run_for(60, 0.05)
        rotation = 60 * 3
        retries = 5 * (60 * 3 / 50 + 2)
        assert_that(len(self.network.pings), less_than_or_equal_to(rotation + retries))

    def test_many_deaths(self) -> None:
        """A hundred deaths at once are no storm."""
        members = self.many(200)
        self.start(members)
        self.run_for(70, 0.05)
        self.network.pings.clear()
        self.network.dead.update(members[100:])
        self.detector.probe_soon(members[100:])
        busiest = 0
        for _ in range(40):
            before = len(self.network.pings)
            self.run_for(0.25, 0.01)
            busiest = max(busiest, len(self.network.pings) - before)
        # Six tries each, and 200 new probes a second.
        assert_that(busiest, less_than(0.25 * 200 * 6 + 100))

    def test_asked_about(self) -> None:
        """Asked by others a node looks for itself, unless it knows of the silence."""
        self.start()
        self.network.pings.clear()
        self.detector.asked_about("b")
        assert_that(self.network.pings, equal_to(["b"]))
        self.network.dead.add("c")
        self.detector.probe_soon("c")
        self.run_for(TIMEOUT + 0.1)
        self.network.pings.clear()
        self.detector.asked_about("c")
        assert_that(self.network.pings, empty())

    def test_left_during_a_sweep(self) -> None:
        """A member that leaves while it is being swept does not hold the sweep up."""
        self.start(self.many(30))
        self.network.dead.update(self.many(30)[1:])
        self.detector.probe_soon(("n007",))
        self.run_for(0.6)
        gone = [Update(id, record(id, 5, 1, status=Status.LEFT)) for id in self.many(30)[1:]]
        self.roster.merge(gone, "n001")
        self.run_for(3)
        assert_that(self.detector._sweep._waiting, empty())


class SignTests(DetectorTestCase):
    """Signs of life bring probes, not proof."""

    def test_silent_member(self) -> None:
        """A member that was silent and sends something is probed at once."""
        self.start()
        self.network.dead.add("b")
        self.detector.probe_soon("b")
        self.run_for(TIMEOUT + 0.1)
        self.network.dead.clear()
        self.detector.sign_of_life("b")
        assert_that(self.touch.reachable["b"], is_(False))
        self.run_for(0.1)
        assert_that(self.touch.reachable["b"], is_(True))

    def test_during_a_probe(self) -> None:
        """A probe that runs asks again at once."""
        self.start()
        self.network.dead.add("b")
        self.detector.probe_soon("b")
        self.run_for(0.05)
        self.network.pings.clear()
        self.detector.sign_of_life("b")
        assert_that(self.network.pings, equal_to(["b"]))


class HealthTests(DetectorTestCase):
    """Who is ill waits longer."""

    def test_no_help(self) -> None:
        """Helpers that are all silent point at this node, one that answers does not."""
        self.start()
        self.network.dead.add("b")
        self.network.cannot_help.update("cd")
        self.detector.probe_soon("b")
        self.run_for(TIMEOUT + 0.1)
        assert_that(self.health.score, equal_to(0))
        self.network.cannot_help.update("cde")
        self.detector.probe_soon("b")
        self.run_for(0.9)
        score = self.health.score
        self.run_for(0.7)
        assert_that(self.health.score, equal_to(score + 1))

    def test_nobody_to_help(self) -> None:
        """Where nobody could be asked, nobody was silent."""
        self.start(("a", "b"))
        self.network.dead.add("b")
        self.run_for(10, 0.05)
        assert_that(self.health.score, equal_to(0))

    def test_recovers(self) -> None:
        """A few good probes later it is well again."""
        self.start()
        for _ in range(5):
            self.health.worsen("a test")
        self.run_for(2.5, 0.05)
        assert_that(self.health.score, equal_to(0))

    def test_stretch(self) -> None:
        """A node that is ill waits up to four times as long."""
        self.start(("a", "b", "c"))
        self.network.dead.add("b")
        for _ in range(3):
            self.health.worsen("a test")
        self.detector.probe_soon("b")
        self.run_for(4 * TIMEOUT - 0.1)
        assert_that(self.voters("b"), empty())
        self.run_for(0.2)
        assert_that(self.voters("b"), equal_to({"a"}))


class TurnTests(DetectorTestCase):
    """A member's turn that comes while it is being probed."""

    def test_exhausted(self) -> None:
        """It is probed again when the probe has ended, if that had no try left by then.

        Else a member that is back at that moment would wait for another round.
        """
        self.start(("a", "b", "c"))
        self.network.dead.add("b")
        self.run_for(0.1)
        self.detector.probe_soon("b")  # until 0.1 s after the second step from here
        self.run_for(TIMEOUT * 5 / 6 + 0.05)
        back = self.clock.seconds()
        self.network.dead.clear()
        seconds = self.seconds_until(lambda: self.touch.last_ack["b"] >= back, 3 * INTERVAL)
        assert_that(seconds, less_than(0.4))


class WitnessTests(DetectorTestCase):
    """Votes of one of two nodes, with a witness."""

    def prepare_two(self) -> None:
        """Node a, and node b, and a witness that answers while `link` is whole."""
        self.link = True
        self.newest = -1.0
        self.asked: list[float] = []
        self.roster = roster("a", ("a", "b"))
        self.touch = Touch(
            self.roster, TIMEOUT, self.clock.seconds, lambda since: self.newest >= since
        )
        self.health = Health()
        self.network = Network(self)
        self.detector = Detector(
            self.clock,
            random.Random(1),
            self.roster,
            self.touch,
            self.health,
            self.network,
            interval=INTERVAL,
            per_interval=3,
            timeout=TIMEOUT,
            judged=self.judge,
            ask_witness=self.ask,
        )
        self.roster.merge((Update("b", record("b")),), "b")
        self.addCleanup(self.finish)
        self.detector.start()
        self.run_for(0.5)
        self.ask()

    def ask(self) -> None:
        self.asked.append(self.clock.seconds())
        if self.link:
            self.newest = self.clock.seconds()

    def test_two_votes(self) -> None:
        """The survivor votes with two votes, its own and the witness's, which are a quorum."""
        self.prepare_two()
        self.network.dead.add("b")
        self.run_for(INTERVAL + TIMEOUT)
        assert_that(self.voters("b"), equal_to({"a", WITNESS}))
        assert_that(self.roster.state("b"), equal_to(State.DOWN))

    def test_asked_meanwhile(self) -> None:
        """The witness is asked with every try from the third on, so that its answer is fresh."""
        self.prepare_two()
        self.asked.clear()
        self.run_for(2 * INTERVAL)
        assert_that(self.asked, empty())
        self.network.dead.add("b")
        self.run_for(INTERVAL + TIMEOUT)
        assert_that(len(self.asked), greater_than(3))

    def test_own_link(self) -> None:
        """A node whose own link failed does not vote: what was answered before says nothing."""
        self.prepare_two()
        self.network.dead.add("b")
        self.run_for(0.5 + 0.4 * TIMEOUT)  # the probe began 0.6 s ago
        self.ask()
        self.link = False
        self.run_for(5 * TIMEOUT)
        assert_that(self.voters("b"), empty())
