"""Tests for the detectors that flip is compared with: the arithmetic, and small clusters."""

from __future__ import annotations

from hamcrest import assert_that, close_to, empty, equal_to, greater_than, has_length, less_than
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.lifeguard.awareness import Awareness
from benchmarks.lifeguard.broadcasts import Broadcasts
from benchmarks.lifeguard.clusters import Belief, SwimCluster
from benchmarks.lifeguard.messages import (
    Ack,
    Dead,
    Message,
    Nack,
    Suspect,
    compound,
    decode,
    encode,
)
from benchmarks.lifeguard.settings import LIFEGUARD, PAPER, SWIM
from benchmarks.lifeguard.suspicion import Suspicion, timeout


class SettingsTests(SynchronousTestCase):
    """What follows from the settings."""

    def test_suspicion(self) -> None:
        """The times grow with the logarithm of the cluster, and never below one unit."""
        assert_that(LIFEGUARD.least_suspicion(1000), close_to(12.0, 1e-9))
        assert_that(LIFEGUARD.most_suspicion(1000), close_to(72.0, 1e-9))
        assert_that(LIFEGUARD.least_suspicion(3), close_to(4.0, 1e-9))
        assert_that(PAPER.least_suspicion(1000), close_to(15.0, 1e-9))

    def test_plain_swim(self) -> None:
        """Without Lifeguard one accuser is as good as many."""
        assert_that(SWIM.most_suspicion(128), equal_to(SWIM.least_suspicion(128)))
        assert_that(SWIM.confirmations_of(128), equal_to(0))

    def test_transmissions(self) -> None:
        """News is sent the more often the more members there are."""
        assert_that([LIFEGUARD.transmissions(n) for n in (9, 10, 128)], equal_to([4, 8, 12]))

    def test_push_pull(self) -> None:
        """Above 32 members each doubling makes exchanges of states rarer."""
        pauses = [LIFEGUARD.push_pull_pause(n) for n in (32, 33, 64, 128)]
        assert_that(pauses, equal_to([30.0, 60.0, 60.0, 90.0]))


class AwarenessTests(SynchronousTestCase):
    """The local health multiplier."""

    @given(st.lists(st.integers(-9, 9)))
    def test_bounds(self, deltas: list[int]) -> None:
        """Times are stretched by 1 to `limit`, whatever happens."""
        awareness = Awareness(8)
        for delta in deltas:
            awareness.apply(delta)
            assert_that(1.0 <= awareness.scaled(1.0) <= 8.0)

    def test_without(self) -> None:
        """A limit of one switches it off."""
        awareness = Awareness(1)
        awareness.apply(3)
        assert_that(awareness.scaled(0.5), equal_to(0.5))


