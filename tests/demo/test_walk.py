"""Tests for `flip.demo.walk`: a cluster that does not do as told is found out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, instance_of
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from flip.demo import story
from flip.demo.audience import Moment
from flip.demo.records import HookRun
from flip.demo.story import IDS, Observation, Row
from flip.demo.walk import QUIET, ROW_LIMIT, Walk
from flip.errors import DemoFailed
from tests.demo.test_story import perfect
from tests.matchers import has_item, not_

SECOND = 1_000_000_000  # nanoseconds


class Listener:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.remarks: list[str] = []
        self.rows: list[str] = []
        self.told: list[Moment] = []

    def step(self, title: str, text: str) -> None:
        self.titles.append(title)

    def waiting(self, text: str, seconds: float) -> None:
        pass

    def moments(self, moments: list[Moment]) -> None:
        self.told += moments

    def row(self, row: Row, seen: Observation) -> None:
        self.rows.append(row.name)

    def remark(self, text: str) -> None:
        self.remarks.append(text)


class Link:
    """A link that drops something whenever it is cut."""

    def __init__(self) -> None:
        self.dropped = 0


class ScriptedCluster:
    """A cluster that does what the story tells, unless a test changes `act`.

    It is its own workplace: `runs` and `files` are what the hooks left.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.workplace = self
        self.links = {"all": Link()}
        self.deaths: dict[str, list[int]] = {id: [] for id in IDS}
        self.holds: dict[str, set[str]] = {id: set() for id in IDS}
        self.past: list[HookRun] = []
        self.row = story.ALL_ACTIVE
        self.act: dict[str, Callable[[], object]] = {}
        self.starts = 0
        self.births: dict[str, int] = {}
        self.events: list[dict[str, Any]] = []

    def now(self) -> int:
        return int(self.clock.seconds() * SECOND) + len(self.past)

    def hook(self, node: str, event: str, datum: str) -> None:
        at = self.now()
        self.past.append(HookRun(node, event, datum, at, at + 1))
        (self.holds[node].add if event == "alive" else self.holds[node].discard)(datum)

    def runs(self) -> list[HookRun]:
        return list(self.past)

    def files(self, id: str) -> frozenset[str]:
        return frozenset(self.holds[id])

    def began(self, id: str) -> int:
        return self.births[id]

    def do(self, name: str, default: Callable[[], None]) -> None:
        self.act.get(name, default)()

    async def start(self, ids: Iterable[str]) -> None:
        self.starts += 1
        self.births.update(dict.fromkeys(ids, self.now()))
        self.do("start" if self.starts == 1 else "restart", getattr(self, f"start_{self.starts}"))

    def start_1(self) -> None:
        self.hook("flip", "alive", "192.168.0.1")
        self.hook("flip1", "alive", "192.168.0.2")
        self.row = story.ALL_ACTIVE

    def start_2(self) -> None:
        self.hook("flip", "down", "192.168.0.2")
        self.hook("flip1", "alive", "192.168.0.2")
        self.row = story.FLIP1_BACK

    def kill(self, id: str) -> None:
        self.deaths[id].append(self.now())
        self.clock.advance(1)
        self.do("kill", self.takeover)

    def takeover(self) -> None:
        self.hook("flip", "alive", "192.168.0.2")
        self.row = story.FLIP1_KILLED

    def cut(self) -> None:
        self.row = story.ALL_CUT_OFF
        self.do("cut", lambda: None)

    def heal(self) -> None:
        self.links["all"].dropped += 7
        self.row = story.FLIP1_BACK
        self.do("heal", lambda: None)

    async def stop(self, id: str) -> float:
        self.do(f"stop {id}", lambda: self.leave(id))
        return 0.5

    def leave(self, id: str) -> None:
        for datum in list(self.holds[id]):
            self.hook(id, "down", datum)
            if id == "flip1":
                self.hook("flip", "alive", datum)

    async def observe(self) -> Observation:
        statuses: dict[str, Any] = dict(perfect(self.row).statuses)
        for status in statuses.values():
            if status is not None:
                status["events"] = self.events
        return Observation(statuses, {id: self.files(id) for id in IDS})


