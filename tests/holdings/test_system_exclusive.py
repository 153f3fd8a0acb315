"""Tests for what `flip.holdings.system` and `attempts` make of a permit."""

from __future__ import annotations

from typing import ClassVar

from hamcrest import assert_that, contains_inanyorder, empty, equal_to, has_length

from flip.errors import HookFailed
from flip.holdings.call import Hook, HookCall
from flip.wire.claims import Phase
from tests.holdings.bed import HOOKS
from tests.holdings.test_system import SystemTestCase


class FakePermit:
    """A permit that the test gives and takes; it remembers what it is told, in order."""

    def __init__(self) -> None:
        self.given: set[str] = set()
        self.begun: dict[str, HookCall] = {}
        self.told: list[str] = []

    def permitted(self, datum: str) -> bool:
        return datum in self.given

    def lapsed(self, datum: str) -> bool:
        return datum in self.begun and datum not in self.given

    def pursue(self, datum: str) -> None:
        self.told.append(f"pursue {datum}")

    def begin(self, datum: str, down: HookCall) -> None:
        assert datum in self.given
        self.begun[datum] = down
        self.told.append(f"begin {datum}")

    def kill(self, datum: str) -> None:
        self.told.append(f"kill {datum}")

    def relinquish(self, datum: str) -> None:
        self.begun.pop(datum, None)
        self.told.append(f"relinquish {datum}")

    def news(self) -> list[str]:
        told, self.told = self.told, []
        return told


class PermitTestCase(SystemTestCase):
    """A system that needs a permit."""

    def setUp(self) -> None:
        super().setUp()
        self.permit = self.given = FakePermit()
        self.build(exclusive=True, hook_timeout=1.0)

    def give(self, *data: str) -> list[str]:
        """The right comes; returns the hooks that were started."""
        self.given.given.update(data)
        self.keeper.mark(data)
        return self.settle()

    def take(self, *data: str) -> list[str]:
        """The right goes."""
        self.given.given.difference_update(data)
        self.keeper.mark(data)
        return self.settle()

    def hold(self, *data: str) -> None:
        """This node serves these."""
        self.want(*data)
        self.give(*data)
        for datum in data:
            self.hooks.succeed(datum)
        self.settle()
        self.given.news()


class TakeTests(PermitTestCase):
    """Claim, ask, and only then `alive`."""

    def test_asks_first(self) -> None:
        """What is wanted is claimed and asked for; no hook runs before the right is there."""
        assert_that(self.want("a"), empty())
        assert_that(self.keeper.claims(), equal_to({"a": Phase.TAKING}))
        assert_that(self.given.news(), equal_to(["pursue a"]))
        assert_that(self.give("a"), equal_to(["alive a"]))

    def test_begun_before_the_hook(self) -> None:
        """Whoever watches over the right knows the `down` hook before `alive` starts."""
        self.want("a")
        self.given.news()
        self.give("a")
        assert_that(self.given.news(), equal_to(["begin a"]))
        down = self.given.begun["a"]
        assert_that([down.event, down.datum, down.timeout], equal_to(["down", "a", 1.0]))
        assert_that(down.hook.name, equal_to("down"))

    def test_nothing_is_asked_while_another_serves(self) -> None:
        """The voters are not bothered while a member has it that can be heard."""
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.want("a")
        assert_that(self.given.news(), empty())
        self.others.say("flip1")
        self.settle()
        assert_that(self.given.news(), equal_to(["pursue a"]))

    def test_withdrawn(self) -> None:
        """What is not wanted any more before the right came is given back without a hook."""
        self.want("a")
        assert_that(self.want(), empty())
        assert_that(self.given.news(), equal_to(["pursue a", "relinquish a"]))
        assert_that([self.keeper.claims(), self.dropped], equal_to([{}, ["a"]]))

    def test_lost_before_its_turn(self) -> None:
        """A right that is gone when a slot is free starts nothing."""
        self.build(data="abcde", exclusive=True, hook_concurrency=1)
        self.want("a", "b")
        assert_that(self.give("a", "b"), equal_to(["alive a"]))
        self.given.given.discard("b")
        self.hooks.succeed("a")
        assert_that(self.settle(), empty())
        assert_that(self.give("b"), equal_to(["alive b"]))


