"""Tests for `flip.holdings.keeper`."""

from __future__ import annotations

import time

from hamcrest import (
    assert_that,
    calling,
    contains_inanyorder,
    contains_string,
    empty,
    equal_to,
    has_item,
    has_length,
    less_than,
    raises,
)
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from flip.errors import CannotRelease
from flip.holdings.journal import Held
from flip.holdings.runner import HookCall, HookResult
from flip.wire.claims import Phase
from flip.wire.messages import Status
from tests.holdings.bed import config, system
from tests.holdings.case import DELAY, KeeperTestCase

LO0 = '{"interface": "lo0"}'
OTHER = b"zzzzzzzz"
PATIENCE = 5.0


class StartTests(KeeperTestCase):
    """From the start to the first hook."""

    def test_claimed_at_once(self) -> None:
        """What the journal names is claimed before anybody is heard, and acted on when settled."""
        self.build(left=(Held("ip", "b", Phase.HELD, ("x",), LO0, ("b",)),))
        assert_that([self.claims(), self.wait(60)], equal_to([{"b": "UNSURE"}, []]))
        self.act()
        assert_that(self.hooks.news(), contains_inanyorder("alive a", "down b"))

    def test_claim_is_published_before_the_hook(self) -> None:
        """When a hook starts everybody may know of the claim."""
        seen: list[dict[str, str]] = []
        run = self.hooks.run

        def see(call: HookCall) -> Deferred[HookResult]:
            seen.append(self.claims())
            return run(call)

        self.patch(self.hooks, "run", see)
        self.act()
        assert_that(seen, equal_to([{"a": "TAKING"}]))

    def test_delay(self) -> None:
        """Several nodes that start together become one plan."""
        self.membership.become(in_touch=True, settled=True)
        assert_that(self.wait(DELAY - 0.01), empty())
        assert_that(self.wait(0.01), equal_to(["alive a"]))

    def test_journal_missing(self) -> None:
        """Without its journal a node claims all that its systems may have left."""
        self.build(clean=False)
        assert_that(self.claims(), equal_to(dict.fromkeys("abc", "UNSURE")))

    def test_arbiter(self) -> None:
        """A node without systems holds nothing and fails at nothing."""
        self.build(config(servers={"me": (), "flip1": ("ip",), "flip2": ("ip",)}))
        self.act()
        self.others.accuse("flip1", "me", "flip2")
        self.membership.find_down()
        assert_that([self.wait(1), self.keeper.claims()], equal_to([[], {}]))

    def test_left_by_an_older_configuration(self) -> None:
        """What no system knows is claimed by name, and released with the journal's hook."""
        old = Held("gone", "x", Phase.HELD, ("/old/down",), "{}", ("x",))
        renamed = Held("ip", "z", Phase.HELD, ("/old/down",), "{}", ("z",))
        self.build(left=(old, renamed))
        assert_that(
            [self.claims("gone"), self.claims()], equal_to([{"x": "UNSURE"}, {"z": "UNSURE"}])
        )
        self.act()
        for _ in range(2):
            self.clock.advance(0)
            call = next(
                call
                for call in self.hooks.calls
                if call.datum in "xz" and (call.system, call.datum) in self.hooks.running
            )
            assert_that(call.hook.argv, equal_to(("/old/down",)))
            self.hooks.succeed(call.datum, call.system)
        self.clock.advance(0)
        assert_that([self.claims("gone"), self.claims()], equal_to([{}, {"a": "TAKING"}]))


