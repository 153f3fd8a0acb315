"""Tests for `flip.holdings.failback`, in a whole keeper: the node "me" of three."""

from __future__ import annotations

import math
from pathlib import Path

from hamcrest import assert_that, contains_string, empty, equal_to, has_key
from twisted.internet.task import Clock

from flip.holdings.failback import DRAINED, RETURNED
from flip.holdings.journal import Held
from flip.wire.claims import Phase
from flip.wire.messages import Status
from flip.wire.standing import Standing, standing
from tests.holdings.bed import open_journal
from tests.holdings.case import KeeperTestCase

UNFIT = "its check fails"
EVENLY = {"a": "me", "b": "flip1", "c": "flip2"}


class FailbackCase(KeeperTestCase):
    """What the node says of itself."""

    def word(self) -> Standing:
        """What everybody hears."""
        return standing(self.membership.own.record, "ip")

    def reasons(self) -> str:
        return self.keeper.fitness.reasons("ip") or ""

    def fall_ill(self) -> None:
        """Its check fails, and the others take over."""
        self.keeper.fitness.exclude(UNFIT, None, ("ip",))
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.wait()
        self.succeed_all()

    def recover(self) -> None:
        self.keeper.fitness.admit(UNFIT)
        self.wait()

    def events(self) -> list[str]:
        return [event.kind for event in self.journal.events(20)]


class ManualTests(FailbackCase):
    """ "failback": "manual"."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.build(failback=math.inf)

    def test_unfit(self) -> None:
        """What others serve by now does not come back, until somebody says so."""
        self.hold_own()
        self.fall_ill()
        self.recover()
        assert_that([self.word(), self.reasons()], equal_to([Standing.RETURNED, RETURNED]))
        assert_that(self.events()[-1], equal_to("returned"))
        self.keeper.failback.undrain(("ip",))
        assert_that([self.word(), self.reasons()], equal_to([Standing.FIT, ""]))

    def test_never_fit_in_between(self) -> None:
        """No record says that it is fit before the one that says that it was away."""
        self.hold_own()
        self.fall_ill()
        said = []
        self.membership.roster.subscribe(
            lambda change: (
                said.append(standing(change.record, "ip")) if change.member == "me" else None
            )
        )
        self.recover()
        assert_that(set(said), equal_to({Standing.RETURNED}))

    def test_nobody_else(self) -> None:
        """While nobody else serves there is nothing that could move back."""
        self.hold_own()
        self.keeper.fitness.exclude(UNFIT, None, ("ip",))
        for other in ("flip1", "flip2"):
            self.others.say(other, ineligible=("ip",), standing=Standing.UNFIT)
        self.recover()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_voted_down(self) -> None:
        """To be voted down is to be away."""
        self.hold_own()
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.membership.find_down()
        assert_that(self.word(), equal_to(Standing.RETURNED))

    def test_keepers_gone(self) -> None:
        """When those who kept it out are gone it serves again, and stays."""
        self.hold_own()
        self.fall_ill()
        self.recover()
        self.others.say("flip2", {"ip": {"c": Phase.HELD}})
        self.others.accuse("flip1", "me", "flip2", incarnation=1)
        self.wait()
        assert_that([self.word(), self.events()[-1]], equal_to([Standing.FIT, "undrained"]))
        self.others.say("flip1", incarnation=2)
        self.wait()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_flap_while_away(self) -> None:
        """To become unfit and fit once more changes nothing."""
        self.hold_own()
        self.fall_ill()
        for _ in range(2):
            self.recover()
            assert_that(self.word(), equal_to(Standing.RETURNED))
            self.fall_ill()
            assert_that(self.word(), equal_to(Standing.UNFIT))

    def test_third_node(self) -> None:
        """Another server's change moves nothing back either."""
        self.hold_own()
        self.fall_ill()
        self.recover()
        self.others.say("flip2", status=Status.LEAVING)
        self.clock.advance(1)
        assert_that(self.keeper.systems["ip"].wanted, empty())
        self.others.say("flip2")
        self.clock.advance(1)
        assert_that(self.keeper.systems["ip"].wanted, empty())


