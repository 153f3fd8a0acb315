"""Tests for `flip.holdings.grants.asking`, `right` and `post`: a claimant on the wire."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from hamcrest import assert_that, close_to, contains_string, empty, equal_to, less_than
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.call import Hook, HookCall, HookResult
from flip.holdings.grants.asking import Asking
from flip.holdings.grants.lease import NOTICE, Terms
from flip.holdings.grants.numbers import Numbers
from flip.holdings.grants.right import Right
from flip.holdings.guard.interface import Condition, Deadline, LetGo, Point, Stage
from flip.wire.messages import (
    ClaimNumber,
    GrantAnswer,
    GrantMessage,
    GrantQuery,
    GrantRelease,
    GrantRequest,
    encode,
)
from tests.holdings.bed import NOON, Wire, config, system
from tests.matchers import has_item

DOWN = HookCall(Hook("down", ("/hooks/down",)), "down", "ip", "a", "{}", "me", 1.0, ("a",))
FIRST, SECOND = ClaimNumber(100, 1), ClaimNumber(100, 2)
Kind = TypeVar("Kind", bound=GrantMessage)


class FakeGuard:
    """A guard that only remembers what it was told."""

    def __init__(self) -> None:
        self.deadlines: dict[Point, float] = {}
        self.disarmed: list[Point] = []
        self.killed: list[Point] = []
        self.observers: list[Callable[[LetGo], None]] = []
        self.condition = Condition(1, True, 0, 0, None)

    def run(self, call: HookCall) -> Deferred[HookResult]:
        raise AssertionError("no hook runs in these tests")

    def arm(self, deadlines: Mapping[Point, Deadline]) -> None:
        assert deadlines
        self.deadlines.update({point: deadline.at for point, deadline in deadlines.items()})

    def disarm(self, points: Iterable[Point]) -> None:
        self.disarmed += points

    def kill(self, point: Point) -> None:
        self.killed.append(point)

    def on_let_go(self, observer: Callable[[LetGo], None]) -> None:
        self.observers.append(observer)

    def on_trouble(self, observer: Callable[[str | None], None]) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> Deferred[None]:
        return succeed(None)


class AskingTestCase(SynchronousTestCase):
    """The node "me", a server of the system "ip" whose voters are flip1, flip2 and flip3."""

    voters: tuple[str, ...] = ("flip1", "flip2", "flip3")
    data: Iterable[str] = "ab"
    room = 1100

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.wall_offset = NOON
        self.wire = Wire()
        self.heard: list[GrantMessage] = []  # by the voter that this node is itself
        for kind in (GrantRequest, GrantRelease):
            self.wire.answers[kind] = lambda sender, message: self.heard.append(message)
        self.guard = FakeGuard()
        self.changed: list[str] = []
        self.notes: list[str] = []
        exclusive = system(
            data=self.data, exclusive=True, hook_timeout=1.0, lease=5.0, voters=self.voters
        )
        rng = random.Random(1)
        self.asking = Asking(
            config(exclusive),
            self.clock,
            rng,
            self.wire.post(room=self.room),
            Numbers(100, rng, lambda generation: None),
            {"ip": self.guard},
            wall=lambda: self.wall_offset + self.clock.seconds(),
            note=lambda kind, text: self.notes.append(text),
        )
        self.addCleanup(self.asking.stop)
        self.asking.on_changed(lambda name, data: self.changed.extend(data))
        self.right: Right = self.asking.rights["ip"]
        self.terms = Terms.of(exclusive)
        for datum in self.data:
            self.right.relinquish(datum)
        self.sent(GrantRelease)

    def sent(self, kind: type[Kind]) -> list[tuple[str, Kind]]:
        """The messages of a kind that leave in a moment; others are forgotten."""
        self.clock.advance(0)
        return [(to, message) for to, message in self.wire.news() if isinstance(message, kind)]

    def grant(self, *voters: str) -> None:
        """These voters grant whatever they are asked for now."""
        for to, request in self.sent(GrantRequest):
            if to in voters:
                answer = GrantAnswer(0, 0, request.nonce, "ip", request.points)
                self.wire.hear(to, answer)

    def hold(self, *data: str) -> None:
        """A quorum has granted them, and `alive` was begun."""
        for datum in data:
            self.right.pursue(datum)
        self.grant("flip1", "flip2")
        for datum in data:
            self.right.begin(datum, DOWN)
        self.changed.clear()


class RequestTests(AskingTestCase):
    """What is asked, and when again."""

    def test_everybody(self) -> None:
        """All voters are asked at once, each by a question of its own."""
        self.right.pursue("a")
        requests = self.sent(GrantRequest)
        assert_that([to for to, _ in requests], equal_to(list(self.voters)))
        for _, request in requests:
            assert_that([request.system, request.lease], equal_to(["ip", 5000]))
            assert_that(request.points, equal_to((("a", FIRST),)))
        assert_that(len({request.nonce for _, request in requests}), equal_to(3))

    def test_together(self) -> None:
        """What is wanted at the same time is asked for in one message."""
        self.right.pursue("a")
        self.right.pursue("b")
        _, request = self.sent(GrantRequest)[0]
        assert_that(request.points, equal_to((("a", FIRST), ("b", SECOND))))

    def test_granted(self) -> None:
        """A quorum's answers permit, and that is told once."""
        self.right.pursue("a")
        self.grant("flip1")
        assert_that([self.right.permitted("a"), self.changed], equal_to([False, []]))
        self.clock.advance(0.3)
        self.grant("flip2", "flip3")
        assert_that([self.right.permitted("a"), self.changed], equal_to([True, ["a"]]))

    def test_silence(self) -> None:
        """Who does not answer is asked again, six times in a ping_timeout."""
        self.right.pursue("a")
        self.grant("flip1", "flip2")
        self.wire.news()
        self.clock.pump([0.01] * 74)
        asked = [to for to, _ in self.sent(GrantRequest)]
        assert_that(asked.count("flip3"), equal_to(2))

    def test_renewal(self) -> None:
        """What is held is renewed with everybody before a quarter of the permit has passed."""
        self.hold("a")
        self.clock.pump([0.01] * round(self.terms.permit / 4 / 0.01 + 26))
        assert_that({to for to, _ in self.sent(GrantRequest)}, equal_to(set(self.voters)))

    def test_nothing_to_ask(self) -> None:
        """Without a claim nothing is said, and no timer runs."""
        self.clock.advance(10)
        assert_that([self.wire.news(), self.clock.getDelayedCalls()], equal_to([[], []]))

    def test_stop(self) -> None:
        """After the stop nothing is asked any more."""
        self.hold("a")
        self.asking.stop()
        self.clock.advance(10)
        assert_that([self.wire.news(), self.clock.getDelayedCalls()], equal_to([[], []]))