class FailoverTests(KeeperTestCase):
    """Members go and come."""

    def test_down(self) -> None:
        """What a dead member held is taken at once."""
        self.hold_own()
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.others.accuse("flip1", "me", "flip2")
        assert_that(self.wait(), equal_to(["alive b"]))

    def test_back(self) -> None:
        """It gets its data back when it can take it, and hears of it first."""
        self.hold_own()
        self.others.accuse("flip1", "me", "flip2")
        self.wait()
        self.succeed_all()
        self.others.say("flip1", incarnation=2, status=Status.JOINING)
        assert_that(self.wait(1), empty())
        self.others.say("flip1", incarnation=2)
        assert_that(self.wait(DELAY), equal_to(["down b"]))
        self.membership.concerned.clear()
        self.succeed_all()
        assert_that(self.membership.concerned, has_item("flip1"))

    def test_no_quorum(self) -> None:
        """Out of touch nothing is taken and nothing is let go."""
        self.hold_own()
        self.membership.become(in_touch=False, settled=False)
        self.others.accuse("flip1", "me", "flip2")
        assert_that([self.wait(60), self.claims()], equal_to([[], {"a": "HELD"}]))

    def test_isolation(self) -> None:
        """Where the system says so, an isolated node lets go; back in touch it takes again."""
        self.build(on_isolation="release")
        self.hold_own()
        self.membership.become(in_touch=False, settled=False)
        assert_that(self.wait(self.config.ping_timeout - 0.1), empty())
        with capturedLogs() as logs:
            assert_that(self.wait(0.1), equal_to(["down a"]))
        assert_that(logs, has_length(1))
        self.succeed_all()
        assert_that(self.claims(), empty())
        self.act()
        assert_that(self.hooks.news(), equal_to(["alive a"]))

    def test_short_isolation(self) -> None:
        """Back in touch while `down` runs: it is taken again afterwards."""
        self.build(on_isolation="release")
        self.hold_own()
        self.membership.become(in_touch=False, settled=False)
        assert_that(self.wait(2), equal_to(["down a"]))
        self.act()
        self.hooks.succeed("a")
        assert_that(self.wait(), equal_to(["alive a"]))


class FailingTests(KeeperTestCase):
    """R3: a node on which `alive` does not work."""

    def fail_alive(self, datum: str, times: int) -> None:
        for attempt in range(times):
            self.hooks.fail(datum)
            self.clock.advance(0.5 * 2**attempt)
            self.clock.advance(0)

    def setUp(self) -> None:
        super().setUp()
        self.act()
        self.hooks.news()

    def test_others_take_over(self) -> None:
        """After three failures: ineligible, `down`, no claim; and status says why."""
        self.fail_alive("a", 3)
        assert_that(self.membership.own.record.ineligible, equal_to(("ip",)))
        assert_that(self.hooks.news()[-1], equal_to("down a"))
        assert_that(self.claims(), equal_to({"a": "RELEASING"}))
        self.succeed_all()
        assert_that([self.claims(), self.wait(50)], equal_to([{}, []]))
        failures = self.keeper.systems["ip"].failures()
        assert_that(failures["a"], contains_string("exit status 1"))
        kinds = [event.kind for event in self.journal.events(10)]
        assert_that(kinds, equal_to(["gave-up"]))

    def test_retry_after(self) -> None:
        """After `retry_after` it is eligible again, tries again, and nothing is shown as failed."""
        self.fail_alive("a", 3)
        self.succeed_all()
        self.hooks.news()
        assert_that(self.wait(60) + self.wait(DELAY), equal_to(["alive a"]))
        assert_that(self.membership.own.record.ineligible, empty())
        self.succeed_all()
        assert_that(self.keeper.systems["ip"].failures(), empty())

    def test_retry_command(self) -> None:
        """`flip retry` ends that sooner."""
        self.fail_alive("a", 3)
        self.succeed_all()
        self.hooks.news()
        self.keeper.retry("ip")
        assert_that(self.wait(DELAY), equal_to(["alive a"]))

    def test_nobody_else(self) -> None:
        """Where nobody else is eligible it goes on trying."""
        for other in ("flip1", "flip2"):
            self.others.say(other, ineligible=("ip",))
        self.clock.advance(0)
        self.fail_alive("a", 4)
        assert_that(self.membership.own.record.ineligible, empty())
        assert_that(self.hooks.news().count("alive a"), equal_to(4))

    def test_somebody_else_at_last(self) -> None:
        """It goes on trying only until somebody else is eligible."""
        for other in ("flip1", "flip2"):
            self.others.say(other, ineligible=("ip",))
        self.clock.advance(0)
        self.fail_alive("a", 4)
        self.others.say("flip1")
        self.clock.advance(DELAY)
        self.fail_alive("a", 1)
        assert_that(self.membership.own.record.ineligible, equal_to(("ip",)))

    def test_everybody_fails(self) -> None:
        """When the others turn out to be unfit, too, it tries again."""
        self.fail_alive("a", 3)
        self.succeed_all()
        self.hooks.news()
        for other in ("flip1", "flip2"):
            self.others.say(other, ineligible=("ip",))
        assert_that(self.wait(DELAY), equal_to(["alive a"]))

    def test_many_data_points(self) -> None:
        """Giving up is one line and one event, however many data points fail."""
        self.build(data=[f"d{number}" for number in range(12)])
        self.act()
        with capturedLogs() as logs:
            for _ in range(3):
                for name, datum in list(self.hooks.running):
                    self.hooks.fail(datum, name)
                self.clock.advance(2)
        gave_up = [event for event in logs if "take over" in formatEvent(event)]
        assert_that(gave_up, has_length(1))
        assert_that(self.keeper.systems["ip"].failures(), has_length(4))

    def test_replicate(self) -> None:
        """Where each server stands alone nobody takes over, so it goes on trying."""
        self.build(type="replicate", data="a")
        self.act()
        self.fail_alive("a", 4)
        assert_that(self.membership.own.record.ineligible, empty())


