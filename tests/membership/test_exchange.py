"""`flip.membership.exchange`: pings, their answers, and errands for others."""

from __future__ import annotations

import random
from typing import Any, cast

from hamcrest import assert_that, contains_inanyorder, empty, equal_to, has_length, is_

from flip.membership.datagram import GossipProtocol
from flip.membership.exchange import ERRANDS, Exchange
from flip.membership.probe import TRIES, Probe
from flip.membership.touch import Touch
from flip.wire.messages import Ack, Gossip, Nack, Ping, PingReq, Update
from tests.membership.samples import ClockTestCase, record, roster

TIMEOUT = 1.5


class Sent:
    """A gossip protocol that remembers what it was asked to send."""

    def __init__(self) -> None:
        self.answers: dict[Any, Any] = {}
        self.messages: list[tuple[Any, ...]] = []

    def ping(self, peer: str, nonce: int) -> None:
        self.messages.append(("ping", peer, nonce))

    def ack(self, peer: str, nonce: int, target: str, incarnation: int) -> None:
        self.messages.append(("ack", peer, nonce, target, incarnation))

    def ping_req(self, peer: str, nonce: int, target: str) -> None:
        self.messages.append(("ping-req", peer, nonce, target))

    def nack(self, peer: str, nonce: int) -> None:
        self.messages.append(("nack", peer, nonce))

    def pop(self) -> tuple[Any, ...]:
        """The only message since the last look."""
        (message,) = self.messages
        self.messages.clear()
        return message


class ExchangeTestCase(ClockTestCase):
    """Node a among five."""

    def setUp(self) -> None:
        super().setUp()
        self.roster = roster()
        for member in self.roster:
            self.roster.merge((Update(member.id, record(member.id)),), member.id)
        self.touch = Touch(self.roster, TIMEOUT, self.clock.seconds)
        self.sent = Sent()
        self.asked_about: list[str] = []
        self.signs: list[str] = []
        self.acked: list[str] = []
        self.exchange = Exchange(
            self.clock,
            random.Random(1),
            cast(GossipProtocol, self.sent),
            self.roster,
            self.touch,
            TIMEOUT,
            asked_about=self.asked_about.append,
            sign_of_life=self.signs.append,
            acked=self.acked.append,
        )
        self.addCleanup(self.exchange.stop)
        self.answered: list[Probe] = []

    def probe(self, target: str = "b") -> Probe:
        """A probe that only remembers whether it was answered."""
        probe = Probe(
            self.clock,
            target,
            5,
            TIMEOUT,
            ping=self.exchange.ping,
            ask_others=lambda probe: None,
            doubt=lambda probe: None,
        )
        self.patch(probe, "answered", lambda: self.answered.append(probe))
        return probe

    def receive(self, sender: str, message: Any) -> None:
        self.sent.answers[type(message)](sender, message)


class PingTests(ExchangeTestCase):
    """What others ask of this node."""

    def test_ping(self) -> None:
        """A ping is answered with its nonce and this node's incarnation."""
        self.receive("b", Ping(5, 0, 77))
        assert_that(self.sent.messages, equal_to([("ack", "b", 77, "a", 5)]))

    def test_sign_of_life(self) -> None:
        """A ping from a member that is not known to answer is a sign, and proves nothing."""
        self.receive("b", Ping(5, 0, 77))
        assert_that((self.signs, self.touch.reachable.get("b")), equal_to((["b"], None)))
        self.touch.acked("b", self.clock.seconds())
        self.receive("b", Ping(5, 0, 78))
        assert_that(self.signs, equal_to(["b"]))

    def test_gossip(self) -> None:
        """News proves nothing and is not answered."""
        self.receive("b", Gossip(5, 0))
        assert_that((self.sent.messages, self.touch.reachable), equal_to(([], {})))


class AckTests(ExchangeTestCase):
    """What proves life: the nonce of a ping of one's own, from the member that was asked."""

    def test_direct(self) -> None:
        """It proves life for the time at which the ping was sent."""
        probe, sent = self.probe(), self.clock.seconds()
        self.exchange.ping(probe)
        _, _, nonce = self.sent.pop()
        self.clock.advance(0.5)
        self.receive("b", Ack(5, 0, nonce, "b", 5))
        assert_that((self.touch.last_ack, self.touch.last_sign), equal_to(({"b": sent},) * 2))
        assert_that((self.answered, self.acked), equal_to(([probe], ["b"])))

    def test_nonces(self) -> None:
        """Each try has its own, and any of them answers the probe."""
        probe = self.probe()
        self.exchange.ping(probe)
        self.clock.advance(0.25)
        second = self.clock.seconds()
        self.exchange.ping(probe)
        (_, _, one), (_, _, two) = self.sent.messages
        assert_that(one == two, is_(False))
        self.receive("b", Ack(5, 0, two, "b", 5))
        assert_that(self.touch.last_ack, equal_to({"b": second}))

    def test_through_a_helper(self) -> None:
        """The helper has proven that it is in reach, the target that it lives."""
        probe = self.probe()
        self.exchange.ping_req(probe, ("c", "d"))
        (_, _, nonce, _), _ = self.sent.messages
        self.receive("c", Ack(5, 0, nonce, "b", 9))
        assert_that(self.answered, equal_to([probe]))
        assert_that((self.touch.reachable, self.touch.last_ack), equal_to(({"b": True}, {})))
        assert_that(set(self.touch.last_sign), equal_to({"c"}))
        assert_that(probe.helped, equal_to({"c"}))
        assert_that(self.roster["b"].incarnation, equal_to(9))

    def test_nack(self) -> None:
        """A helper without an answer has proven that it is in reach, and nothing else."""
        probe = self.probe()
        self.exchange.ping_req(probe, ("c",))
        _, _, nonce, _ = self.sent.pop()
        self.receive("c", Nack(5, 0, nonce))
        assert_that((self.answered, self.touch.reachable), equal_to(([], {})))
        assert_that((set(self.touch.last_sign), probe.helped), equal_to(({"c"}, {"c"})))

    def test_not_an_answer(self) -> None:
        """Anything else is ignored: other nonces, other senders, other targets, other kinds."""
        probe = self.probe()
        self.exchange.ping(probe)
        self.exchange.ping_req(probe, ("c",))
        (_, _, direct), (_, _, request, _) = self.sent.messages
        for sender, message in (
            ("b", Ack(5, 0, direct + 1, "b", 5)),
            ("c", Ack(5, 0, direct, "b", 5)),
            ("b", Ack(5, 0, direct, "c", 5)),
            ("b", Ack(5, 0, request, "b", 5)),
            ("d", Ack(5, 0, request, "b", 5)),
            ("c", Ack(5, 0, request, "c", 5)),
            ("d", Nack(5, 0, request)),
            ("b", Nack(5, 0, direct)),
            ("c", Nack(5, 0, request + 1)),
        ):
            self.receive(sender, message)
        assert_that((self.answered, self.touch.reachable), equal_to(([], {})))
        assert_that((self.touch.last_sign, self.touch.last_ack), equal_to(({}, {})))

    def test_forgotten(self) -> None:
        """After the verdict no answer counts, and nothing is remembered."""
        probe = self.probe()
        self.exchange.ping(probe)
        _, _, nonce = self.sent.pop()
        self.exchange.forget(probe)
        self.receive("b", Ack(5, 0, nonce, "b", 5))
        assert_that((self.touch.last_ack, self.exchange._questions), equal_to(({}, {})))


