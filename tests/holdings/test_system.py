"""Tests for `flip.holdings.system`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from hamcrest import (
    assert_that,
    contains_inanyorder,
    contains_string,
    empty,
    equal_to,
    has_length,
    less_than_or_equal_to,
)
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from flip.config import System
from flip.holdings.grants.permit import Free, Permit
from flip.holdings.journal import Held
from flip.holdings.outlook import Outlook
from flip.holdings.runner import HookCall, HookResult
from flip.holdings.system import SystemKeeper
from flip.wire.claims import Phase
from flip.wire.messages import Status
from tests.holdings.bed import HOOKS, Hooks, Others, config, open_journal, phases, roster_of, system
from tests.matchers import has_entries

LO0 = '{"interface": "lo0"}'
BRIEF = 0.5  # seconds until a hook that failed once is tried again


class SystemTestCase(SynchronousTestCase):
    """One system of the node "me", whose wanted data and hooks the test decides about.

    The other members are there and claim nothing, unless a test says otherwise.
    """

    found: ClassVar = HOOKS

    def setUp(self) -> None:
        self.clock = Clock()
        self.hooks = Hooks()
        self.acting = True
        self.may_give_up = True
        self.dropped: list[str] = []
        self.given_up: list[str] = []
        self.due = False
        self.permit: Permit = Free()
        self.build()

    def build(self, one: System | None = None, **settings: Any) -> None:
        """A keeper for a system with other settings."""
        self.config = config(one or system(**settings))
        self.roster = roster_of(self.config)
        self.outlook = Outlook(self.config, self.roster, lambda id: True)
        self.roster.subscribe(self.learn)
        self.others = Others(self.config, self.roster)
        self.journal = open_journal(Path(self.mktemp()), self.clock)
        self.addCleanup(self.journal.close)
        self.keeper = SystemKeeper(
            "me",
            self.config.systems["ip"],
            self.found,
            self.clock,
            self.outlook,
            self.journal,
            self.hooks,
            self.permit,
            acting=lambda: self.acting,
            in_touch=lambda: self.acting,
            due=self.ask,
            dropped=lambda _, datum: self.dropped.append(datum),
            gave_up=self.give_up,
        )
        for other in ("flip1", "flip2"):
            self.others.say(other)

    def ask(self) -> None:
        self.due = True

    def give_up(self, name: str) -> bool:
        self.given_up.append(name)
        return self.may_give_up

    def learn(self, change: Any) -> None:
        self.keeper.mark(datum for _, datum in self.outlook.learn(change))

    def settle(self) -> list[str]:
        """Take turns until nothing is due; returns the hooks that were started."""
        for _ in range(20):
            if not self.due:
                return self.hooks.news()
            self.due = False
            self.keeper.consider()
            before = len(self.hooks.started)
            claims = self.keeper.claims()
            self.keeper.run_hooks()
            for started in self.hooks.started[before:]:
                event, datum = started.split()
                if event == "alive":
                    assert claims.get(datum) in (Phase.TAKING, Phase.HELD), started
        raise AssertionError("the keeper never comes to rest")

    def want(self, *data: str, owner: str = "flip1") -> list[str]:
        """The topology gives these to this node and the rest to another."""
        owners = dict.fromkeys(self.config.systems["ip"].data, owner)
        self.keeper.plan(owners | dict.fromkeys(data, "me"), frozenset(data))
        return self.settle()

    def hold(self, *data: str) -> None:
        """Have these held."""
        self.want(*data)
        for datum in data:
            self.hooks.succeed(datum)
        self.settle()
        assert_that(self.claims(), has_entries(dict.fromkeys(data, "HELD")))

    def claims(self) -> dict[str, str]:
        return {datum: phase.name for datum, phase in self.keeper.claims().items()}

    def wait(self, seconds: float) -> list[str]:
        self.clock.advance(seconds)
        return self.settle()


class TakingTests(SystemTestCase):
    """From wanted to held."""

    def test_claim_comes_first(self) -> None:
        """The claim is there, and in the journal, before the hook starts."""
        self.keeper.plan({"a": "me"}, frozenset("a"))
        self.keeper.consider()
        assert_that([self.hooks.started, self.claims()], equal_to([[], {"a": "TAKING"}]))
        assert_that(phases(self.journal), equal_to({"a": "TAKING"}))
        self.keeper.run_hooks()
        assert_that(self.hooks.started, equal_to(["alive a"]))

    def test_held_after_success(self) -> None:
        """Only a hook that ended well makes it held."""
        self.want("a")
        assert_that(self.claims(), equal_to({"a": "TAKING"}))
        self.hooks.succeed("a")
        assert_that(self.claims(), equal_to({"a": "HELD"}))
        assert_that(phases(self.journal), equal_to({"a": "HELD"}))
        assert_that(self.settle(), empty())

    def test_call(self) -> None:
        """The hook is told everything it may need."""
        self.want("a")
        (call,) = self.hooks.calls
        told = (call.hook, call.event, call.system, call.datum, call.config, call.node)
        assert_that(told, equal_to((HOOKS["alive"], "alive", "ip", "a", LO0, "me")))
        assert_that(call.timeout, equal_to(10.0))

    def test_waits_for_a_holder(self) -> None:
        """What another member claims is taken when it was dropped, and not sooner."""
        self.others.say("flip1", {"ip": {"a": Phase.RELEASING}})
        assert_that([self.want("a"), self.claims()], equal_to([[], {}]))
        self.others.say("flip1")
        assert_that(self.settle(), equal_to(["alive a"]))

    def test_member_never_heard_of(self) -> None:
        """A member that may claim anything blocks everything, until it is down."""
        self.others.say("flip2", {"ip": {"b": Phase.HELD}}, hidden=True)
        assert_that(self.want("a"), empty())
        self.others.accuse("flip2", "me", "flip1")
        self.keeper.mark_all()
        assert_that(self.settle(), equal_to(["alive a"]))

    def test_out_of_touch(self) -> None:
        """Nothing is taken before this node may act."""
        self.acting = False
        assert_that([self.want("a"), self.claims()], equal_to([[], {}]))
        self.acting = True
        self.keeper.mark_all()
        assert_that(self.settle(), equal_to(["alive a"]))

    def test_concurrency_and_order(self) -> None:
        """At most `hook_concurrency` at once: alive, then down, then cleaning."""
        self.build(data="abcdef", hook_concurrency=2)
        self.keeper.remember([self.record("a"), self.record("b")], complete=True)
        started = self.want("c", "d")
        while self.hooks.running:
            assert_that(len(self.hooks.running), less_than_or_equal_to(2))
            self.hooks.succeed(next(iter(self.hooks.running))[1])
            started += self.settle()
        expected = ["alive c", "alive d", "down a", "down b", "down e", "down f"]
        assert_that(started, equal_to(expected))

    def record(self, datum: str) -> Held:
        return Held("ip", datum, Phase.HELD, ("/hooks/down",), LO0, (datum,))


class ReleasingTests(SystemTestCase):
    """From held to nothing."""

    def test_planned_handoff(self) -> None:
        """`down` runs, and only its end drops the claim, from the journal too."""
        self.hold("a", "b")
        assert_that(self.want("a"), equal_to(["down b"]))
        assert_that(self.claims(), equal_to({"a": "HELD", "b": "RELEASING"}))
        self.hooks.succeed("b")
        assert_that(self.claims(), equal_to({"a": "HELD"}))
        assert_that([self.dropped, phases(self.journal)], equal_to([["b"], {"a": "HELD"}]))

    def test_failing_down_keeps_the_claim(self) -> None:
        """A `down` that fails is tried again with growing pauses, and the claim stays."""
        self.hold("a")
        self.want()
        for pause in (0.5, 1, 2, 4, 8, 16, 30, 30):
            self.hooks.fail("a")
            assert_that(self.claims(), equal_to({"a": "RELEASING"}))
            assert_that(self.keeper.failures()["a"], contains_string("down: "))
            assert_that(self.wait(pause - 0.01), empty())
            assert_that(self.wait(0.02), equal_to(["down a"]))
        self.hooks.succeed("a")
        assert_that([self.claims(), self.keeper.failures()], equal_to([{}, {}]))

    def test_heir_not_ready(self) -> None:
        """What nobody can take yet is kept."""
        self.hold("a")
        self.roster.subscribe(lambda change: self.keeper.mark_all())
        self.others.say("flip1", status=Status.JOINING)
        assert_that(self.want(), empty())
        self.others.say("flip1", status=Status.ACTIVE)
        assert_that(self.settle(), equal_to(["down a"]))

    def test_ending(self) -> None:
        """A node that ends lets go of everything, out of touch or not, and takes nothing."""
        self.hold("a")
        self.acting, self.keeper.ending = False, True
        self.keeper.mark_all()
        assert_that(self.settle(), equal_to(["down a"]))
        self.hooks.succeed("a")
        self.acting = True
        assert_that([self.want("a", "b"), self.claims()], equal_to([[], {}]))


class LastWishTests(SystemTestCase):
    """Hooks of one data point never overlap; what was wished last comes true."""

    def test_unwanted_while_alive_runs(self) -> None:
        """`down` follows when `alive` has ended."""
        self.want("a")
        assert_that(self.want(), empty())
        self.hooks.succeed("a")
        assert_that(self.settle(), equal_to(["down a"]))

    def test_wanted_again_while_alive_runs(self) -> None:
        """Two changes of mind during one hook cost no hook at all."""
        self.want("a")
        self.want()
        self.want("a")
        self.hooks.succeed("a")
        assert_that([self.settle(), self.claims()], equal_to([[], {"a": "HELD"}]))

    def test_wanted_again_while_down_runs(self) -> None:
        """`alive` follows when `down` has ended."""
        self.hold("a")
        self.want()
        assert_that(self.want("a"), empty())
        self.hooks.succeed("a")
        assert_that(self.settle(), equal_to(["alive a"]))

    def test_wanted_again_after_down_failed(self) -> None:
        """What could not be released is made alive again at once."""
        self.hold("a")
        self.want()
        self.hooks.fail("a")
        assert_that(self.want("a"), equal_to(["alive a"]))

    def test_queued_hook_that_is_no_longer_needed(self) -> None:
        """A hook that waits for a slot is not run when the plan changed meanwhile."""
        self.build(hook_concurrency=1)
        self.want("a", "b")
        (waiting,) = {"a", "b"} - {datum for _, datum in self.hooks.running}
        (first,) = {"a", "b"} - {waiting}
        assert_that(self.want(first), empty())
        self.hooks.succeed(first)
        assert_that([self.settle(), self.claims()], equal_to([[], {first: "HELD"}]))


class FailureTests(SystemTestCase):
    """R3: a hook that fails."""

    def fail_often(self, times: int) -> None:
        self.want("a")
        for count in range(times):
            self.hooks.fail("a")
            self.settle()
            if count < times - 1:
                assert_that(self.wait(BRIEF * 2**count), equal_to(["alive a"]))

    def test_retried(self) -> None:
        """It is tried again after a pause, and shown meanwhile."""
        self.want("a")
        self.hooks.fail("a")
        reason = "alive: (exit status 1)"
        assert_that(self.keeper.failures(), equal_to({"a": reason}))
        assert_that(self.claims(), equal_to({"a": "TAKING"}))
        assert_that(self.wait(BRIEF), equal_to(["alive a"]))
        self.hooks.succeed("a")
        assert_that([self.claims(), self.keeper.failures()], equal_to([{"a": "HELD"}, {}]))

    def test_gives_up(self) -> None:
        """After three failures the keeper says so; the plan without this node makes it let go."""
        self.fail_often(3)
        assert_that(self.given_up, equal_to(["ip"]))
        assert_that(self.want(), equal_to(["down a"]))
        self.hooks.succeed("a")
        assert_that(self.claims(), empty())
        assert_that(self.keeper.failures(), has_entries(a=contains_string("alive: ")))

    def test_nobody_else(self) -> None:
        """Where nobody else can take it, it is tried on."""
        self.may_give_up = False
        self.fail_often(5)
        assert_that([self.given_up, self.claims()], equal_to([["ip"] * 3, {"a": "TAKING"}]))
        assert_that(self.wait(30), equal_to(["alive a"]))

    def test_given_up_until_it_works(self) -> None:
        """What was given up is shown until `alive` works here."""
        self.fail_often(3)
        self.want()
        self.hooks.succeed("a")
        self.settle()
        self.want("a")
        assert_that(self.keeper.failures(), has_length(1))
        self.hooks.succeed("a")
        assert_that(self.keeper.failures(), empty())

    def test_down_fails_after_giving_up(self) -> None:
        """A claim is dropped by a `down` that ended well, and by nothing else."""
        self.fail_often(3)
        self.want()
        self.hooks.fail("a")
        assert_that(self.claims(), equal_to({"a": "RELEASING"}))
        assert_that(self.keeper.failures(), has_entries(a=contains_string("down: ")))

    def test_retry(self) -> None:
        """`flip retry` does not wait, and counts from nought."""
        self.fail_often(3)
        self.keeper.retry()
        assert_that(self.settle(), equal_to(["alive a"]))
        self.hooks.fail("a")
        assert_that(self.given_up, equal_to(["ip"]))
        assert_that(self.wait(BRIEF), equal_to(["alive a"]))

    def test_retried_out_of_touch(self) -> None:
        """R1: a node that is cut off tries on what it began."""
        self.want("a")
        self.hooks.fail("a")
        self.acting = False
        assert_that(self.wait(BRIEF), equal_to(["alive a"]))
        self.hooks.succeed("a")
        assert_that(self.claims(), equal_to({"a": "HELD"}))

    def test_down_retried_out_of_touch(self) -> None:
        """R1: the same for letting go."""
        self.hold("a")
        self.want()
        self.hooks.fail("a")
        self.acting = False
        assert_that(self.wait(BRIEF), equal_to(["down a"]))

    def test_bug_in_a_runner(self) -> None:
        """An error that no runner may have leaves no data point stuck."""
        self.want("a")
        self.hooks.running.pop(("ip", "a")).errback(ZeroDivisionError("what"))
        assert_that(self.flushLoggedErrors(ZeroDivisionError), has_length(1))
        assert_that(self.wait(BRIEF), equal_to(["alive a"]))

    def test_runner_that_raises(self) -> None:
        """Nor does one that comes at once."""
        broken = self.patch(self.hooks, "run", self.explode)
        self.want("a")
        assert_that(self.flushLoggedErrors(ZeroDivisionError), has_length(1))
        broken.restore()
        assert_that(self.wait(BRIEF), equal_to(["alive a"]))

    def explode(self, call: HookCall) -> Deferred[HookResult]:
        raise ZeroDivisionError("what")


class AnnouncingTests(SystemTestCase):
    """R6: the last word to the neighbours."""

    def test_held(self) -> None:
        """`alive` runs again, under the same claim."""
        self.hold("a")
        self.keeper.announce("ab")
        assert_that([self.settle(), self.claims()], equal_to([["alive a"], {"a": "HELD"}]))
        self.hooks.succeed("a")
        assert_that(self.settle(), empty())

    def test_while_alive_runs(self) -> None:
        """What a running `alive` may have said too early is said again."""
        self.want("a")
        self.keeper.announce("a")
        self.hooks.succeed("a")
        assert_that(self.settle(), equal_to(["alive a"]))

    def test_many_times(self) -> None:
        """Many reasons while it waits are one announcement."""
        self.hold("a")
        for _ in range(3):
            self.keeper.announce("a")
        assert_that(self.settle(), equal_to(["alive a"]))
        self.hooks.succeed("a")
        assert_that(self.settle(), empty())

    def test_not_while_down_runs(self) -> None:
        """What goes is not announced."""
        self.hold("a")
        self.want()
        self.keeper.announce("a")
        self.hooks.succeed("a")
        assert_that(self.settle(), empty())

    def test_not_what_goes(self) -> None:
        """What is held and has to go is let go and not announced first."""
        self.hold("a")
        self.keeper.announce("a")
        assert_that(self.want(), equal_to(["down a"]))
        self.hooks.succeed("a")
        assert_that(self.settle(), empty())

    def test_later(self) -> None:
        """Out of touch it waits until this node may act again."""
        self.hold("a")
        self.acting = False
        self.keeper.announce("a")
        assert_that(self.settle(), empty())
        self.acting = True
        self.keeper.mark_all()
        assert_that(self.settle(), equal_to(["alive a"]))

    def test_failing(self) -> None:
        """One that fails is tried again, also out of touch; the claim stays."""
        self.hold("a")
        self.keeper.announce("a")
        self.settle()
        self.hooks.fail("a")
        self.acting = False
        assert_that([self.wait(BRIEF), self.claims()], equal_to([["alive a"], {"a": "HELD"}]))


class LeftBehindTests(SystemTestCase):
    """R4: what an earlier life left behind."""

    def record(self, datum: str, config: str = LO0) -> Held:
        return Held("ip", datum, Phase.HELD, ("/old/down",), config, (datum,))

    def test_kept(self) -> None:
        """What was held and is wanted is claimed at once, and made alive again when it may be."""
        self.build(remove_on_start=False)
        self.acting = False
        self.keeper.remember([self.record("a")], complete=True)
        assert_that(self.claims(), equal_to({"a": "UNSURE"}))
        assert_that(self.want("a"), empty())
        self.acting = True
        self.keeper.mark_all()
        assert_that([self.settle(), self.claims()], equal_to([["alive a"], {"a": "TAKING"}]))

    def test_not_wanted(self) -> None:
        """What was held and is another's now is released with the present hook."""
        self.keeper.remember([self.record("a")], complete=True)
        self.want("b")
        assert_that(self.hooks.calls[-1].hook, equal_to(HOOKS["down"]))
        assert_that(self.claims(), equal_to({"a": "RELEASING", "b": "TAKING"}))

    def test_loses_against_a_holder(self) -> None:
        """What somebody else holds by now is let go, although it is wanted."""
        self.keeper.remember([self.record("a")], complete=True)
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        assert_that(self.want("a"), contains_inanyorder("down a", "down b"))
        self.hooks.succeed("a")
        assert_that([self.settle(), self.claims()], equal_to([[], {}]))

    def test_kept_and_then_not(self) -> None:
        """What was to be kept and is another's before `alive` started needs its `down` still."""
        self.build(hook_concurrency=1, remove_on_start=False)
        self.keeper.remember([self.record("a"), self.record("b")], complete=True)
        assert_that(self.want("a", "b"), equal_to(["alive a"]))
        assert_that(self.want("a"), empty())
        assert_that(self.claims()["b"], equal_to("RELEASING"))
        self.hooks.succeed("a")
        assert_that(self.settle(), equal_to(["down b"]))

    def test_another_hook_configuration(self) -> None:
        """What was made with another hook configuration is removed with that one first."""
        self.keeper.remember([self.record("a", '{"interface": "eth0"}')], complete=True)
        assert_that(self.want("a", "b"), contains_inanyorder("down a", "alive b"))
        (call,) = (call for call in self.hooks.calls if call.datum == "a")
        assert_that(
            [call.hook.argv, call.config], equal_to([("/old/down",), '{"interface": "eth0"}'])
        )
        (held,) = (held for held in self.journal.held() if held.datum == "a")
        assert_that(held.config, equal_to('{"interface": "eth0"}'))
        self.hooks.succeed("a")
        assert_that(self.settle(), equal_to(["alive a"]))
        assert_that(self.hooks.calls[-1].config, equal_to(LO0))

    def test_cleaning(self) -> None:
        """What was never claimed is cleaned once: `down` without a claim."""
        self.keeper.remember([], complete=True)
        assert_that([self.want(), self.claims()], equal_to([["down a", "down b"], {}]))
        self.hooks.succeed("a")
        self.hooks.succeed("b")
        self.keeper.mark_all()
        assert_that(self.settle(), empty())

    def test_cleaning_fails(self) -> None:
        """What cannot be cleaned is given up after three tries."""
        self.keeper.remember([], complete=True)
        self.want("b")
        for pause in (0.5, 1.0):
            self.hooks.fail("a")
            assert_that(self.wait(pause), equal_to(["down a"]))
        self.hooks.fail("a")
        assert_that(self.wait(60), empty())

    def test_wanted_while_it_is_cleaned(self) -> None:
        """`alive` follows the cleaning that runs."""
        self.keeper.remember([], complete=True)
        self.want("b")
        assert_that(self.want("a", "b"), empty())
        self.hooks.succeed("a")
        assert_that(self.settle(), equal_to(["alive a"]))

    def test_no_cleaning(self) -> None:
        """Without `remove_on_start` only what the journal names is touched."""
        self.build(remove_on_start=False)
        self.keeper.remember([self.record("a")], complete=True)
        assert_that(self.want(), equal_to(["down a"]))

    def test_journal_missing(self) -> None:
        """Without a journal all of it may be there: claimed until it was cleaned."""
        self.keeper.remember([], complete=False)
        assert_that(self.claims(), equal_to({"a": "UNSURE", "b": "UNSURE"}))
        assert_that(self.want("b"), contains_inanyorder("alive b", "down a"))
        self.hooks.succeed("a")
        assert_that(self.claims(), equal_to({"b": "TAKING"}))

    def test_journal_missing_and_no_cleaning(self) -> None:
        """Without a journal nobody knows what is left: only a `down` makes it sure."""
        self.build(remove_on_start=False)
        self.keeper.remember([], complete=False)
        assert_that(self.want("b"), equal_to(["alive b", "down a"]))
        assert_that(self.claims(), equal_to({"a": "RELEASING", "b": "TAKING"}))


