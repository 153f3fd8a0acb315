"""Tests for `flip.holdings.verification`, in a whole keeper: the node "me" of three."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, has_length
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from flip.holdings.hooks import Hook
from flip.holdings.journal import Held
from flip.holdings.verification import CONCURRENCY
from flip.wire.claims import Phase
from tests.holdings.bed import config, system
from tests.holdings.case import KeeperTestCase

EVERY = 30.0


def held(datum: str) -> Held:
    """What the journal names, of the present configuration."""
    return Held("ip", datum, Phase.HELD, ("/hooks/down",), '{"interface": "lo0"}', (datum,))


class VerificationCase(KeeperTestCase):
    """The system "ip" has a hook that looks, every `EVERY` seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.build_with()

    def build_with(self, **settings: Any) -> None:
        described: dict[str, Any] = {"verify": "verify", "check_interval": EVERY} | settings
        self.build(**described)

    def look(self) -> list[str]:
        """The time of the next look comes."""
        return self.wait(EVERY)

    def events(self) -> list[str]:
        return [event.text for event in self.journal.events(50) if event.kind == "drift"]


class HeldTests(VerificationCase):
    """What is held."""

    def test_here(self) -> None:
        """What is here is looked at again and again, and nothing follows."""
        self.hold_own()
        for _ in range(3):
            assert_that(self.look(), equal_to(["check a"]))
            self.hooks.succeed("a")
            assert_that(self.wait(1), empty())
        assert_that([self.claims(), self.events()], equal_to([{"a": "HELD"}, []]))

    def test_drift(self) -> None:
        """What is not here is made live again, and that is told."""
        self.hold_own()
        self.look()
        with capturedLogs() as logs:
            self.hooks.fail("a")
        assert_that(self.wait(), equal_to(["alive a"]))
        self.succeed_all()
        assert_that(self.claims(), equal_to({"a": "HELD"}))
        assert_that(self.events(), has_length(1))
        assert_that(self.events()[0], contains_string("a is not here"))
        assert_that(logs, has_length(1))

    def test_only_what_is_held(self) -> None:
        """What is not this node's is nobody's business here."""
        assert_that(self.look(), empty())

    def test_out_of_touch(self) -> None:
        """Without a quorum nothing is made live again (R1), but as soon as there is one."""
        self.hold_own()
        self.look()
        self.membership.become(in_touch=False, settled=False)
        self.hooks.fail("a")
        assert_that([self.wait(1), len(self.events())], equal_to([[], 1]))
        self.act()
        assert_that(self.hooks.news(), equal_to(["alive a"]))

    def test_slow(self) -> None:
        """A round that lasts is not joined by another."""
        self.hold_own()
        assert_that(self.look(), equal_to(["check a"]))
        assert_that(self.look(), empty())
        self.hooks.succeed("a")
        assert_that(self.look(), equal_to(["check a"]))

    def test_stop(self) -> None:
        """When the node stops a look is ended, and that is no drift."""
        self.hold_own()
        self.look()
        self.keeper.stop()
        assert_that(self.events(), empty())
        assert_that(self.clock.getDelayedCalls(), empty())

    def test_no_hook(self) -> None:
        """Without a hook nobody looks."""
        self.build()
        self.hold_own()
        assert_that(self.look(), empty())


class InTheWayTests(VerificationCase):
    """A look does not stand in the way of anything."""

    def setUp(self) -> None:
        super().setUp()
        self.hold_own()
        assert_that(self.look(), equal_to(["check a"]))

    def test_release(self) -> None:
        """What has to be let go of is let go of at once."""
        self.keeper.failback.drain(("ip",))
        assert_that(self.wait(0.06), equal_to(["down a"]))
        assert_that(self.events(), empty())

    def test_announcement(self) -> None:
        """The last word waits for the end of the look: it is no change."""
        self.keeper.systems["ip"].announce(("a",))
        assert_that(self.wait(), empty())
        self.hooks.succeed("a")
        assert_that(self.wait(), equal_to(["alive a"]))

    def test_nothing_to_do(self) -> None:
        """Whatever else happens, it goes on."""
        self.others.say("flip1", incarnation=2)
        self.wait(1)
        assert_that(self.hooks.running, has_length(1))


class ManyTests(VerificationCase):
    """Many data points."""

    def setUp(self) -> None:
        self.clock = Clock()
        data = tuple(f"d{n:02}" for n in range(60))
        one = system(data=data, verify="verify", check_interval=EVERY, remove_on_start=False)
        self.build(config(one, servers={"me": ["ip"]}, quorum=1))
        self.act()
        self.succeed_all()
        self.hooks.news()

    def test_concurrency(self) -> None:
        """Only a few are looked at at once, all one after the other."""
        assert_that(self.look(), has_length(CONCURRENCY))
        while self.hooks.running:
            assert_that(len(self.hooks.running) <= CONCURRENCY, equal_to(True))
            self.hooks.succeed(next(datum for _, datum in self.hooks.running))
        assert_that(self.hooks.news(), has_length(60 - CONCURRENCY))

    def test_reports(self) -> None:
        """An interface that is gone is one story, not one for each of its addresses."""
        self.look()
        while any(name.startswith("check") for name in self.hooks.started) or self.hooks.running:
            self.hooks.started.clear()
            for name, datum in list(self.hooks.running):
                if self.keeper.systems[name].holdings[datum].running == "check":
                    self.hooks.fail(datum)
            if not any(
                holding.running == "check"
                for holding in self.keeper.systems["ip"].holdings.values()
            ):
                break
        assert_that(self.events(), has_length(21))
        assert_that(self.events()[-1], contains_string("60 data points were not here"))


class KeptTests(VerificationCase):
    """What an earlier life of the node left, and is to stay."""

    def start(self, **settings: Any) -> None:
        self.build_with(left=(held("a"),), **settings)
        self.act()

    def test_here(self) -> None:
        """What is here still need not be made live again."""
        self.start()
        assert_that(self.hooks.news(), equal_to(["check a"]))
        self.hooks.succeed("a")
        assert_that(self.wait(1), empty())
        assert_that(self.claims(), equal_to({"a": "HELD"}))

    def test_gone(self) -> None:
        """After a reboot it is not here."""
        self.start()
        self.hooks.fail("a")
        self.hooks.news()
        assert_that(self.wait(), equal_to(["alive a"]))
        self.succeed_all()
        assert_that(self.claims(), equal_to({"a": "HELD"}))

    def test_journal_missing(self) -> None:
        """What nobody knows of was hardly here: it is made live, and nothing has drifted."""
        self.build_with(clean=False)
        self.act()
        assert_that(self.hooks.news()[0], equal_to("alive a"))

    def test_not_kept(self) -> None:
        """What is not to stay is let go of, wherever it is."""
        self.build_with(left=(held("b"),))
        self.others.say("flip1", {"ip": {"b": Phase.HELD}}, digest=self.config.digest)
        self.act()
        assert_that(self.hooks.news(), equal_to(["alive a", "down b"]))

    def test_provided(self) -> None:
        """What flip provides itself has to be told, for it is to look after it."""
        self.patch(
            self,
            "hooks_of",
            lambda name: dict.fromkeys(("alive", "down", "verify"), Hook("address", ())),
        )
        self.start()
        assert_that(self.hooks.news(), equal_to(["alive a"]))