class ErrandTests(ExchangeTestCase):
    """A ping for another member."""

    def send_out(self, client: str = "c", nonce: int = 7, target: str = "b") -> int:
        self.receive(client, PingReq(5, 0, nonce, target))
        sent: tuple[str, str, int] = self.sent.pop()
        _, peer, own = sent
        assert_that(peer, equal_to(target))
        return own

    def test_answered(self) -> None:
        """The target's answer goes to the member that asked, under its own nonce."""
        sent = self.clock.seconds()
        own = self.send_out()
        assert_that((own == 7, self.asked_about), equal_to((False, ["b"])))
        self.receive("b", Ack(6, 0, own, "b", 6))
        assert_that(self.sent.pop(), equal_to(("ack", "c", 7, "b", 6)))
        assert_that(self.touch.last_ack, equal_to({"b": sent}))
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_silence(self) -> None:
        """A nack after a sixth of the timeout, and an answer that still comes is passed on."""
        own = self.send_out()
        self.run_for(TIMEOUT / TRIES - 0.02)
        assert_that(self.sent.messages, empty())
        self.run_for(0.04)
        assert_that(self.sent.pop(), equal_to(("nack", "c", 7)))
        self.run_for(1.0)
        self.receive("b", Ack(5, 0, own, "b", 5))
        assert_that(self.sent.pop(), equal_to(("ack", "c", 7, "b", 5)))

    def test_over(self) -> None:
        """In the end it is forgotten, and the answer that comes then goes nowhere."""
        own = self.send_out()
        self.run_for(TIMEOUT / TRIES + TIMEOUT + 0.1)
        self.sent.messages.clear()
        self.receive("b", Ack(5, 0, own, "b", 5))
        assert_that(self.sent.messages, empty())
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_wrong_answer(self) -> None:
        """Only the target itself can answer."""
        own = self.send_out()
        self.receive("d", Ack(5, 0, own, "b", 5))
        self.receive("b", Ack(5, 0, own, "d", 5))
        assert_that((self.sent.messages, self.touch.last_ack), equal_to(([], {})))

    def test_refused(self) -> None:
        """Nobody is sent to a stranger or to oneself."""
        self.receive("c", PingReq(5, 0, 7, "x"))
        self.receive("c", PingReq(5, 0, 7, "a"))
        assert_that((self.sent.messages, self.asked_about), equal_to(([], [])))

    def test_bounded(self) -> None:
        """A member that asks without end gets so many at a time, and takes nothing from others."""
        for nonce in range(10 * ERRANDS):
            self.receive("c", PingReq(5, 0, nonce, "b"))
        assert_that(self.exchange._errands, has_length(ERRANDS))
        self.receive("d", PingReq(5, 0, 1, "b"))
        assert_that(self.exchange._errands, has_length(ERRANDS + 1))
        self.run_for(TIMEOUT / TRIES + TIMEOUT + 0.1)
        assert_that(self.exchange._errands, empty())
        self.sent.messages.clear()
        self.send_out()

    def test_bound_counts_what_is_open(self) -> None:
        """Errands that were answered make room."""
        for nonce in range(3 * ERRANDS):
            own = self.send_out(nonce=nonce)
            self.receive("b", Ack(5, 0, own, "b", 5))
            self.sent.messages.clear()
        assert_that(self.exchange._errands, empty())

    def test_two_clients(self) -> None:
        """Each gets its own answer."""
        first, second = self.send_out("c", 7), self.send_out("d", 7)
        self.receive("b", Ack(5, 0, second, "b", 5))
        self.receive("b", Ack(5, 0, first, "b", 5))
        assert_that(
            self.sent.messages,
            contains_inanyorder(("ack", "c", 7, "b", 5), ("ack", "d", 7, "b", 5)),
        )

    def test_stop(self) -> None:
        """At the stop everything is forgotten."""
        self.send_out()
        self.exchange.ping(self.probe())
        self.exchange.stop()
        assert_that(self.clock.getDelayedCalls(), empty())
