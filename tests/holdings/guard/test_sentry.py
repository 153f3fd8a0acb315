"""What the guard does, by its clock and with hooks that the test ends."""

from __future__ import annotations

import errno
import math

from hamcrest import assert_that, close_to, empty, equal_to, has_length
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.holdings.guard.interface import LetGo, Stage
from flip.holdings.guard.messages import Disarm, Ended, Kill, Ping, Pong, Run, Started
from flip.holdings.guard.sentry import BATCH
from flip.holdings.guard.watch import EVICTION
from tests.holdings.guard.post import TIMEOUT, A, B, Bed, call


class SentryTestCase(SynchronousTestCase):
    """A sentry that knows of nothing."""

    def setUp(self) -> None:
        self.bed = Bed()


class OrderTests(SentryTestCase):
    """Hooks that the daemon orders."""

    def test_down(self) -> None:
        """Runs at once, armed or not; its pid and its end are told."""
        number = self.bed.order("down")
        assert_that(self.bed.news(), equal_to(["down a"]))
        self.bed.clock.advance(0.25)
        self.bed.end()
        assert_that(self.bed.told, equal_to([Started(number, 1001), Ended(number, None, 0.25)]))

    def test_failure(self) -> None:
        """Names the hook, the reason and what it said last."""
        number = self.bed.order("down")
        self.bed.end(failure="exit status 1", said="no such device")
        reason = "down: exit status 1 (it said: no such device)"
        assert_that(self.bed.ended(number), equal_to([reason]))

    def test_cannot_be_started(self) -> None:
        """Is a failure like any other, and says what to do."""
        self.bed.hooks.refuses = OSError(errno.EMFILE, "too many")
        number = self.bed.order("down")
        (reason,) = self.bed.ended(number)
        self.assertIn("too many open files", reason or "")

    def test_alive(self) -> None:
        """Runs when a deadline lies ahead."""
        self.bed.arm(A)
        number = self.bed.order("alive")
        self.bed.end()
        assert_that(self.bed.news(), equal_to(["alive a"]))
        assert_that(self.bed.ended(number), equal_to([None]))

    def test_alive_not_armed(self) -> None:
        """Does not start: nobody would let go in time."""
        number = self.bed.order("alive")
        assert_that(self.bed.ended(number), equal_to(["alive: it is not armed"]))
        assert_that(self.bed.news(), empty())

    def test_alive_too_late(self) -> None:
        """Does not start when the deadline passed on the way."""
        self.bed.turn.free = False
        self.bed.arm(A, after=0.005)
        number = self.bed.order("alive")
        self.bed.turn.free = True
        self.bed.wait(0.02)
        assert_that(self.bed.ended(number), equal_to(["alive: its deadline has passed"]))
        assert_that(self.bed.news(), equal_to(["down a"]))

    def test_one_at_a_time(self) -> None:
        """`down` kills an `alive` that runs and follows it."""
        self.bed.arm(A)
        alive = self.bed.order("alive")
        down = self.bed.order("down")
        assert_that(self.bed.hooks.signals, equal_to(["KILL a"]))
        assert_that(self.bed.news(), equal_to(["alive a"]))
        self.bed.end(failure="killed by SIGKILL")
        assert_that(self.bed.news(), equal_to(["down a"]))
        assert_that(self.bed.ended(alive), equal_to(["alive: killed, for its down hook"]))
        self.bed.end()
        assert_that(self.bed.ended(down), equal_to([None]))

    def test_alive_twice(self) -> None:
        """One after the other; the end of each is told."""
        self.bed.arm(A)
        self.bed.order("down")
        self.bed.arm(A)
        numbers = [self.bed.order("alive"), self.bed.order("alive")]
        self.bed.end()
        self.bed.arm(A)
        numbers += [self.bed.order("alive"), self.bed.order("alive")]
        self.bed.end()
        self.bed.end()
        ended = [self.bed.ended(number) for number in numbers]
        assert_that(ended, equal_to([*[["alive: it is not armed"]] * 2, [None], [None]]))

    def test_kill(self) -> None:
        """Ends an `alive` with its group, once, and nothing else."""
        self.bed.arm(A)
        self.bed.order("alive")
        self.bed.sentry.receive(Kill(A))
        self.bed.sentry.receive(Kill(A))
        self.bed.sentry.receive(Kill(B))
        assert_that(self.bed.hooks.signals, equal_to(["KILL a"]))
        self.bed.end(failure="killed by SIGKILL")
        self.bed.order("down")
        self.bed.sentry.receive(Kill(A))
        assert_that(self.bed.hooks.signals, equal_to(["KILL a"]))

    def test_kill_of_what_waits(self) -> None:
        """An `alive` that has not started does not start any more."""
        self.bed.turn.free = False
        self.bed.arm(A)
        number = self.bed.order("alive")
        self.bed.sentry.receive(Kill(A))
        assert_that(self.bed.ended(number), equal_to(["alive: cancelled"]))
        self.bed.turn.free = True
        self.bed.wait(1)
        assert_that(self.bed.news(), empty())

    def test_ping(self) -> None:
        """Is answered at once."""
        self.bed.sentry.receive(Ping(7))
        assert_that(self.bed.told, equal_to([Pong(7)]))