class LastWordTests(KeeperTestCase):
    """R6: after a conflict the one that keeps a data point announces it."""

    def setUp(self) -> None:
        super().setUp()
        self.hold_own()

    def test_conflict(self) -> None:
        """The one that the topology names announces at once, and again when the other let go."""
        self.others.say("flip2", {"ip": {"a": Phase.HELD}})
        assert_that(self.wait(), equal_to(["alive a"]))
        self.succeed_all()
        self.others.say("flip2", {"ip": {"a": Phase.RELEASING}})
        assert_that(self.wait(), empty())
        self.others.say("flip2")
        assert_that(self.wait(), equal_to(["alive a"]))

    def test_let_go_while_announcing(self) -> None:
        """What was let go during the first announcement is announced once more."""
        self.others.say("flip2", {"ip": {"a": Phase.HELD}})
        self.wait()
        self.others.say("flip2")
        self.wait()
        self.hooks.succeed("a")
        assert_that(self.wait(), equal_to(["alive a"]))

    def test_loser(self) -> None:
        """The one that the topology does not name lets go, and tells the winner first."""
        self.others.accuse("flip1", "me", "flip2")
        self.wait()
        self.succeed_all()
        self.hooks.news()
        self.others.say("flip1", {"ip": {"b": Phase.HELD}}, incarnation=2)
        assert_that(self.wait(DELAY), equal_to(["down b"]))
        self.membership.concerned.clear()
        self.succeed_all()
        assert_that(self.membership.concerned, equal_to(["flip1"]))

    def test_back_with_the_same_claims(self) -> None:
        """A member that comes back may have held all the time what is ours now."""
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.others.accuse("flip1", "me", "flip2")
        assert_that(self.wait(), equal_to(["alive b"]))
        self.succeed_all()
        self.others.say("flip1", {"ip": {"b": Phase.HELD}}, incarnation=2, ineligible=("ip",))
        assert_that(self.wait(), equal_to(["alive b"]))

    def test_back_in_touch(self) -> None:
        """Whoever was out of touch announces when it may act again, whatever it saw."""
        self.membership.become(in_touch=False, settled=False)
        assert_that(self.wait(3), empty())
        self.act()
        assert_that(self.hooks.news(), equal_to(["alive a"]))

    def test_found_down(self) -> None:
        """Whoever was voted down announces, whatever it saw."""
        self.membership.find_down()
        assert_that(self.wait(), equal_to(["alive a"]))

    def test_handoff(self) -> None:
        """A planned handoff costs the new owner one hook."""
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.others.say("flip1", {"ip": {"b": Phase.RELEASING}}, status=Status.LEAVING)
        assert_that(self.wait(), empty())
        self.others.say("flip1", status=Status.LEAVING)
        assert_that(self.wait(), equal_to(["alive b"]))
        self.others.say("flip1", status=Status.LEFT)
        self.succeed_all()
        assert_that(self.wait(), empty())