class ReplicateTests(SystemTestCase):
    """A topology in which each server stands alone."""

    def setUp(self) -> None:
        super().setUp()
        self.build(type="replicate")

    def want_all(self) -> list[str]:
        self.keeper.plan({}, frozenset("ab"))
        return self.settle()

    def test_others_do_not_matter(self) -> None:
        """What others claim, or may claim, keeps nobody from holding it too."""
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.others.say("flip2", {"ip": {"a": Phase.HELD}}, hidden=True)
        assert_that(self.want_all(), equal_to(["alive a", "alive b"]))

    def test_kept(self) -> None:
        """What was held before is made alive again, whoever has it."""
        self.keeper.remember([Held("ip", "a", Phase.HELD, ("x",), LO0, ("a",))], complete=True)
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        assert_that(self.want_all(), contains_inanyorder("alive a", "alive b"))


class ForsakingTests(SystemTestCase):
    """An operator drops a claim whose `down` never ends well."""

    def setUp(self) -> None:
        super().setUp()
        self.hold("a")
        self.want()

    def test_between_two_tries(self) -> None:
        """The claim goes, and with it the timer of the next try."""
        self.hooks.fail("a")
        self.keeper.forsake("a")
        assert_that([self.claims(), phases(self.journal)], equal_to([{}, {}]))
        assert_that(self.dropped, equal_to(["a"]))
        assert_that([self.wait(60), self.clock.getDelayedCalls()], equal_to([[], []]))

    def test_while_down_runs(self) -> None:
        """The claim goes at once; nothing else is run for it before that hook has ended."""
        self.keeper.forsake("a")
        assert_that([self.claims(), self.dropped], equal_to([{}, ["a"]]))
        assert_that(self.want("a"), empty())
        self.hooks.fail("a")
        assert_that(self.settle(), equal_to(["alive a"]))

    def test_down_ends_well_after_all(self) -> None:
        """A result that comes too late changes nothing."""
        self.keeper.forsake("a")
        self.hooks.succeed("a")
        assert_that([self.settle(), self.claims()], equal_to([[], {}]))