class TimeoutTests(SentryTestCase):
    """Hooks that do not end."""

    def test_pressed(self) -> None:
        """TERM at three quarters of a short timeout, KILL at its end, then an alarm, once."""
        number = self.bed.order("down")
        self.bed.wait(0.74)
        assert_that(self.bed.hooks.signals, empty())
        self.bed.wait(0.02)
        assert_that(self.bed.hooks.signals, equal_to(["TERM a"]))
        self.bed.wait(0.23)
        assert_that(self.bed.hooks.signals, equal_to(["TERM a"]))
        self.bed.wait(0.02)
        assert_that(self.bed.hooks.signals, equal_to(["TERM a", "KILL a"]))
        self.bed.wait(60)
        assert_that(self.bed.hooks.signals, equal_to(["TERM a", "KILL a"]))
        (note,) = self.bed.notes()
        self.assertIn("does not end although it was killed", note)
        self.bed.end(failure="killed by SIGKILL")
        (reason,) = self.bed.ended(number)
        self.assertIn("no end within 1 s: terminated, then killed", reason or "")

    def test_grace_of_long_timeouts(self) -> None:
        """Is a second, not more."""
        self.bed.sentry.receive(Run(1, call("down", timeout=10.0)))
        self.bed.sentry.act()
        self.bed.wait(8.99)
        assert_that(self.bed.hooks.signals, empty())
        self.bed.wait(0.02)
        assert_that(self.bed.hooks.signals, equal_to(["TERM a"]))

    def test_success_after_term(self) -> None:
        """Is none: nobody knows what it has left undone."""
        number = self.bed.order("down")
        self.bed.wait(0.8)
        self.bed.end()
        (reason,) = self.bed.ended(number)
        self.assertIn("terminated", reason or "")

    def test_limit(self) -> None:
        """Each hook is told when it must have been killed: just after its timeout."""
        self.bed.order("down")
        assert_that(self.bed.hooks.limits[0] - self.bed.clock.seconds(), close_to(1.1, 0.001))


