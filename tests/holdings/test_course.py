"""The row of programs that a group's call becomes."""

from __future__ import annotations

from hamcrest import assert_that, close_to, empty, equal_to
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.call import Hook, HookCall
from flip.holdings.course import Course
from tests.matchers import has_entries

UP, AWAY = Hook("up", ("/up",)), Hook("away", ("/away",))
TIMEOUT = 8.0


def call(event: str, *members: str, undo: Hook | None = AWAY) -> HookCall:
    """A call for a group that goes by the name "web"."""
    hook = AWAY if event == "down" else UP
    return HookCall(
        hook,
        event,
        "ip",
        "web",
        "{}",
        "me",
        TIMEOUT,
        members,
        undo if event == "alive" else None,
    )


def play(course: Course, failing: dict[tuple[str, str], str]) -> list[str]:
    """Run a course to its end; returns what ran, as "alive a".

    :param failing: the reason, by event and member.
    """
    ran = []
    while (step := course.next(0.0)) is not None:
        (member,) = step.members
        ran.append(f"{step.event} {member}")
        course.ended(failing.get((step.event, member)))
    return ran


class AliveTests(SynchronousTestCase):
    """`alive` of a group: all or nothing."""

    def test_order(self) -> None:
        """The members have their turns in order, each with the whole of the call's rest."""
        course = Course(call("alive", "a", "b"), 0.1)
        step = course.next(5.0)
        assert step is not None
        assert_that(
            step._asdict(),
            has_entries(hook=UP, event="alive", datum="web", members=("a",), undo=None),
        )
        course.ended(None)
        assert_that(play(course, {}), equal_to(["alive b"]))
        assert_that(course.failure, equal_to(None))

    def test_failure(self) -> None:
        """Undoes the one that failed, for it may have got half way, and those before it."""
        course = Course(call("alive", "a", "b", "c"), 0.1)
        ran = play(course, {("alive", "b"): "up: exit status 1"})
        assert_that(ran, equal_to(["alive a", "alive b", "down b", "down a"]))
        assert_that(course.failure, equal_to("b: up: exit status 1"))

    def test_undo_hook(self) -> None:
        """What undoes is the call's `undo`, with a time of its own."""
        course = Course(call("alive", "a", "b"), 0.1)
        course.next(0.0)
        course.ended("no")
        step = course.next(7.9)
        assert step is not None
        assert_that(step._asdict(), has_entries(hook=AWAY, event="down", timeout=TIMEOUT))

    def test_undo_fails(self) -> None:
        """The others are undone all the same, and the failure tells of both."""
        course = Course(call("alive", "a", "b"), 0.1)
        ran = play(course, {("alive", "b"): "no", ("down", "b"): "stuck"})
        assert_that(ran, equal_to(["alive a", "alive b", "down b", "down a"]))
        assert_that(course.failure, equal_to("b: no; b: stuck"))

    def test_no_undo(self) -> None:
        """Without `undo` what is live stays, and nothing more is run."""
        course = Course(call("alive", "a", "b", "c", undo=None), 0.1)
        assert_that(play(course, {("alive", "b"): "no"}), equal_to(["alive a", "alive b"]))
        assert_that(course.failure, equal_to("b: no"))

    def test_abandoned(self) -> None:
        """Neither goes on nor undoes."""
        course = Course(call("alive", "a", "b"), 0.1)
        course.next(0.0)
        course.abandon()
        course.ended("killed")
        assert_that(course.next(0.0), equal_to(None))
        assert_that(course.failure, equal_to("a: killed"))


class DownTests(SynchronousTestCase):
    """`down` of a group: as much of it as can be."""

    def test_order(self) -> None:
        """Goes backwards, over all members, whatever fails."""
        course = Course(call("down", "a", "b", "c"), 0.1)
        ran = play(course, {("down", "c"): "no", ("down", "a"): "stuck"})
        assert_that(ran, equal_to(["down c", "down b", "down a"]))
        assert_that(course.failure, equal_to("c: no; a: stuck"))


class TimeTests(SynchronousTestCase):
    """The timeout is the whole group's."""

    def test_parts(self) -> None:
        """Each may take an equal part of what is left."""
        course = Course(call("down", "a", "b", "c", "d"), 0.1)
        timeouts = []
        for now in (100.0, 102.0, 102.3, 105.0):
            step = course.next(now)
            assert step is not None
            timeouts.append(step.timeout)
            course.ended(None)
        assert_that(timeouts, equal_to([2.0, 2.0, 2.85, 3.0]))

    def test_least(self) -> None:
        """What others took too much of is not taken from the rest altogether."""
        course = Course(call("down", "a", "b"), 0.25)
        course.next(0.0)
        course.ended("stuck")
        step = course.next(100.0)
        assert step is not None
        assert_that(step.timeout, equal_to(0.25))

    def test_alone(self) -> None:
        """A data point of one member has all of it, and its failure is told as it is."""
        course = Course(HookCall(UP, "alive", "ip", "a", "{}", "me", TIMEOUT, ("a",)), 0.1)
        step = course.next(3.0)
        assert_that(step, equal_to(HookCall(UP, "alive", "ip", "a", "{}", "me", TIMEOUT, ("a",))))
        course.ended("up: exit status 1")
        assert_that([course.next(3.0), course.failure], equal_to([None, "up: exit status 1"]))

    @given(st.integers(1, 20), st.lists(st.floats(0, 1), min_size=20, max_size=20))
    def test_whole(self, count: int, parts: list[float]) -> None:
        """However much of its time each takes, together they keep to the timeout."""
        course = Course(call("down", *map(str, range(count))), 0.0)
        now = 50.0
        for part in parts:
            step = course.next(now)
            if step is None:
                break
            now += part * step.timeout
            course.ended(None)
        assert_that(max(now - 50.0, TIMEOUT), close_to(TIMEOUT, 0.01))


class LawTests(SynchronousTestCase):
    """Whatever fails."""

    @given(
        st.lists(st.sampled_from("abcdef"), min_size=1, unique=True),
        st.sets(st.sampled_from([(e, m) for e in ("alive", "down") for m in "abcdef"])),
    )
    def test_all_or_nothing(self, members: list[str], failing: set[tuple[str, str]]) -> None:
        """After `alive` all are live or all that were tried have been let go of, in reverse."""
        course = Course(call("alive", *members), 0.1)
        ran = play(course, dict.fromkeys(failing, "no"))
        tried = [step.removeprefix("alive ") for step in ran if step.startswith("alive")]
        undone = [step.removeprefix("down ") for step in ran if step.startswith("down")]
        if course.failure is None:
            assert_that(tried, equal_to(members))
            assert_that(undone, empty())
        else:
            assert_that(undone, equal_to(tried[::-1]))