class WalkTests(SynchronousTestCase):
    """A walk through the whole story."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.cluster = ScriptedCluster(self.clock)
        self.listener = Listener()
        cluster: Any = self.cluster
        self.walk = Walk(self.clock, cluster, self.listener)

    def go(self) -> Deferred[None]:
        done = Deferred.fromCoroutine(self.walk.all())
        for _ in range(int(10 * (2 * ROW_LIMIT + story.CUT))):
            self.clock.advance(0.1)
        return done

    def fails(self, *words: str) -> None:
        """The walk ends in an error that says this."""
        error = self.failureResultOf(self.go(), DemoFailed).value
        for word in words:
            assert_that(str(error), contains_string(word))

    def test_good(self) -> None:
        """A cluster that does as told passes, and every row is told and reported."""
        self.successResultOf(self.go())
        rows = ["all active", "flip1 killed", "flip1 back", "nobody can talk", "after the cut"]
        assert_that(self.listener.rows, equal_to(rows))
        assert_that(len(self.listener.titles), equal_to(6))
        result = self.walk.result
        assert_that([row["row"] for row in result.rows], equal_to(rows))
        assert_that(result.rows[1]["seconds"], equal_to(1.0))
        killed = {"flip": ["192.168.0.1", "192.168.0.2"], "flip1": None, "flip2": []}
        assert_that(result.rows[1]["reported"], equal_to(killed))
        ways = [(handoff["source"], handoff["target"]) for handoff in result.handoffs]
        assert_that(ways, equal_to([("flip", "flip1"), ("flip1", "flip")]))
        assert_that(result.stops, equal_to({"flip1": 0.5, "flip": 0.5, "flip2": 0.5}))
        assert_that(result.datagrams_dropped, equal_to(0))  # all fell after the cut

    def test_votes(self) -> None:
        """What the nodes found out is told once each, in their words, and nothing older."""

        def kill() -> None:
            now = self.clock.seconds()
            self.cluster.events = [
                {"time": now - 500, "kind": "down", "text": "long ago"},
                {"time": now - 0.5, "kind": "down", "text": "flip1 is down"},
                {"time": now - 0.5, "kind": "settled", "text": "settled"},
            ]
            self.cluster.takeover()

        self.cluster.act["kill"] = kill
        self.successResultOf(self.go())
        texts = [moment.text for moment in self.listener.told]
        assert_that(texts.count("flip1 is down"), equal_to(1))
        assert_that(texts[2:4], equal_to(["flip1 is down", "alive 192.168.0.2: done"]))
        assert_that(texts, not_(has_item("long ago")))

    def test_cleaning(self) -> None:
        """Which `down` hooks only cleaned up is told, so that nobody takes them for moves."""

        def restart() -> None:
            self.cluster.hook("flip1", "down", "192.168.0.1")
            self.cluster.start_2()

        self.cluster.act["restart"] = restart
        self.successResultOf(self.go())
        texts = [moment.text for moment in self.listener.told[-3:]]
        assert_that(texts[0], equal_to("down 192.168.0.1: done, in case it was left there"))
        assert_that(texts[1], equal_to("down 192.168.0.2: done"))

    def test_takes_time(self) -> None:
        """A row that needs some time is waited for."""
        self.cluster.act["kill"] = lambda: self.clock.callLater(5, self.cluster.takeover)
        self.successResultOf(self.go())
        assert_that(self.walk.result.rows[1]["seconds"], equal_to(6.0))

    def test_wrong_report(self) -> None:
        """A node that reports something else fails the row, with what was expected and found."""

        def wrong() -> None:
            self.cluster.start_1()
            self.cluster.row = story.FLIP1_KILLED

        self.cluster.act["start"] = wrong
        self.fails("'all active' differs", "flip must hold 192.168.0.1; it says 192.168.0.1, 192")

    def test_wrong_files(self) -> None:
        """So does one whose hooks did not do what it reports."""

        def wrong() -> None:
            self.cluster.takeover()
            self.cluster.holds["flip"].discard("192.168.0.2")

        self.cluster.act["kill"] = wrong
        self.fails("'flip1 killed' differs", "its hooks made the files: 192.168.0.1")

    def test_overlap(self) -> None:
        """A take-over before the holder let go fails, though the row is right in the end."""

        def wrong() -> None:
            self.cluster.hook("flip1", "alive", "192.168.0.2")
            self.cluster.hook("flip", "down", "192.168.0.2")
            self.cluster.row = story.FLIP1_BACK

        self.cluster.act["restart"] = wrong
        self.fails("flip1 took 192.168.0.2, then held by flip")

    def test_moved_in_the_cut(self) -> None:
        """What moves while nobody can talk fails."""
        self.cluster.act["cut"] = lambda: self.cluster.hook("flip", "alive", "192.168.0.2")
        self.fails("Something moved while nobody could talk", "files: 192.168.0.1, 192.168.0.2")

    def test_late_cleaning(self) -> None:
        """A hook that cleans up late is waited for, before anything is cut."""

        def clean() -> None:
            self.cluster.start_2()
            late = (0.5 * QUIET, self.cluster.hook, "flip1", "down", "192.168.0.1")
            self.clock.callLater(*late)

        self.cluster.act["restart"] = clean
        self.successResultOf(self.go())

    def test_never_quiet(self) -> None:
        """Hooks that never end to run fail."""

        def again() -> None:
            self.cluster.hook("flip1", "alive", "192.168.0.2")
            self.clock.callLater(0.5 * QUIET, again)

        def restart() -> None:
            self.cluster.start_2()
            again()

        self.cluster.act["restart"] = restart
        self.fails("Hooks run again and again")

    def test_hook_in_the_cut(self) -> None:
        """So does a hook that runs, even if it changes nothing."""
        self.cluster.act["cut"] = lambda: self.cluster.hook("flip", "alive", "192.168.0.1")
        self.fails("A hook ran while nobody could talk: flip: alive 192.168.0.1")

    def test_no_cut(self) -> None:
        """A cut that nobody noticed was none."""

        def connected() -> None:
            self.cluster.row = story.FLIP1_BACK

        self.cluster.act["cut"] = connected
        self.fails("must not be in touch")

    def test_announcement(self) -> None:
        """A holder may run `alive` again once the links are back."""
        self.cluster.act["heal"] = lambda: self.cluster.hook("flip", "alive", "192.168.0.1")
        self.successResultOf(self.go())
        assert_that(self.listener.remarks, has_item(contains_string("flip: alive 192.168.0.1")))

    def test_moved_there_and_back(self) -> None:
        """What moves after the cut fails, though it comes back at once."""

        def wrong() -> None:
            self.cluster.hook("flip1", "down", "192.168.0.2")
            self.cluster.hook("flip1", "alive", "192.168.0.2")

        self.cluster.act["heal"] = wrong
        self.fails("Something moved after the links came back: flip1: down 192.168.0.2")

    def test_never_in_touch_again(self) -> None:
        """Nodes that do not find each other again fail."""
        self.cluster.act["heal"] = lambda: setattr(self.cluster, "row", story.ALL_CUT_OFF)
        self.fails("must be in touch")

    def test_left_behind(self) -> None:
        """A node that stops without letting go fails."""
        self.cluster.act["stop flip"] = lambda: None
        self.fails("flip stopped, but did not let go of 192.168.0.1, 192.168.0.2")

    def test_not_taken_over(self) -> None:
        """What a leaving node held must be with the other one when it has left."""
        self.cluster.act["stop flip1"] = lambda: self.cluster.hook("flip1", "down", "192.168.0.2")
        self.fails("flip1 left, but flip holds 192.168.0.1")

    def test_cancelled(self) -> None:
        """A walk can be cancelled, and leaves no timer behind."""
        self.cluster.row = story.FLIP1_KILLED
        self.cluster.act["start"] = lambda: None
        done = Deferred.fromCoroutine(self.walk.all())
        done.cancel()
        assert_that(self.failureResultOf(done).value, instance_of(Exception))
        assert_that(self.clock.getDelayedCalls(), empty())