class DeadlineTests(SentryTestCase):
    """What is armed is let go of in time."""

    def test_passed(self) -> None:
        """`down` starts at the deadline, not before, and everything is told."""
        self.bed.hold(A, after=2.0)
        self.bed.wait(1.999)
        assert_that(self.bed.news(), empty())
        self.bed.wait(0.001)
        assert_that(self.bed.news(), equal_to(["down a"]))
        self.bed.clock.advance(0.5)
        self.bed.end()
        assert_that(
            self.bed.told[-2:],
            equal_to(
                [
                    LetGo(A, Stage.BEGAN, "its deadline has passed"),
                    LetGo(A, Stage.ENDED, "", 0.5),
                ]
            ),
        )
        assert_that(self.bed.sentry.armed, equal_to(False))

    def test_due(self) -> None:
        """The loop sleeps until the deadline, and for ever when there is none."""
        assert_that(self.bed.sentry.due(), equal_to(None))
        self.bed.arm(A, after=2.0)
        assert_that(self.bed.sentry.due(), equal_to(102.0))
        self.bed.sentry.receive(Disarm((A,)))
        self.bed.wait(5)
        assert_that(self.bed.sentry.due(), equal_to(None))

    def test_renewed(self) -> None:
        """A later deadline takes the place of the former, an earlier one too."""
        self.bed.hold(A, after=2.0)
        self.bed.arm(A, after=4.0)
        self.bed.wait(3.9)
        assert_that(self.bed.news(), empty())
        self.bed.arm(A, after=0.05)
        self.bed.wait(0.06)
        assert_that(self.bed.news(), equal_to(["down a"]))

    def test_past(self) -> None:
        """A deadline that has passed means now."""
        self.bed.arm(A, after=-5.0)
        assert_that(self.bed.news(), equal_to(["down a"]))

    def test_all_at_once(self) -> None:
        """However many there are: no limit, but orders are read in between."""
        points = [("ip", f"p{n}") for n in range(3 * BATCH)]
        self.bed.hold(*points, after=1.0)
        self.bed.clock.advance(1.0)
        self.bed.sentry.act()
        assert_that(self.bed.news(), has_length(BATCH))
        assert_that(self.bed.sentry.due(), equal_to(self.bed.clock.seconds()))
        self.bed.sentry.act()
        self.bed.sentry.act()
        assert_that(self.bed.news(), has_length(2 * BATCH))

    def test_alive_runs(self) -> None:
        """It is killed, and `down` follows."""
        self.bed.arm(A, after=0.5)
        number = self.bed.order("alive")
        self.bed.wait(0.5)
        assert_that(self.bed.hooks.signals, equal_to(["KILL a"]))
        self.bed.end(failure="killed by SIGKILL")
        (reason,) = self.bed.ended(number)
        self.assertIn("its deadline has passed", reason or "")
        assert_that(self.bed.news(), equal_to(["alive a", "down a"]))

    def test_ordered_down_runs(self) -> None:
        """That one counts: when it ends well, nothing more is done or told."""
        self.bed.hold(A, after=0.5)
        self.bed.order("down")
        self.bed.wait(0.6)
        self.bed.end()
        self.bed.wait(5)
        assert_that(self.bed.news(), equal_to(["down a"]))
        assert_that(self.bed.let_go(), empty())
        assert_that(self.bed.sentry.armed, equal_to(False))

    def test_ordered_down_fails(self) -> None:
        """Then the guard goes on with it, if the deadline has passed."""
        self.bed.hold(A, after=0.5)
        self.bed.order("down")
        self.bed.wait(0.6)
        self.bed.end(failure="exit status 1")
        assert_that(self.bed.news(), equal_to(["down a", "down a"]))
        assert_that(self.bed.let_go(), equal_to([("a", Stage.BEGAN)]))

    def test_shared(self) -> None:
        """A `down` that the daemon orders meanwhile is the one that runs."""
        self.bed.hold(A, after=0.5)
        self.bed.wait(0.5)
        number = self.bed.order("down")
        self.bed.end()
        assert_that(self.bed.news(), equal_to(["down a"]))
        assert_that(self.bed.ended(number), equal_to([None]))

    def test_gone(self) -> None:
        """One that is ordered afterwards has been done."""
        self.bed.hold(A, after=0.5)
        self.bed.wait(0.5)
        self.bed.end()
        self.bed.news()
        number = self.bed.order("down")
        assert_that((self.bed.ended(number), self.bed.news()), equal_to(([None], [])))

    def test_gone_is_not_armed_again(self) -> None:
        """Deadlines that were on their way mean nothing before the daemon knows of it."""
        self.bed.hold(A, after=0.5)
        self.bed.wait(0.5)
        self.bed.arm(A)
        self.bed.end()
        self.bed.arm(A, after=1.0)
        self.bed.news()
        self.bed.wait(5)
        assert_that(self.bed.news(), empty())
        number = self.bed.order("alive")
        (reason,) = self.bed.ended(number)
        self.assertIn("let go of in the meantime", reason or "")
        self.bed.sentry.receive(Disarm((A,)))
        self.bed.arm(A)
        number = self.bed.order("alive")
        self.bed.end()
        assert_that(self.bed.ended(number), equal_to([None]))

    def test_failing(self) -> None:
        """`down` runs again after half a second, then one, then two, until it ends well."""
        self.bed.hold(A, after=0.5)
        times = []
        self.bed.wait(0.5)
        for pause in (0.5, 1.0, 2.0):
            assert_that(self.bed.news(), equal_to(["down a"]))
            times.append(self.bed.clock.seconds())
            self.bed.end(failure="exit status 1")
            self.bed.wait(pause - 0.01)
            assert_that(self.bed.news(), empty())
            self.bed.wait(0.01)
        self.bed.end()
        self.bed.wait(100)
        assert_that(self.bed.news(), equal_to(["down a"]))
        stages = [stage for _, stage in self.bed.let_go()]
        assert_that(stages, equal_to([Stage.BEGAN, *[Stage.FAILED] * 3, Stage.ENDED]))

    def test_failing_and_ordered(self) -> None:
        """An order does not wait for the next try."""
        self.bed.hold(A, after=0.5)
        self.bed.wait(0.5)
        self.bed.end(failure="exit status 1")
        self.bed.news()
        self.bed.order("down")
        assert_that(self.bed.news(), equal_to(["down a"]))

    def test_forsaken(self) -> None:
        """Who disarms what fails has it left alone."""
        self.bed.hold(A, after=0.5)
        self.bed.wait(0.5)
        self.bed.end(failure="exit status 1")
        self.bed.news()
        self.bed.sentry.receive(Disarm((A,)))
        self.bed.wait(100)
        assert_that(self.bed.news(), empty())