class ReleaseTests(AskingTestCase):
    """What is given back."""

    def test_all_voters(self) -> None:
        """Every voter hears that a claim is over; the guard, that nothing is left of it."""
        self.hold("a")
        self.right.relinquish("a")
        released = self.sent(GrantRelease)
        assert_that([to for to, _ in released], equal_to(list(self.voters)))
        assert_that([message.points for _, message in released], equal_to([(("a", FIRST),)] * 3))
        assert_that(self.guard.disarmed, equal_to([("ip", "a")]))

    def test_never_begun(self) -> None:
        """What was not begun is nothing to the guard."""
        self.right.pursue("a")
        self.right.relinquish("a")
        assert_that([self.guard.disarmed, self.guard.deadlines], equal_to([[], {}]))

    def test_before_the_next_claim(self) -> None:
        """A release leaves before the request for the next claim."""
        self.hold("a")
        self.right.relinquish("a")
        self.right.pursue("a")
        self.clock.advance(0)
        kinds = [type(message) for to, message in self.wire.news() if to == "flip1"]
        assert_that(kinds, equal_to([GrantRelease, GrantRequest]))

    def test_earlier_life(self) -> None:
        """When `down` has run after a start all that an earlier life claimed is over."""
        self.setUp()
        asking = Asking(
            config(
                system(data="a", exclusive=True, lease=5.0, hook_timeout=1.0, voters=("flip1",))
            ),
            self.clock,
            random.Random(1),
            self.wire.post(),
            Numbers(100, random.Random(1), lambda generation: None),
            {"ip": self.guard},
            wall=self.clock.seconds,
            note=lambda kind, text: None,
        )
        self.addCleanup(asking.stop)
        asking.rights["ip"].relinquish("a")
        ((to, release),) = self.sent(GrantRelease)
        assert_that([to, release.points], equal_to(["flip1", (("a", ClaimNumber(100, 0)),)]))

    def test_late_answer(self) -> None:
        """A grant to a claim that is over is given back, to that voter (E6)."""
        self.right.pursue("a")
        ((_, request), *_) = self.sent(GrantRequest)
        self.right.relinquish("a")
        self.sent(GrantRelease)
        self.wire.hear("flip1", GrantAnswer(0, 0, request.nonce, "ip", request.points))
        ((to, release),) = self.sent(GrantRelease)
        assert_that([to, release.points], equal_to(["flip1", (("a", FIRST),)]))

    def test_query(self) -> None:
        """A question about a claim that is over is answered, one about the present one is not."""
        self.right.pursue("a")
        self.right.relinquish("a")
        self.right.pursue("a")
        self.sent(GrantRelease)
        self.wire.hear("flip2", GrantQuery(0, 0, "ip", (("a", FIRST), ("a", SECOND))))
        ((to, release),) = self.sent(GrantRelease)
        assert_that([to, release.points], equal_to(["flip2", (("a", FIRST),)]))

    def test_refused(self) -> None:
        """A voter that has seen a greater number hears that the lower one is over, and is asked."""
        self.right.pursue("a")
        self.sent(GrantRequest)
        seen = ClaimNumber(500, 1)
        self.wire.hear("flip1", GrantAnswer(0, 0, 1, "ip", (), (("a", seen),)))
        self.clock.advance(0)
        said = [message for to, message in self.wire.news() if to == "flip1"]
        assert isinstance(said[0], GrantRelease)
        assert isinstance(said[1], GrantRequest)
        assert_that(said[0].points, equal_to((("a", FIRST),)))
        assert_that(said[1].points[0][1] > seen, equal_to(True))

    def test_unknown_system(self) -> None:
        """About a system that this server does not list there is nothing to say."""
        self.wire.hear("flip1", GrantAnswer(0, 0, 1, "job", (("a", FIRST),)))
        self.wire.hear("flip1", GrantQuery(0, 0, "job", (("a", FIRST),)))
        assert_that(self.wire.news(), empty())