class LapseTests(PermitTestCase):
    """The right ends: whatever else, `down`."""

    def test_held(self) -> None:
        """What is held goes, also when this node may not act, and is asked for again."""
        self.hold("a")
        self.acting = False
        assert_that(self.take("a"), equal_to(["down a"]))
        self.acting = True
        self.hooks.succeed("a")
        self.settle()
        assert_that(self.given.news(), equal_to(["relinquish a", "pursue a"]))

    def test_all_at_once(self) -> None:
        """However many hooks may run at once otherwise."""
        self.build(data="abcdef", exclusive=True, hook_concurrency=1)
        self.want(*"abcdef")
        self.give(*"abcdef")
        while self.hooks.running:
            self.hooks.succeed(next(iter(self.hooks.running))[1])
            self.settle()
        assert_that(
            self.take(*"abcdef"), contains_inanyorder(*(f"down {datum}" for datum in "abcdef"))
        )

    def test_running_alive(self) -> None:
        """An `alive` that runs is killed, and `down` follows at once, without a pause."""
        self.want("a")
        self.give("a")
        assert_that(self.take("a"), empty())
        assert_that(self.given.news()[-1], equal_to("kill a"))
        self.hooks.fail("a")
        assert_that(self.settle(), equal_to(["down a"]))

    def test_killed_alive_is_no_failure(self) -> None:
        """This node does not give up because of hooks that it has killed itself."""
        self.build(exclusive=True, alive_attempts=1)
        self.want("a")
        self.give("a")
        self.take("a")
        self.hooks.fail("a")
        self.settle()
        assert_that([self.given_up, self.keeper.given_up], equal_to([[], {}]))

    def test_failing_alive_is_one(self) -> None:
        """Because of those that fail by themselves it does."""
        self.build(exclusive=True, alive_attempts=1)
        self.want("a")
        self.give("a")
        self.hooks.fail("a")
        self.settle()
        assert_that(self.given_up, equal_to(["ip"]))

    def test_announcement(self) -> None:
        """`alive` is not run again without the right."""
        self.hold("a")
        self.given.given.clear()
        self.keeper.announce(("a",))
        assert_that(self.settle(), equal_to(["down a"]))

    def test_failing_down(self) -> None:
        """While `down` fails nothing is given back, and the claim stays."""
        self.hold("a")
        self.take("a")
        self.hooks.fail("a")
        self.settle()
        assert_that(self.given.news(), empty())
        assert_that(self.keeper.claims(), equal_to({"a": Phase.RELEASING}))

    def test_back_before_down_ended_well(self) -> None:
        """When the right comes back meanwhile, what failed to go is served again."""
        self.hold("a")
        self.take("a")
        self.hooks.fail("a")
        self.settle()
        assert_that(self.give("a"), equal_to(["alive a"]))

    def test_planned_release(self) -> None:
        """A planned move gives the right back when `down` has ended well."""
        self.hold("a")
        assert_that(self.want(), equal_to(["down a"]))
        assert_that(self.given.news(), empty())
        self.hooks.succeed("a")
        assert_that(self.given.news(), equal_to(["relinquish a"]))

    def test_forsaken(self) -> None:
        """An operator who drops the claim gives the right back."""
        self.hold("a")
        self.take("a")
        self.hooks.fail("a")
        self.settle()
        self.keeper.forsake("a")
        assert_that(self.given.news(), equal_to(["relinquish a"]))


class StartTests(PermitTestCase):
    """R4, stricter: an earlier life's grants count for nothing."""

    def test_everything_goes_first(self) -> None:
        """At the start `down` runs for every data point, before this node may act."""
        self.acting = False
        self.keeper.remember((), complete=True)
        self.keeper.mark_all()
        assert_that(self.settle(), contains_inanyorder("down a", "down b"))
        self.hooks.succeed("a")
        assert_that(self.given.news(), equal_to(["relinquish a"]))

    def test_whatever_the_settings_say(self) -> None:
        """Also where a clean journal names nothing, and remove_on_start is off."""
        self.build(exclusive=True, remove_on_start=False)
        self.keeper.remember((), complete=True)
        self.keeper.mark_all()
        assert_that(self.settle(), has_length(2))

    def test_failing(self) -> None:
        """What does not go stays claimed, and its grants are not given back."""
        self.keeper.remember((), complete=True)
        self.keeper.mark_all()
        self.settle()
        for _ in range(5):
            self.hooks.running.pop(("ip", "a")).errback(HookFailed("(exit status 1)"))
            self.settle()
            self.clock.advance(30)
            self.settle()
        assert_that(self.given.news(), empty())
        assert_that(self.keeper.claims()["a"], equal_to(Phase.RELEASING))


class LookTests(PermitTestCase):
    """A look at what is held never extends the right to it."""

    found: ClassVar = HOOKS | {"verify": Hook("verify", ("/hooks/verify",))}

    def setUp(self) -> None:
        super().setUp()
        self.build(exclusive=True, hook_timeout=1.0, verify="verify", check_interval=30.0)
        self.keeper.remember((), complete=True)
        self.clock.advance(0)
        self.addCleanup(self.keeper.stop)
        self.keeper.mark_all()
        self.settle()
        for _, datum in list(self.hooks.running):
            self.hooks.succeed(datum)
        self.settle()
        self.hold("a")

    def test_lapses_meanwhile(self) -> None:
        """When the right goes `down` runs at once, and the look is ended."""
        self.clock.advance(30)
        assert_that(self.hooks.news(), equal_to(["check a"]))
        assert_that(self.take("a"), equal_to(["down a"]))

    def test_gone(self) -> None:
        """To make it live again takes the right, as ever."""
        self.clock.advance(30)
        self.given.given.clear()
        self.hooks.news()
        self.hooks.fail("a")
        assert_that(self.settle(), equal_to(["down a"]))

    def test_nothing_is_kept(self) -> None:
        """What an earlier life left is let go of first, whatever a look would say."""
        self.given.given.clear()
        self.build(exclusive=True, hook_timeout=1.0, verify="verify")
        self.keeper.remember((), complete=True)
        self.addCleanup(self.keeper.stop)
        self.keeper.plan({}, frozenset("ab"))
        assert_that(self.settle(), contains_inanyorder("down a", "down b"))