class ConfigurationTests(KeeperTestCase):
    """R7: different configurations do not fight."""

    def test_alarm(self) -> None:
        """A difference is an alarm, once, with who plans; and its end is told."""
        self.hold_own()
        with capturedLogs() as logs:
            self.others.say("flip1", digest=OTHER)
            self.wait()
            self.others.say("flip1", digest=OTHER)
            self.wait()
        (line,) = [formatEvent(event) for event in logs]
        alarm = "flip1 runs another configuration than me; another member's plans until all run"
        assert_that(line, contains_string(alarm))
        assert_that(self.keeper.difference.alarm, equal_to(line))
        with capturedLogs() as logs:
            self.others.say("flip1")
            self.wait()
        assert_that(formatEvent(logs[0]), contains_string("same configuration again"))
        assert_that(self.keeper.difference.alarm, equal_to(""))

    def test_starts_nothing_new(self) -> None:
        """Under a configuration that does not plan nothing is taken, and what is held is kept."""
        self.hold_own()
        self.others.say("flip2", config_version=1, digest=OTHER)
        self.others.accuse("flip1", "me", "flip2")
        assert_that([self.wait(1), self.claims()], equal_to([[], {"a": "HELD"}]))

    def test_yields(self) -> None:
        """A claim of the member that plans is yielded to."""
        self.hold_own()
        self.others.say("flip2", {"ip": {"a": Phase.TAKING}}, config_version=1, digest=OTHER)
        assert_that(self.wait(), equal_to(["down a"]))

    def test_claims(self) -> None:
        """The member that plans claims what others have to yield, and takes it when they did."""
        self.build(config(system(data="abc", remove_on_start=False), config_version=1))
        self.others.say("flip2", {"ip": {"a": Phase.HELD}}, digest=OTHER)
        self.act()
        assert_that([self.hooks.news(), self.claims()], equal_to([[], {"a": "TAKING"}]))
        self.others.say("flip2", digest=OTHER)
        assert_that(self.wait(), equal_to(["alive a"]))


class FlappingTests(KeeperTestCase):
    """R8: a node that is voted down again and again stays out for a while."""

    def find_down(self) -> tuple[str, ...]:
        self.membership.find_down()
        self.clock.advance(0)
        return self.membership.own.record.ineligible

    def test_once(self) -> None:
        """Once is no flapping."""
        assert_that(self.find_down(), empty())

    def test_growing(self) -> None:
        """Twice within ten minutes is; the time out of service grows."""
        self.find_down()
        for seconds in (1, 2, 4, 8, 16, 32, 60, 60):
            assert_that(self.find_down(), equal_to(("ip",)))
            self.clock.advance(seconds - 0.1)
            assert_that(self.membership.own.record.ineligible, equal_to(("ip",)))
            self.clock.advance(0.2)
            assert_that(self.membership.own.record.ineligible, empty())
        events = [event for event in self.journal.events(10) if event.kind == "flapping"]
        assert_that(events, has_length(8))

    def test_acting(self) -> None:
        """A node that acts is kept out as well: its data moved, and are to stay there."""
        self.hold_own()
        self.find_down()
        assert_that(self.find_down(), equal_to(("ip",)))

    def test_late_news(self) -> None:
        """Old news reach a node that is back and acts: they count, it announces and stays."""
        self.find_down()
        self.hold_own()
        own = self.membership.own.record.incarnation
        self.membership.roster.accuse("me", own, ("flip1",))
        assert_that(self.membership.own.record.incarnation, equal_to(own + 1))
        self.membership.roster.accuse("me", own, ("flip1", "flip2"))
        assert_that(
            [self.wait(), self.membership.own.record.ineligible], equal_to([["alive a"], ()])
        )
        self.membership.become(in_touch=False, settled=False)
        assert_that(self.find_down(), equal_to(("ip",)))
        assert_that(self.journal.downs_since(600), equal_to(3))

    def test_news_after_a_stall(self) -> None:
        """What is heard before this node noticed that it had stood still is not late."""
        self.find_down()
        self.hold_own()
        own = self.membership.own.record.incarnation
        self.membership.roster.accuse("me", own, ("flip1",))
        self.membership.check_pulse = lambda: self.membership.become(  # type: ignore[method-assign]
            in_touch=False, settled=False
        )
        self.membership.roster.accuse("me", own, ("flip1", "flip2"))
        assert_that(self.membership.own.record.ineligible, equal_to(("ip",)))

    def test_late_news_at_once(self) -> None:
        """The same news, before it acts again, keep it out."""
        self.find_down()
        own = self.membership.own.record.incarnation
        self.membership.roster.accuse("me", own, ("flip1",))
        self.membership.roster.accuse("me", own, ("flip1", "flip2"))
        assert_that(self.membership.own.record.ineligible, equal_to(("ip",)))

    def test_rare(self) -> None:
        """Two times more than ten minutes apart are not."""
        self.find_down()
        self.clock.advance(601)
        assert_that(self.find_down(), empty())