class GuardTests(AskingTestCase):
    """E5, E10: deadlines, at the guard and here."""

    def test_armed(self) -> None:
        """What is begun is armed with its deadline, and renewals move that."""
        self.hold("a")
        deadline = 1000 + self.terms.permit
        assert_that(self.guard.deadlines["ip", "a"], close_to(deadline, 1e-6))
        self.clock.advance(1)
        self.grant("flip1", "flip2")
        assert_that(self.guard.deadlines["ip", "a"], close_to(deadline + 1, 1e-6))

    def test_not_begun(self) -> None:
        """What was only granted is not armed."""
        self.right.pursue("a")
        self.grant("flip1", "flip2")
        assert_that(self.guard.deadlines, equal_to({}))

    def test_lapse(self) -> None:
        """When nobody renews it the right ends, a notice before the guard has to act."""
        self.hold("a")
        self.clock.advance(self.terms.permit - NOTICE - 0.001)
        assert_that([self.changed, self.right.lapsed("a")], equal_to([[], False]))
        self.clock.advance(0.002)
        assert_that([self.changed, self.right.lapsed("a")], equal_to([["a"], True]))
        assert_that(
            self.notes,
            equal_to(
                [
                    "ip: a: no quorum of voters has answered for 3.7 s (flip1, flip2, flip3"
                    " silent): lets go before its lease ends"
                ]
            ),
        )

    def test_told_once(self) -> None:
        """That is told once, however long letting go takes; and anew after it was renewed."""
        self.hold("a", "b")
        self.clock.pump([0.1] * 80)
        assert_that(len(self.notes), equal_to(1))
        assert_that(self.notes[0], contains_string("ip: a, b: no quorum"))
        self.grant("flip1", "flip2")
        self.clock.pump([0.1] * 80)
        assert_that(len(self.notes), equal_to(2))

    def test_renewed(self) -> None:
        """What is renewed in time does not lapse."""
        self.hold("a")
        for _ in range(100):
            self.clock.advance(0.1)
            self.grant("flip2", "flip3")
        assert_that([self.notes, self.changed], equal_to([[], []]))

    def test_one_of_two(self) -> None:
        """A data point that was granted earlier lapses by itself."""
        self.hold("a")
        self.clock.advance(1)
        self.wire.news()
        self.right.pursue("b")
        for to, request in self.sent(GrantRequest):
            points = tuple(point for point in request.points if point[0] == "b")
            self.wire.hear(to, GrantAnswer(0, 0, request.nonce, "ip", points))
        self.right.begin("b", DOWN)
        self.changed.clear()
        self.clock.pump([0.01] * round((self.terms.permit - 1) / 0.01))
        assert_that(self.changed, equal_to(["a"]))

    def test_kill(self) -> None:
        """A running `alive` is for the guard to kill."""
        self.right.kill("a")
        assert_that(self.guard.killed, equal_to([("ip", "a")]))

    def test_guard_lets_go(self) -> None:
        """What the guard lets go of by itself is permitted no more, whatever was granted."""
        self.hold("a", "b")
        for observer in self.guard.observers:
            observer(LetGo(("ip", "a"), Stage.BEGAN, "its deadline has passed"))
        assert_that(
            [self.right.lapsed("a"), self.right.lapsed("b"), self.changed],
            equal_to([True, False, ["a"]]),
        )
        assert_that(self.notes, equal_to(["ip: the guard lets go of a: its deadline has passed"]))
        for observer in self.guard.observers:
            observer(LetGo(("ip", "a"), Stage.ENDED, "", 0.1))
        assert_that(self.changed, equal_to(["a", "a"]))

    def test_clock_step(self) -> None:
        """After a step between the clocks everything lapses, and answers so far count no more."""
        self.hold("a")
        self.clock.advance(1)
        late = self.sent(GrantRequest)
        self.wall_offset += 0.6
        assert_that(self.right.lapsed("a"), equal_to(True))
        self.clock.advance(0)
        assert_that(self.changed, equal_to(["a"]))
        assert_that(self.notes, has_item(contains_string("ran +0.6 s ahead of the monotonic one")))
        for to, request in late:
            self.wire.hear(to, GrantAnswer(0, 0, request.nonce, "ip", request.points))
        assert_that(self.right.permitted("a"), equal_to(False))

    def test_clock_step_without_claims(self) -> None:
        """Without a claim a step of the clock is nobody's business."""
        self.wall_offset += 60
        self.asking.act()
        assert_that([self.notes, self.changed], equal_to([[], []]))