class LostTests(SentryTestCase):
    """The daemon is gone."""

    def test_everything(self) -> None:
        """Is let go of at once, and then the process may end."""
        self.bed.hold(A, B)
        self.bed.lose()
        assert_that(sorted(self.bed.news()), equal_to(["down a", "down b"]))
        assert_that(self.bed.sentry.finished, equal_to(False))
        self.bed.end("a")
        self.bed.end("b")
        assert_that(self.bed.sentry.finished, equal_to(True))
        assert_that(self.bed.turn.held, equal_to(False))

    def test_nothing(self) -> None:
        """With nothing armed there is nothing to wait for."""
        self.bed.lose()
        assert_that(self.bed.sentry.finished, equal_to(True))

    def test_alive_runs(self) -> None:
        """It is killed first."""
        self.bed.arm(A)
        self.bed.order("alive")
        self.bed.lose()
        assert_that((self.bed.hooks.signals, self.bed.news()), equal_to((["KILL a"], ["alive a"])))
        self.bed.end(failure="killed by SIGKILL")
        assert_that(self.bed.news(), equal_to(["down a"]))

    def test_disarmed_alive_runs(self) -> None:
        """It is killed all the same: nobody would ever let go of what it makes live."""
        self.bed.arm(A)
        self.bed.order("alive")
        self.bed.sentry.receive(Disarm((A,)))
        self.bed.lose()
        assert_that(self.bed.hooks.signals, equal_to(["KILL a"]))

    def test_downs_that_wait(self) -> None:
        """Are for the next daemon to order, which knows more."""
        self.bed.turn.free = False
        self.bed.order("down", "b")
        self.bed.lose()
        self.bed.turn.free = True
        self.bed.wait(1)
        assert_that((self.bed.news(), self.bed.sentry.finished), equal_to(([], True)))

    def test_orders_that_wait(self) -> None:
        """Are forgotten: nobody is there for whom an `alive` would be."""
        self.bed.turn.free = False
        self.bed.arm(A)
        self.bed.order("alive")
        self.bed.lose()
        self.bed.turn.free = True
        self.bed.wait(0.02)
        assert_that(self.bed.news(), equal_to(["down a"]))

    def test_ordered_down_runs(self) -> None:
        """It is seen to its end, also of what is not armed."""
        self.bed.order("down", "b")
        self.bed.lose()
        assert_that(self.bed.sentry.finished, equal_to(False))
        self.bed.wait(1.0)
        assert_that(self.bed.hooks.signals, equal_to(["TERM b", "KILL b"]))
        self.bed.end("b", failure="killed by SIGKILL")
        assert_that(self.bed.sentry.finished, equal_to(True))

    def test_failing(self) -> None:
        """It stays until `down` has ended well; between two tries another guard may take over."""
        self.bed.hold(A)
        self.bed.lose()
        self.bed.end(failure="exit status 1")
        assert_that((self.bed.turn.held, self.bed.sentry.finished), equal_to((False, False)))
        self.bed.wait(0.5)
        assert_that((self.bed.turn.held, len(self.bed.news())), equal_to((True, 2)))
        self.bed.end(failure="exit status 1")
        self.bed.turn.free = False
        self.bed.wait(2)
        assert_that(self.bed.sentry.finished, equal_to(True))
        (_, note) = self.bed.notes()
        self.assertIn("another guard has taken over", note)