class BehindTests(KeeperTestCase):
    """A node that is in touch and cannot settle must not be waited for."""

    def test_ineligible(self) -> None:
        """It says that it is ineligible until it has settled."""
        self.membership.become(in_touch=True, settled=False)
        self.clock.advance(2 * (self.config.ping_timeout + self.config.gossip_interval))
        assert_that(self.membership.own.record.ineligible, equal_to(("ip",)))
        self.act()
        assert_that(self.membership.own.record.ineligible, empty())


class ForsakingTests(KeeperTestCase):
    """An operator's last resort."""

    def test_releasing(self) -> None:
        """The claim goes, everybody hears of it, and it is told."""
        self.hold_own()
        self.keeper.systems["ip"].ending = True
        self.keeper.systems["ip"].mark_all()
        self.wait()
        self.hooks.fail("a")
        with capturedLogs() as logs:
            self.keeper.forsake("ip", "a")
        self.clock.advance(0)
        assert_that(self.claims(), empty())
        assert_that(formatEvent(logs[0]), contains_string("dropped by force"))
        assert_that(self.journal.events(1)[0].kind, equal_to("forsaken"))

    def test_leftover(self) -> None:
        """What is left from an older configuration goes, too."""
        self.build(left=(Held("gone", "x", Phase.HELD, ("/old/down",), "{}", ("x",)),))
        self.keeper.forsake("gone", "x")
        self.clock.advance(0)
        assert_that([self.claims("gone"), self.journal.held()], equal_to([{}, []]))

    def test_served(self) -> None:
        """What is served is not dropped; nor what was never claimed."""
        self.hold_own()
        refused = raises(CannotRelease, "is held by me, not being released")
        assert_that(calling(self.keeper.forsake).with_args("ip", "a"), refused)
        for name, datum in (("ip", "b"), ("ip", "?"), ("?", "a")):
            refused = raises(CannotRelease, "not claimed by me")
            assert_that(calling(self.keeper.forsake).with_args(name, datum), refused)


class SizeTests(KeeperTestCase):
    """A system of ten thousand data points."""

    def test_a_turn_over_everything(self) -> None:
        """It takes a fraction of a second: nothing in it grows with the square."""
        self.build(data=[f"d{number}" for number in range(10_000)])
        self.act()
        phases = dict.fromkeys(self.config.systems["ip"].data[1::3], Phase.HELD)
        began = time.process_time()
        self.others.say("flip1", {"ip": phases})
        self.clock.advance(0)
        self.others.accuse("flip1", "me", "flip2")
        self.clock.advance(0)
        assert_that(time.process_time() - began, less_than(2.0))
        assert_that(len(self.claims()), equal_to(5000))


class StopTests(KeeperTestCase):
    """After a stop nothing happens any more."""

    def test_no_timers(self) -> None:
        """Whatever was pending and whatever is heard."""
        self.hold_own()
        self.others.accuse("flip1", "me", "flip2")
        self.wait()
        self.hooks.fail("b")
        self.others.say("flip1", incarnation=2)
        self.membership.find_down()
        self.membership.find_down()
        self.membership.become(in_touch=False, settled=False)
        self.clock.advance(0)
        self.keeper.stop()
        self.others.accuse("flip2", "me", "flip1")
        self.membership.become(in_touch=True, settled=True)
        assert_that(self.clock.getDelayedCalls(), empty())