class StopTests(SystemTestCase):
    """A keeper that was stopped does nothing more."""

    def test_nothing_follows(self) -> None:
        """Hooks that run may end; none follows, and no timer is left."""
        self.build(data="abc", hook_concurrency=2)
        self.want("a", "b", "c")
        self.hooks.news()
        self.keeper.stop()
        first, second = (datum for _, datum in list(self.hooks.running))
        self.hooks.fail(first)
        self.hooks.succeed(second)
        assert_that([self.hooks.news(), self.clock.getDelayedCalls()], equal_to([[], []]))

    def test_waiting_retries(self) -> None:
        """The next tries of failed hooks are cancelled."""
        self.want("a")
        self.hooks.fail("a")
        self.keeper.stop()
        assert_that(self.clock.getDelayedCalls(), empty())


class SizeTests(SystemTestCase):
    """Many data points."""

    def test_one_line_for_many(self) -> None:
        """Thousands of hooks are a line when the last has ended, not a line each."""
        self.build(data=[str(number) for number in range(2000)])
        with capturedLogs() as logs:
            self.want(*self.config.systems["ip"].data)
            while self.hooks.running:
                self.hooks.succeed(next(iter(self.hooks.running))[1])
        assert_that(logs, has_length(1))
        assert_that(logs[0]["results"], equal_to("alive done for 2000 data points"))
        assert_that(set(self.claims().values()), equal_to({"HELD"}))