class TurnTests(SentryTestCase):
    """Another guard may still be letting go."""

    def test_waits(self) -> None:
        """Nothing starts before it is our turn; that is told once."""
        self.bed.turn.free = False
        self.bed.order("down")
        self.bed.wait(0.5)
        assert_that(self.bed.news(), empty())
        assert_that(self.bed.notes(), has_length(1))
        self.bed.turn.free = True
        self.bed.wait(0.02)
        assert_that(self.bed.news(), equal_to(["down a"]))

    def test_given_up(self) -> None:
        """What neither runs nor is armed needs no turn."""
        self.bed.order("down")
        assert_that(self.bed.turn.held, equal_to(True))
        self.bed.end()
        assert_that(self.bed.turn.held, equal_to(False))
        self.bed.arm(A)
        assert_that(self.bed.turn.held, equal_to(True))

    def test_evicted(self) -> None:
        """A guard that does not end is ended: it may be frozen."""
        self.bed.turn.free = False
        self.bed.order("down")
        self.bed.wait(TIMEOUT + EVICTION - 0.05)
        assert_that(self.bed.turn.evictions, equal_to(0))
        self.bed.wait(0.1)
        assert_that(self.bed.turn.evictions, equal_to(1))

    def test_left_running(self) -> None:
        """What a killed guard left running is waited for, and only that."""
        self.bed.turn.left = {A: self.bed.clock.seconds() + 0.7}
        self.bed.order("down", "a")
        self.bed.order("down", "b")
        assert_that(self.bed.news(), equal_to(["down b"]))
        self.bed.wait(0.69)
        assert_that(self.bed.news(), empty())
        self.bed.wait(0.02)
        assert_that(self.bed.news(), equal_to(["down a"]))

    def test_left_running_before_a_reboot(self) -> None:
        """Times of another clock do not keep it for ever."""
        self.bed.turn.left = {A: 1e9}
        self.bed.order("down")
        self.bed.wait(TIMEOUT + EVICTION + 0.01)
        assert_that(self.bed.news(), equal_to(["down a"]))

    def test_noted(self) -> None:
        """Only what would survive this guard is written down, until when at most."""
        self.bed.arm(A)
        self.bed.order("alive")
        assert_that(self.bed.turn.noted, equal_to({}))
        self.bed.end()
        self.bed.order("down")
        assert_that(self.bed.turn.noted[A], close_to(self.bed.clock.seconds() + 1.1, 0.001))


class LawTests(SynchronousTestCase):
    """Whatever is ordered, and however hooks end."""

    STEPS = st.lists(
        st.one_of(
            st.tuples(st.sampled_from(["alive", "down", "disarm", "kill"]), st.sampled_from("ab")),
            st.tuples(st.just("arm"), st.sampled_from("ab"), st.floats(-0.5, 3.0)),
            st.tuples(st.just("end"), st.sampled_from("ab"), st.booleans()),
            st.tuples(st.just("wait"), st.floats(0.0, 1.5)),
        ),
        max_size=30,
    )

    @settings(max_examples=500, deadline=None)
    @given(steps=STEPS)
    def test_one_hook_and_every_order_ends(self, steps: list[tuple[object, ...]]) -> None:
        """Hooks of a data point never overlap, each order ends once, and nothing stays live.

        `live` is what an `alive` began to make so and no `down` has ended well since:
        once the daemon is lost and hooks end well, nothing of it is left.
        """
        bed = Bed()
        live: set[str] = set()
        numbers = []

        def end(datum: str, *, good: bool) -> None:
            _, call = bed.hooks.running[datum]
            killed = any(signal.endswith(datum) for signal in bed.hooks.signals)
            bed.end(datum, None if good else "exit status 1")
            bed.hooks.signals = [s for s in bed.hooks.signals if not s.endswith(datum)]
            if call.event == "down" and good and not killed:
                live.discard(datum)

        def look() -> None:
            for word in bed.news():
                event, datum = word.split()
                if event == "alive":
                    live.add(datum)

        for step in steps:
            match step:
                case ("alive" | "down" as event, str(datum)):
                    numbers.append(bed.order(event, datum))
                case ("arm", str(datum), float(after)):
                    bed.arm(("ip", datum), after=after)
                case ("disarm", str(datum)) if datum not in live:
                    bed.sentry.receive(Disarm((("ip", datum),)))
                case ("kill", str(datum)):
                    bed.sentry.receive(Kill(("ip", datum)))
                case ("end", str(datum), bool(good)) if datum in bed.hooks.running:
                    end(datum, good=good)
                case ("wait", float(seconds)):
                    bed.wait(seconds)
            look()
        while bed.hooks.running:
            end(next(iter(bed.hooks.running)), good=True)
            look()
        assert_that([n for n in numbers if len(bed.ended(n)) != 1], empty())
        bed.sentry.lost()
        for _ in range(100):
            bed.wait(0.6)
            look()
            for datum in list(bed.hooks.running):
                end(datum, good=True)
            look()
            if bed.sentry.finished:
                break
        assert_that((bed.sentry.finished, live), equal_to((True, set())))
        due = bed.sentry.due()
        assert_that(due is None or due < math.inf, equal_to(True))