class StartTests(FailbackCase):
    """A node that starts was away, if there was anybody to miss it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.build(failback=math.inf)

    def test_cold(self) -> None:
        """Whoever serves nothing, or started at the same time, keeps nobody out."""
        self.act()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_returned(self) -> None:
        """Others acted before it came, and serve: nothing moves to it."""
        self.others.say("flip1", {"ip": {"a": Phase.HELD, "b": Phase.HELD}})
        self.act()
        assert_that(self.word(), equal_to(Standing.RETURNED))
        assert_that(self.keeper.systems["ip"].wanted, empty())

    def test_together(self) -> None:
        """Somebody who was heard of before he acted started with this node."""
        self.build(failback=math.inf, hear=Status.JOINING)
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.act()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_out_of_touch(self) -> None:
        """Who serves when it is first heard of acted before, though it is out of touch now."""
        self.build(failback=math.inf, hear=None)
        self.others.say("flip1", {"ip": {"b": Phase.HELD}}, status=Status.JOINING)
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.act()
        assert_that(self.word(), equal_to(Standing.RETURNED))

    def test_unsure(self) -> None:
        """Who only may have something, from an earlier life, starts with this node."""
        self.build(failback=math.inf, hear=None)
        self.others.say("flip1", {"ip": {"b": Phase.UNSURE}}, status=Status.JOINING)
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.act()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_settles_again(self) -> None:
        """To settle once more is not to start."""
        self.act()
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.membership.become(in_touch=False, settled=False)
        self.act()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_checked_early(self) -> None:
        """Nor does one that ends well before this node has heard everybody out."""
        self.build(failback=math.inf, hear=Status.JOINING)
        self.keeper.fitness.exclude("unknown", None, ("ip",), Standing.UNKNOWN)
        self.keeper.fitness.admit("unknown")
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.act()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_checked_late(self) -> None:
        """A check that ends well after the others began to serve makes no difference."""
        self.build(failback=math.inf, hear=Status.JOINING)
        self.keeper.fitness.exclude("unknown", None, ("ip",), Standing.UNKNOWN)
        self.act()
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.keeper.fitness.admit("unknown")
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_unfit_from_the_start(self) -> None:
        """What is repaired after the others began to serve was away."""
        self.build(failback=math.inf, hear=Status.JOINING)
        self.keeper.fitness.exclude(UNFIT, None, ("ip",))
        self.act()
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.recover()
        assert_that(self.word(), equal_to(Standing.RETURNED))


class UnknownTests(FailbackCase):
    """A node whose health check has not ended yet."""

    def setUp(self) -> None:
        self.clock = Clock()
        left = Held("ip", "a", Phase.HELD, ("/hooks/down",), '{"interface": "lo0"}', ("a",))
        self.build(left=(left,))
        self.keeper.fitness.exclude("unknown", None, ("ip",), Standing.UNKNOWN)

    def test_rests(self) -> None:
        """It neither takes nor lets go of anything, not even of what it may have left."""
        self.act()
        assert_that([self.wait(5), self.claims()], equal_to([[], {"a": "UNSURE"}]))

    def test_fit(self) -> None:
        """What is its own it then makes live again."""
        self.act()
        self.keeper.fitness.admit("unknown")
        assert_that(self.wait(0.1), equal_to(["alive a"]))

    def test_unfit(self) -> None:
        """And otherwise it lets go."""
        self.act()
        self.keeper.fitness.exclude(UNFIT, None, ("ip",))
        self.keeper.fitness.admit("unknown")
        assert_that(self.wait(0.1), equal_to(["down a"]))


class AfterTests(FailbackCase):
    """ "failback": {"after": milliseconds}."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.build(failback=30.0)

    def test_after(self) -> None:
        """It serves again when the time is over."""
        self.hold_own()
        self.fall_ill()
        self.recover()
        self.clock.advance(29.9)
        assert_that(self.word(), equal_to(Standing.RETURNED))
        self.clock.advance(0.2)
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_again(self) -> None:
        """The time begins anew when it fails once more."""
        self.hold_own()
        self.fall_ill()
        self.recover()
        self.clock.advance(20)
        self.fall_ill()
        self.recover()
        self.clock.advance(20)
        assert_that(self.word(), equal_to(Standing.RETURNED))


