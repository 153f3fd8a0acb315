"""Tests for the answers in `flip.simulation.report`, on recordings written by hand."""

from __future__ import annotations

import json

from hamcrest import assert_that, close_to, empty, equal_to, none

from flip.membership.roster import State
from flip.simulation.report.answering import answer
from flip.simulation.report.answers import Answers, Failure, Ownership
from flip.simulation.report.failures import Opinion, detect
from flip.simulation.report.recording import Life, Recording, View
from flip.simulation.report.series import Interval, Series
from tests.cluster.case import ONE, STORY, TWO, ClusterTestCase, system
from tests.matchers import contains_exactly, has_properties

ALL = frozenset({"flip", "flip1", "flip2"})
POINT = "ip", TWO  # by the topology flip1's, and flip's when that is down


class RecordingCase(ClusterTestCase):
    """A recording of 100 s of the story's cluster, in which all run and know each other alive."""

    def setUp(self) -> None:
        self.recording = self.blank()

    def blank(self, **settings: object) -> Recording:
        recording = Recording(self.cluster(system(**settings) if settings else STORY))
        recording.end = 100.0
        self._sound(recording, 0.5, ALL)
        for life in recording.life.values():
            life.set(0.5, Life.RUNNING)
        return recording

    def _sound(self, recording: Recording, at: float, ids: frozenset[str]) -> None:
        """These are sound, and all that hold anything are fit."""
        recording.sound.set(at, ids)
        recording.able["ip"].set(at, ids & {"flip", "flip1"})

    def see(self, at: float, by: str, member: str, after: State) -> None:
        self.recording.views.append(View(at, by, member, State.ALIVE, after))

    def lose(self, id: str, at: float, life: Life = Life.STOPPED) -> None:
        self.recording.life[id].set(at, life)
        self._sound(self.recording, at, self.recording.sound.now - {id})
        live = self.recording.live.get((id, POINT))
        if live is not None and life is Life.STOPPED:
            live.set(at, False)

    def recover(self, id: str, at: float) -> None:
        self.recording.life[id].set(at, Life.RUNNING)
        self._sound(self.recording, at, self.recording.sound.now | {id})

    def own(self, id: str, begin: float, end: float | None = None) -> None:
        """A machine serves TWO, and surely so, for a time or for good."""
        for where in (self.recording.served, self.recording.live):
            series = where.setdefault((id, POINT), Series(False))
            series.set(begin, True)
            if end is not None:
                series.set(end, False)

    def answers(self) -> Answers:
        return answer(self.recording, seed=7)

    def point(self) -> Ownership:
        (found,) = [point for point in self.answers().data if point.datum == TWO]
        return found


class FailureTests(RecordingCase):
    """When which failure is seen."""

    def failure(self) -> Failure:
        (found,) = self.answers().failures
        return found

    def test_seen(self) -> None:
        """First vote, down at the first and down everywhere are counted from the failure."""
        self.lose("flip1", 20)
        self.see(21, "flip", "flip1", State.PROBABLY_DOWN)
        self.see(22, "flip2", "flip1", State.DOWN)
        self.see(23, "flip", "flip1", State.DOWN)
        assert_that(
            self.failure(),
            equal_to(Failure("flip1", 20, "killed", None, suspected=1, down=2, down_everywhere=3)),
        )

    def test_back(self) -> None:
        """A failure that ends has a length, and it takes time until everybody knows."""
        self.lose("flip1", 20, Life.FROZEN)
        for by in ("flip", "flip2"):
            self.see(22, by, "flip1", State.DOWN)
        self.recover("flip1", 30)
        self.see(31, "flip2", "flip1", State.ALIVE)
        self.see(34, "flip", "flip1", State.ALIVE)
        found = has_properties(how="frozen", lasted=10.0, down_everywhere=2.0, back=4.0)
        assert_that(self.failure(), found)

    def test_unseen(self) -> None:
        """A short failure may be seen by nobody, or not by all."""
        self.lose("flip1", 20, Life.FROZEN)
        self.see(21, "flip", "flip1", State.PROBABLY_DOWN)
        self.recover("flip1", 21.5)
        self.see(22, "flip2", "flip1", State.DOWN)
        found = has_properties(suspected=1.0, down=none(), down_everywhere=none(), lasted=1.5)
        assert_that(self.failure(), found)

    def test_of_the_sound_only(self) -> None:
        """What a node sees that is cut off itself counts for nothing."""
        self.lose("flip2", 10, Life.RUNNING)
        self.lose("flip1", 20)
        self.see(21, "flip2", "flip1", State.DOWN)
        self.see(25, "flip", "flip1", State.DOWN)
        first, second = self.answers().failures
        assert_that(first, has_properties(node="flip2", how="cut off", down=none()))
        assert_that(second, has_properties(node="flip1", down=5.0, down_everywhere=5.0))

    def test_leaving(self) -> None:
        """Who leaves is seen to have left."""
        self.lose("flip1", 20, Life.LEAVING)
        for by in ("flip", "flip2"):
            self.see(21, by, "flip1", State.LEFT)
        assert_that(self.failure(), has_properties(how="left", down_everywhere=1.0))

    def test_nobody_left(self) -> None:
        """When nobody reaches a quorum there is nobody who could see it."""
        self._sound(self.recording, 20, frozenset())
        assert_that(self.answers().failures, empty())

    def test_a_new_process_knows_nothing(self) -> None:
        """What a node saw in an earlier life does not count any more."""
        self.lose("flip1", 20)
        self.see(21, "flip", "flip1", State.DOWN)
        self.lose("flip", 22)
        self.recover("flip", 25)
        self.see(26, "flip2", "flip1", State.DOWN)
        first, second = self.answers().failures
        assert_that(first, has_properties(node="flip1", down=1.0, down_everywhere=none()))
        assert_that(second, has_properties(node="flip", lasted=3.0))

    def test_false(self) -> None:
        """Votes against a sound node are counted, those against a failed one are not."""
        self.see(10, "flip", "flip1", State.PROBABLY_DOWN)
        self.see(11, "flip", "flip1", State.DOWN)
        self.lose("flip1", 20)
        self.see(21, "flip2", "flip1", State.DOWN)
        counts = has_properties(false_suspicions=1, false_downs=1)
        assert_that(self.answers(), counts)

    def test_opinions(self) -> None:
        """What the others think of a node, over time."""
        self.lose("flip1", 20)
        self.see(21, "flip", "flip1", State.PROBABLY_DOWN)
        self.see(22, "flip2", "flip1", State.DOWN)
        self.see(23, "flip", "flip1", State.DOWN)
        changes = detect(self.recording).opinions["flip1"].changes
        assert_that(
            changes,
            contains_exactly(
                (0.0, Opinion.ALIVE),
                (21, Opinion.SUSPECTED),
                (22, Opinion.DOWN_AT_SOME),
                (23, Opinion.DOWN_AT_ALL),
            ),
        )


