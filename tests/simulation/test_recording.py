"""Tests for `flip.simulation.rehearsal`, and for what is recorded of whole clusters."""

from __future__ import annotations

from hamcrest import (
    assert_that,
    close_to,
    contains_string,
    empty,
    equal_to,
    greater_than,
    less_than,
    none,
)
from twisted.trial.unittest import SynchronousTestCase

from flip.membership.detector import Detector
from flip.simulation.distributions import Uniform
from flip.simulation.rehearsal import LARGE, Rehearsal, rehearse, replay
from flip.simulation.report.answers import Ownership
from flip.simulation.report.recording import Life
from flip.simulation.report.series import Interval, total
from flip.simulation.schedules import Schedule, play
from tests.cluster.case import DETECTION, ONE, STORY, TWO, larger, system
from tests.matchers import contains_exactly, has_properties, is_not


class RehearsalTests(SynchronousTestCase):
    """What is recorded of a real cluster under faults."""

    def run_story(self, *faults: str, duration: float = 60, **settings: object) -> Rehearsal:
        config = system(**settings) if settings else STORY
        return rehearse(Schedule(config, 1, duration, faults))

    def point(self, rehearsal: Rehearsal, datum: str) -> Ownership:
        (found,) = [point for point in rehearsal.answers.data if point.datum == datum]
        return found

    def test_without_faults(self) -> None:
        """Everybody starts within an interval, everything is placed, and stays."""
        found = self.run_story()
        starts = [series.changes[1][0] for series in found.recording.life.values()]
        assert_that(max(starts), less_than(1.0))
        assert_that(len(set(starts)), equal_to(3))
        quiet = has_properties(gaps=[], together=[], apart=[], leftover=[], moves=0)
        assert_that(found.answers.data, contains_exactly(quiet, quiet))
        assert_that(found.answers.failures, empty())
        assert_that(found.answers.violation, none())
        assert_that(found.answers.traffic["flip"].packets, greater_than(2.0))

    def test_kill(self) -> None:
        """A killed node is seen in time, and what it left behind on its machine is told."""
        found = self.run_story("kill flip1@20")
        (failure,) = found.answers.failures
        assert_that(failure, has_properties(node="flip1", at=20.0, how="killed", lasted=none()))
        assert_that(failure.down_everywhere, less_than(DETECTION + 0.1))
        point = self.point(found, TWO)
        (gap,) = point.gaps
        assert_that(gap.begin, equal_to(20.0))
        assert_that(gap.length, less_than(DETECTION + 0.2))
        assert_that(total(point.leftover), close_to(60 - gap.end, 0.1))
        assert_that(point, has_properties(moves=1, unnecessary=0, nowhere=[], live_at_end=True))

    def test_reboot(self) -> None:
        """When a machine loses its power nothing is left there."""
        point = self.point(self.run_story("reboot flip1@20"), TWO)
        assert_that(point, has_properties(leftover=[], moves=1))
        assert_that(point.nowhere[0].begin, equal_to(20.0))

    def test_cut(self) -> None:
        """A minority keeps what it holds: two owners that cannot hear each other."""
        found = self.run_story("cut flip,flip2/flip1@20-40")
        point = self.point(found, TWO)
        (apart,) = point.apart
        assert_that(apart.end, equal_to(40.0))
        assert_that(total(point.together), less_than(0.3))
        assert_that(point, has_properties(moves=2, unnecessary=0, owners=["flip1"]))
        (failure,) = found.answers.failures
        assert_that(failure, has_properties(how="cut off", lasted=20.0))
        in_touch = found.recording.touch["flip1"].at(35)
        assert_that(in_touch, equal_to(False))

    def test_leave(self) -> None:
        """A node that leaves hands over: nobody misses its data for long, and it has left."""
        found = self.run_story("leave flip1@20")
        (failure,) = found.answers.failures
        assert_that(failure.how, equal_to("left"))
        assert_that(total(self.point(found, TWO).nowhere), less_than(0.1))
        assert_that(self.point(found, TWO).unnecessary, equal_to(0))
        lives = [life for _, life in found.recording.life["flip1"].changes]
        assert_that(lives, equal_to([Life.STOPPED, Life.RUNNING, Life.LEAVING, Life.STOPPED]))

    def test_nobody_can_talk(self) -> None:
        """In a total cut nobody is a live owner, and nothing moves or is down anywhere."""
        found = self.run_story("cut flip/flip1/flip2@20-40")
        point = self.point(found, ONE)
        assert_that(point, has_properties(gaps=[Interval(20.0, 40.0)], nowhere=[], moves=0))
        assert_that(found.answers.false_downs, equal_to(0))

    def test_failing_hook(self) -> None:
        """Hooks that fail are recorded as such."""
        found = self.run_story(f"fail-hook flip/alive/{ONE}@0")
        failed = {(run.id, run.event) for run in found.recording.hooks if run.good is False}
        assert_that(failed, equal_to({("flip", "alive")}))
        assert_that(self.point(found, ONE).owners, equal_to(["flip1"]))

    def test_slow_hooks(self) -> None:
        """Hooks may take longer than flip's own: first `down` for all, then `alive`."""
        slow = rehearse(Schedule(STORY, 1, 20, ()), Uniform(2.0, 2.0))
        fast = rehearse(Schedule(STORY, 1, 20, ()))
        late = self.point(slow, ONE).placed, self.point(fast, ONE).placed
        assert_that((late[0] or 0) - (late[1] or 0), close_to(2 * 1.98, 0.05))

    def test_killed_before_it_starts(self) -> None:
        """A node that is killed at the very beginning does not run."""
        found = self.run_story("kill flip1@0")
        assert_that(found.recording.life["flip1"].at(10), equal_to(Life.STOPPED))
        assert_that(self.point(found, TWO), has_properties(owners=["flip"], gaps=[]))

    def test_the_same_again(self) -> None:
        """The same seed gives the same run, another seed another one."""
        one, two = (self.run_story("kill flip1@20", "loss 10%@30-50") for _ in range(2))
        assert_that(one.answers.as_json(), equal_to(two.answers.as_json()))
        assert_that(one.recording.views, equal_to(two.recording.views))
        other = rehearse(Schedule(STORY, 2, 60, ("kill flip1@20", "loss 10%@30-50")))
        assert_that(other.answers.failures, is_not(equal_to(one.answers.failures)))

    def test_unexpected_error(self) -> None:
        """An error that a node logs and survives is told like a broken rule."""

        def fail(detector: Detector, *verdict: object) -> None:
            raise RuntimeError("a bug")

        self.patch(Detector, "_ended", fail)
        found = self.run_story(duration=5)
        assert_that(found.answers.violation or "", contains_string("RuntimeError: a bug"))
        self.flushLoggedErrors(RuntimeError)

    def test_very_slow(self) -> None:
        """A machine that is too slow to answer is taken for dead, which breaks no rule."""
        found = self.run_story("slow flip1:200ms@20-40", duration=70)
        assert_that(found.answers.violation, none())
        assert_that(found.answers.false_downs, greater_than(0))
        assert_that(self.point(found, TWO).owners, equal_to(["flip1"]))

    def test_large(self) -> None:
        """Of many nodes the start is left out: they know one another from the beginning."""
        found = rehearse(Schedule(larger(LARGE + 1, 2), 1, 2, ()))
        assert_that({series.at(0.0) for series in found.recording.touch.values()}, equal_to({True}))
        assert_that(found.answers.data[0].placed or 9, less_than(1.0))

    def test_replay(self) -> None:
        """A schedule from a file runs as in the search for broken rules, mended at its end."""
        schedule = Schedule(STORY, 5, 30, ("kill flip1@10", "loss 10%@5"))
        found = replay(schedule)
        assert_that(found.answers.duration, equal_to(play(schedule).simulated))
        assert_that(found.answers.violation, none())
        assert_that(self.point(found, TWO).owners, equal_to(["flip1"]))