class StallTests(FailbackCase):
    """A node that stood still hears that it was voted down before it hears what came of that."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.build(failback=30.0)
        self.hold_own()

    def stand_still(self) -> None:
        """It finds itself out of touch, and then the votes, with what was true before them."""
        self.membership.become(in_touch=False, settled=False)
        self.membership.find_down()
        self.clock.advance(0)

    def settle(self) -> None:
        """It has heard everybody out."""
        self.membership.become(in_touch=True, settled=True)
        self.clock.advance(0)

    def test_taken_over(self) -> None:
        """What was its own others serve by now: it waits, for as long as is configured."""
        self.stand_still()
        assert_that(self.word(), equal_to(Standing.RETURNED))
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.settle()
        assert_that([self.word(), self.events()[-1]], equal_to([Standing.RETURNED, "returned"]))
        self.clock.advance(29.9)
        assert_that(self.word(), equal_to(Standing.RETURNED))
        self.clock.advance(0.2)
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_other_keeper(self) -> None:
        """Who served before it stood still is gone, and another one serves instead."""
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.stand_still()
        self.others.say("flip1", ineligible=("ip",), standing=Standing.RETURNED)
        self.clock.advance(0)
        self.others.say("flip2", {"ip": {"a": Phase.HELD, "b": Phase.HELD}})
        self.settle()
        assert_that(self.word(), equal_to(Standing.RETURNED))

    def test_old_keepers(self) -> None:
        """Of those who kept it out before, too, it hears old news first."""
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.membership.find_down()
        self.membership.become(in_touch=False, settled=False)
        self.others.say("flip1", status=Status.LEAVING)
        self.clock.advance(0)
        assert_that(self.word(), equal_to(Standing.RETURNED))
        self.settle()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_nobody_serves(self) -> None:
        """Where nobody took over there is nothing that could move back."""
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.stand_still()
        self.others.say("flip1")
        self.settle()
        assert_that([self.word(), self.reasons()], equal_to([Standing.FIT, ""]))
        self.others.say("flip1", {"ip": {"b": Phase.HELD}})
        self.membership.become(in_touch=False, settled=False)
        self.settle()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_check_ends_well(self) -> None:
        """A check that ends well before it has heard anybody changes nothing."""
        self.keeper.fitness.exclude(UNFIT, None, ("ip",))
        self.membership.become(in_touch=False, settled=False)
        self.recover()
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.settle()
        assert_that(self.word(), equal_to(Standing.RETURNED))

    def test_undrain(self) -> None:
        """What an operator says meanwhile counts."""
        self.stand_still()
        self.keeper.failback.undrain(("ip",))
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.settle()
        assert_that([self.word(), self.events()[-1]], equal_to([Standing.FIT, "undrained"]))


class AutoTests(FailbackCase):
    """ "failback": "auto", the default."""

    def test_auto(self) -> None:
        """It serves again at once."""
        self.hold_own()
        self.fall_ill()
        self.recover()
        assert_that(self.word(), equal_to(Standing.FIT))

    def test_stall(self) -> None:
        """After a stall, too."""
        self.hold_own()
        self.membership.become(in_touch=False, settled=False)
        self.membership.find_down()
        assert_that(self.word(), equal_to(Standing.FIT))


class DrainTests(FailbackCase):
    """What an operator says."""

    def test_drained(self) -> None:
        """Others get the data; this node keeps it until they can."""
        self.hold_own()
        self.keeper.failback.drain(("ip",))
        assert_that([self.word(), self.reasons()], equal_to([Standing.DRAINED, DRAINED]))
        assert_that(self.wait(0.06), equal_to(["down a"]))

    def test_last_resort(self) -> None:
        """Where nobody else is left it serves all the same, and stays drained."""
        self.hold_own()
        self.keeper.failback.drain(("ip",))
        for other in ("flip1", "flip2"):
            self.others.say(other, ineligible=("ip",), standing=Standing.UNFIT)
        self.clock.advance(1)
        assert_that(self.keeper.systems["ip"].wanted, equal_to(frozenset("abc")))
        assert_that(self.word(), equal_to(Standing.DRAINED))

    def test_restart(self) -> None:
        """It is drained in its next life, too, and not any more after that was taken back."""
        for expected in (True, False):
            (self.keeper.failback.drain if expected else self.keeper.failback.undrain)(("ip",))
            self.journal.close()
            self.journal.open()
            assert_that("ip" in self.journal.drained, equal_to(expected))

    def test_start(self) -> None:
        """What its journal says counts from the first record on."""
        self.journal.drain("ip")
        self.keeper.failback.start()
        assert_that(self.word(), equal_to(Standing.DRAINED))

    def test_unwritten(self) -> None:
        """A journal that is written anew still says so."""
        directory = Path(self.mktemp())
        journal = open_journal(directory, self.clock)
        journal.drain("ip")
        journal._store = None
        journal.error = "full"
        self.clock.advance(10)
        journal.flush()
        journal.close()
        again = open_journal(directory, self.clock)
        self.addCleanup(again.close)
        assert_that(again.drained, equal_to(frozenset({"ip"})))

    def test_told_once(self) -> None:
        """To say the same twice is one event."""
        for _ in range(2):
            self.keeper.failback.drain(("ip",))
        assert_that(self.events().count("drained"), equal_to(1))
        self.keeper.failback.undrain(("ip",))
        self.keeper.failback.undrain(("ip",))
        assert_that(self.events().count("undrained"), equal_to(1))


class DistressTests(FailbackCase):
    """No server is fit."""

    def nobody(self) -> None:
        """All three are unfit, the others have what is theirs."""
        self.hold_own()
        self.keeper.fitness.exclude(UNFIT, None, ("ip",))
        self.others.say(
            "flip1", {"ip": {"b": Phase.HELD}}, ineligible=("ip",), standing=Standing.UNFIT
        )
        self.others.say("flip2", ineligible=("ip",), standing=Standing.UNFIT)
        self.clock.advance(0)

    def test_stay(self) -> None:
        """Everything stays where it is, and that is an alarm until somebody is fit."""
        self.nobody()
        assert_that(
            self.keeper.divisions["ip"].owners, equal_to({"a": "me", "b": "flip1", "c": "flip2"})
        )
        assert_that(self.wait(5), empty())
        assert_that(self.keeper.distress.alarms["ip"], contains_string("stays where it is"))
        assert_that(self.events()[-1], equal_to("nobody-fit"))
        self.others.say("flip2")
        self.clock.advance(0)
        assert_that(self.keeper.distress.alarms, empty())
        assert_that(self.events()[-1], equal_to("fit"))
        assert_that(self.wait(0.1), equal_to(["down a"]))

    def test_moved_data_stays(self) -> None:
        """Where it is, not where it belongs."""
        self.others.say(
            "flip1", {"ip": {"a": Phase.HELD}}, ineligible=("ip",), standing=Standing.UNFIT
        )
        self.others.say("flip2", ineligible=("ip",), standing=Standing.UNFIT)
        self.keeper.fitness.exclude(UNFIT, None, ("ip",))
        self.act()
        assert_that(self.keeper.divisions["ip"].owners["a"], equal_to("flip1"))
        self.others.accuse("flip1", "me", "flip2")
        self.clock.advance(0)
        assert_that(self.keeper.divisions["ip"].owners["a"], equal_to("me"))

    def test_release(self) -> None:
        """ "all_unfit": "release": nobody serves what nobody can."""
        self.build(all_unfit="release")
        self.nobody()
        assert_that(self.wait(), equal_to(["down a"]))
        self.succeed_all()
        assert_that(self.claims(), empty())
        self.recover()
        assert_that(self.wait(0.1)[:1], equal_to(["alive a"]))

    def test_divide(self) -> None:
        """ "all_unfit": "divide": all try."""
        self.build(all_unfit="divide")
        self.nobody()
        assert_that(self.keeper.divisions["ip"].owners, equal_to(EVENLY))
        assert_that(self.keeper.distress.alarms, has_key("ip"))


class ReplicateTests(FailbackCase):
    """Where each server stands alone."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.build(type="replicate", data="a")

    def test_unfit(self) -> None:
        """An unfit server lets go of its own, and of that nobody has to be heir."""
        self.hold_own()
        self.keeper.fitness.exclude(UNFIT, None, ("ip",))
        assert_that(self.wait(), equal_to(["down a"]))
        self.succeed_all()
        self.hooks.news()
        self.keeper.fitness.admit(UNFIT)
        assert_that(self.wait(), equal_to(["alive a"]))

    def test_nobody_fit(self) -> None:
        """When no server is fit each keeps what it has."""
        self.hold_own()
        for other in ("flip1", "flip2"):
            self.others.say(other, ineligible=("ip",), standing=Standing.UNFIT)
        self.keeper.fitness.exclude(UNFIT, None, ("ip",))
        assert_that(self.wait(5), empty())

    def test_flapping(self) -> None:
        """That it was voted down changes nothing here."""
        self.hold_own()
        self.keeper.fitness.exclude("flapping", None, ("ip",), Standing.FAILING)
        assert_that(self.wait(5), empty())