class OwnershipTests(RecordingCase):
    """Who owns what, for how long nobody does, and what moves in vain."""

    def test_a_takeover(self) -> None:
        """A failure costs the time until another has taken, and one necessary move."""
        self.own("flip1", 1)
        self.lose("flip1", 20)
        self.own("flip", 23)
        found = has_properties(
            placed=1.0, gaps=[Interval(20, 23)], nowhere=[], moves=1, unnecessary=0,
            live_at_end=True,
        )  # fmt: skip
        assert_that(self.point(), found)

    def test_nowhere(self) -> None:
        """A handover leaves a moment in which no machine serves it."""
        self.own("flip1", 1, 20)
        self.own("flip", 20.25)
        found = has_properties(gaps=[Interval(20, 20.25)], nowhere=[Interval(20, 20.25)])
        assert_that(self.point(), found)

    def test_never_placed(self) -> None:
        """What nobody ever took has no gaps, and no owner at the end."""
        assert_that(self.point(), has_properties(placed=none(), gaps=empty(), live_at_end=False))
        assert_that([point.datum for point in self.answers().ownerless], equal_to([TWO, ONE]))

    def test_ends_without_owner(self) -> None:
        """A gap that lasts is open until the end."""
        self.own("flip1", 1)
        self.lose("flip1", 20)
        found = has_properties(gaps=[Interval(20, 100)], live_at_end=False, owners=["flip1"])
        assert_that(self.point(), found)

    def test_in_vain(self) -> None:
        """Away from a sound owner and back are two moves that nothing called for."""
        self.own("flip1", 1, 20)
        self.own("flip", 21, 30)
        self.own("flip1", 31)
        assert_that(self.point(), has_properties(moves=2, unnecessary=2))

    def test_to_and_fro(self) -> None:
        """Away while the owner is gone and back when it is there again are both called for."""
        self.own("flip1", 1)
        self.lose("flip1", 20)
        self.own("flip", 22, 41)
        self.recover("flip1", 40)
        self.own("flip1", 41)
        assert_that(self.point(), has_properties(moves=2, unnecessary=0))

    def test_too_late(self) -> None:
        """A failure that is over when its consequences come moves data for nothing."""
        self.own("flip1", 1, 22)
        self.lose("flip1", 20, Life.FROZEN)
        self.recover("flip1", 21)
        self.own("flip", 23)
        assert_that(self.point(), has_properties(moves=1, unnecessary=1))

    def test_replicas_do_not_move(self) -> None:
        """Of what belongs on every server there are many owners, and no moves."""
        self.recording = self.blank(type="replicate")
        self.own("flip1", 1, 50)
        self.own("flip", 2)
        found = has_properties(gaps=[], moves=0, unnecessary=0, together=[], live_at_end=True)
        assert_that(self.point(), found)

    def test_json(self) -> None:
        """All of it is JSON, with times to the microsecond."""
        self.own("flip1", 1 + 1e-9)
        self.lose("flip1", 20)
        text = json.dumps(self.answers().as_json())
        value = json.loads(text)
        assert_that(value["data"][0]["placed"], equal_to(1.0))
        assert_that(value["data"][0]["gaps"], equal_to([[20, 100]]))
        assert_that((value["moves"], value["seed"]), equal_to((0, 7)))

    def test_traffic(self) -> None:
        """It is per second of the run."""
        self.recording.sent["flip"] = 250
        self.recording.sent_bytes["flip"] = 40_000
        assert_that(self.answers().traffic["flip"].packets, close_to(2.5, 1e-9))
        assert_that(self.answers().traffic["flip"].bytes, close_to(400, 1e-9))