class SuspicionTests(SynchronousTestCase):
    """The timer that runs down faster the more members accuse."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.expired: list[float] = []
        self.suspicion = Suspicion(
            self.clock, "a", 2, 10.0, 60.0, lambda: self.expired.append(self.clock.seconds())
        )

    def test_timeouts(self) -> None:
        """From the greatest with no confirmation to the least with all, by the logarithm."""
        times = [timeout(confirmed, 3, 10.0, 60.0) for confirmed in range(5)]
        assert_that(times[0], equal_to(60.0))
        assert_that(times[1], close_to(35.0, 1e-9))
        assert_that(times[3:], equal_to([10.0, 10.0]))
        assert_that(timeout(0, 0, 10.0, 60.0), equal_to(10.0))

    def test_alone(self) -> None:
        """With one accuser it takes the longest."""
        self.clock.pump([1.0] * 70)
        assert_that(self.expired, equal_to([60.0]))

    def test_confirmed(self) -> None:
        """Each accuser counts once, and only as many as are wanted are news."""
        told = [self.suspicion.confirm(accuser) for accuser in ("a", "b", "b", "c", "d")]
        assert_that(told, equal_to([False, True, False, True, False]))
        self.clock.pump([1.0] * 70)
        assert_that(self.expired, equal_to([10.0]))

    def test_confirmed_late(self) -> None:
        """What has passed counts: the verdict comes at once when its time is over."""
        self.clock.advance(30.0)
        self.suspicion.confirm("b")
        self.suspicion.confirm("c")
        self.clock.advance(0.0)
        assert_that(self.expired, equal_to([30.0]))

    def test_refuted(self) -> None:
        """Nothing comes of it."""
        self.suspicion.cancel()
        self.clock.advance(100.0)
        assert_that(self.expired, empty())


class BroadcastTests(SynchronousTestCase):
    """News that is sent a limited number of times."""

    def test_limit(self) -> None:
        """Each piece goes out so often and no more."""
        news = Broadcasts(3)
        news.queue("a", b"xx")
        sent = [news.take(100, 2) for _ in range(5)]
        assert_that(sent, equal_to([[b"xx"], [b"xx"], [b"xx"], [], []]))

    def test_replaced(self) -> None:
        """What is said of a member voids what was said of it before."""
        news = Broadcasts(3)
        news.queue("a", b"suspect")
        news.queue("a", b"alive")
        assert_that(news.take(100, 2), equal_to([b"alive"]))

    def test_least_sent_first(self) -> None:
        """Where not all fits, what was sent less often goes first, of these the larger."""
        news = Broadcasts(5)
        news.queue("a", b"old")
        news.take(100, 0)
        news.queue("b", b"n")
        news.queue("c", b"news")
        assert_that(news.take(6, 0), equal_to([b"news", b"n"]))


class MessageTests(SynchronousTestCase):
    """Messages as bytes."""

    def test_alone(self) -> None:
        """A message is read as it was written."""
        message = Suspect(3, "b", "a")
        assert_that(list(decode(encode(message))), equal_to([message]))

    def test_together(self) -> None:
        """So are several in one packet, in their order."""
        messages: list[Message] = [Ack(7), Dead(3, "b", "a"), Nack(8)]
        packet = compound([encode(message) for message in messages])
        assert_that(list(decode(packet)), equal_to(messages))


class ClusterTests(SynchronousTestCase):
    """Small clusters of such members."""

    def cluster(self, *, blocked: bool = True) -> SwimCluster:
        """Twelve members at rest."""
        cluster = SwimCluster(12, LIFEGUARD, 1, blocked=blocked)
        self.addCleanup(cluster.close)
        cluster.start()
        cluster.run(20.0)
        return cluster

    def down(self, cluster: SwimCluster, subject: str) -> list[float]:
        """When members took one for dead."""
        return [
            verdict.at
            for verdict in cluster.verdicts
            if verdict.belief is Belief.DOWN and verdict.subject == subject
        ]

    def test_at_rest(self) -> None:
        """Nobody suspects anybody, and a member sends a ping and an ack per second."""
        cluster = self.cluster()
        assert_that(cluster.verdicts, empty())
        assert_that(cluster.traffic().datagrams / 12 / 20.0, close_to(2.0, 0.2))

    def test_death(self) -> None:
        """All others take a member that stopped for dead, not before the suspicion allows."""
        cluster = self.cluster()
        cluster.stop("n3")
        cluster.run(40.0)
        times = self.down(cluster, "n3")
        assert_that(times, has_length(11))
        assert_that(min(times) - 20.0, greater_than(LIFEGUARD.least_suspicion(12)))

    def test_refutation(self) -> None:
        """A member that goes on before the suspicion is over refutes it."""
        cluster = self.cluster()
        cluster.stop("n3")
        cluster.run(4.0)
        cluster.resume("n3")
        cluster.run(60.0)
        believed = [v.belief for v in cluster.verdicts if v.subject == "n3"]
        assert_that(believed.count(Belief.SUSPECT), greater_than(5))
        assert_that(self.down(cluster, "n3"), empty())
        assert_that(believed[-1], equal_to(Belief.ALIVE))

    def test_return(self) -> None:
        """A member that was taken for dead comes back."""
        cluster = self.cluster(blocked=False)
        cluster.stop("n3")
        cluster.run(30.0)
        cluster.resume("n3")
        cluster.run(30.0)
        last = {v.observer: v.belief for v in cluster.verdicts if v.subject == "n3"}
        assert_that(set(last.values()), equal_to({Belief.ALIVE}))
        assert_that(last, has_length(11))

    def test_blocked_member_accuses(self) -> None:
        """The paper's anomaly: whose timers go on while its messages wait accuses others."""
        accused = {}
        for blocked in (True, False):
            cluster = self.cluster(blocked=blocked)
            for _ in range(5):
                cluster.stop("n3")
                cluster.run(3.0)
                cluster.resume("n3")
                cluster.run(2.0)
            accused[blocked] = sum(v.subject != "n3" for v in cluster.verdicts)
        assert_that(accused[False], less_than(accused[True]))