class LargeTests(AskingTestCase):
    """More data points than fit one datagram."""

    data = tuple(f"{number:03d}" + "x" * 100 for number in range(50))
    room = 512 - 100

    def test_split(self) -> None:
        """Each message fits, and all data points are asked for and given back."""
        for datum in self.data:
            self.right.pursue(datum)
        requests = [request for to, request in self.sent(GrantRequest) if to == "flip1"]
        self.check(requests)
        for datum in self.data:
            self.right.relinquish(datum)
        self.check([release for to, release in self.sent(GrantRelease) if to == "flip1"])

    def test_longest(self) -> None:
        """The longest data point fits the smallest datagram, with any numbers."""
        post = self.wire.post(room=512 - 99 - 64)
        bare = GrantRequest(2**62 - 1, 2**64 - 1, 2**64 - 1, "s" * 64, b"hash" * 2, 86_400_000, ())
        number = ClaimNumber(2**62 - 1, 2**62 - 1)
        for points in post.split([("x" * 256, number)] * 2, bare):
            assert_that(len(points), equal_to(1))

    def check(self, messages: Sequence[GrantRequest | GrantRelease]) -> None:
        assert_that([len(encode(m)) for m in messages if len(encode(m)) > self.room], empty())
        assert_that([datum for m in messages for datum, _ in m.points], equal_to([*self.data]))
        assert_that(len(messages), less_than(26))


class LocalTests(AskingTestCase):
    """A claimant that is a voter, too."""

    voters = ("flip1", "flip2", "me")

    def test_local(self) -> None:
        """What it says to itself does not leave it."""
        self.heard.clear()
        self.right.pursue("a")
        self.clock.advance(0)
        self.right.relinquish("a")
        self.clock.advance(0)
        assert_that(
            [type(message) for message in self.heard], equal_to([GrantRequest, GrantRelease])
        )
        assert_that({to for to, _ in self.wire.news()}, equal_to({"flip1", "flip2"}))
