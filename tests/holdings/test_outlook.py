"""Tests for `flip.holdings.outlook`."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, contains_inanyorder, empty, equal_to, none
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.config import System
from flip.config.values import Point
from flip.holdings.outlook import Outlook
from flip.membership.roster import Change, Claims
from flip.wire.claims import Phase
from flip.wire.messages import Status
from flip.wire.standing import Standing
from tests.holdings.bed import Others, config, roster_of, system

OTHER = b"another!"
ALL = frozenset({"me", "flip1", "flip2"})


class OutlookTestCase(SynchronousTestCase):
    """What the node "me" of three sees; flip1 and flip2 serve the system "ip", too."""

    def setUp(self) -> None:
        self.build()

    def build(self, **settings: Any) -> None:
        self.config = config(self.system(), **settings)
        self.roster = roster_of(self.config)
        self.silent: set[str] = set()
        self.outlook = Outlook(self.config, self.roster, lambda id: id not in self.silent)
        self.others = Others(self.config, self.roster)
        self.touched: list[tuple[str, str]] = []
        self.roster.subscribe(self.learn)

    def system(self) -> System:
        return system(data="abc")

    def learn(self, change: Change) -> None:
        self.touched += self.outlook.learn(change)

    def claims(self, datum: str = "a") -> dict[str, Phase | None]:
        return self.outlook.claims("ip", datum)


class ClaimTests(OutlookTestCase):
    """Who claims what."""

    def test_never_heard_of(self) -> None:
        """Who was not heard of may claim anything."""
        assert_that(self.claims(), equal_to({"flip1": None, "flip2": None}))
        self.others.say("flip1")
        assert_that(self.claims(), equal_to({"flip2": None}))

    def test_claims_not_arrived(self) -> None:
        """So may who was heard of and whose claims are still on the way."""
        self.others.say("flip1", {"ip": {"b": Phase.HELD}}, hidden=True)
        self.others.say("flip2")
        assert_that(self.claims(), equal_to({"flip1": None}))

    def test_arbiter(self) -> None:
        """Who does not serve the system claims nothing of it, heard of or not."""
        self.build(servers={"me": ("ip",), "flip1": ("ip",), "flip2": ()})
        assert_that(self.claims(), equal_to({"flip1": None}))

    def test_phases(self) -> None:
        """Claims in every phase, of whoever is present."""
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.others.say("flip2", {"ip": {"a": Phase.TAKING, "b": Phase.UNSURE}})
        expected = {"flip1": Phase.HELD, "flip2": Phase.TAKING}
        assert_that(self.claims(), equal_to(expected))
        assert_that(self.claims("b"), equal_to({"flip2": Phase.UNSURE}))
        assert_that(self.claims("c"), empty())

    def test_absent(self) -> None:
        """Claims of who is down or left do not count, and count again when he is back."""
        self.others.say("flip2")
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.others.accuse("flip1", "me", "flip2")
        assert_that(self.claims(), empty())
        self.others.say("flip1", {"ip": {"a": Phase.HELD}}, incarnation=2)
        assert_that(self.claims(), equal_to({"flip1": Phase.HELD}))
        self.others.say("flip1", {"ip": {"a": Phase.HELD}}, incarnation=2, status=Status.LEFT)
        assert_that(self.claims(), empty())

    def test_touched(self) -> None:
        """A change names exactly the data points whose claims it changed."""
        self.others.say("flip1", {"ip": {"a": Phase.HELD, "b": Phase.HELD}})
        assert_that(self.touched, equal_to([("ip", "a"), ("ip", "b")]))
        self.touched.clear()
        self.others.say("flip1", {"ip": {"b": Phase.RELEASING, "a": Phase.HELD}})
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        assert_that(self.touched, equal_to([("ip", "b"), ("ip", "b")]))

    def test_own_claims(self) -> None:
        """What this node claims is not what others claim."""
        self.others.say("me", {"ip": {"a": Phase.HELD}})
        assert_that([self.touched, "me" in self.claims()], equal_to([[], False]))

    @settings(deadline=None, max_examples=50)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(("flip1", "flip2")),
                st.dictionaries(st.sampled_from("abc"), st.sampled_from(Phase)),
            ),
            max_size=12,
        )
    )
    def test_index(self, words: list[tuple[str, dict[str, Phase]]]) -> None:
        """However claims change, the index says what the roster says."""
        self.build()
        for member, phases in words:
            self.others.say(member, {"ip": phases})
        for datum in "abc":
            expected: dict[str, Phase | None] = {}
            for member in ("flip1", "flip2"):
                known: Claims | None = self.roster[member].claims
                if known is None:
                    expected[member] = None
                elif datum in known.get("ip", {}):
                    expected[member] = known["ip"][datum]
            assert_that(self.claims(datum), equal_to(expected))


class EligibilityTests(OutlookTestCase):
    """Who may be given data."""

    def test_never_heard_of(self) -> None:
        """Nothing moves without agreement: who was not heard of counts as alive."""
        assert_that(self.outlook.candidates("ip").servers, equal_to(ALL))

    def test_gone(self) -> None:
        """Not who is down, who left or who leaves."""
        self.others.accuse("flip1", "me", "flip2", incarnation=0)
        assert_that(self.outlook.candidates("ip").servers, equal_to(ALL - {"flip1"}))
        self.others.say("flip1", status=Status.LEAVING)
        assert_that(self.outlook.candidates("ip").servers, equal_to(ALL - {"flip1"}))

    def test_unfit(self) -> None:
        """Not who says that he is unfit, while anybody is fit."""
        self.others.say("flip1", ineligible=("ip",))
        assert_that(self.outlook.candidates("ip").servers, equal_to(ALL - {"flip1"}))
        self.others.say("flip2", ineligible=("ip",))
        self.others.say("me", ineligible=("ip",))
        assert_that(self.outlook.candidates("ip").servers, equal_to(ALL))

    def test_alone(self) -> None:
        """Whether anybody else could take it."""
        assert_that(self.outlook.alone("ip"), equal_to(False))
        self.others.say("flip1", ineligible=("ip",))
        self.others.say("flip2", status=Status.LEAVING)
        assert_that(self.outlook.alone("ip"), equal_to(True))

    def test_ready(self) -> None:
        """An heir is ready when it acts, or holds it already."""
        ready = [self.outlook.ready("flip1", "ip", "a")]
        for status, phase in (
            (Status.JOINING, Phase.TAKING),
            (Status.JOINING, Phase.HELD),
            (Status.ACTIVE, Phase.TAKING),
        ):
            self.others.say("flip1", {"ip": {"a": phase}}, status=status)
            ready.append(self.outlook.ready("flip1", "ip", "a"))
        assert_that(ready, equal_to([False, False, True, True]))

    def test_unchecked_heir(self) -> None:
        """One whose health check has not ended yet takes nothing; what it has it has."""
        ready = []
        for phase in (Phase.TAKING, Phase.HELD):
            claims = {"ip": {"a": phase}}
            self.others.say("flip1", claims, ineligible=("ip",), standing=Standing.UNKNOWN)
            ready.append(self.outlook.ready("flip1", "ip", "a"))
        assert_that(ready, equal_to([False, True]))

    def test_serving(self) -> None:
        """Which fit servers serve anything."""
        self.others.say("flip1", {"ip": {"a": Phase.TAKING}})
        self.others.say("flip2", {"ip": {"b": Phase.HELD}}, ineligible=("ip",))
        assert_that(self.outlook.serving("ip"), equal_to({"flip1"}))
        self.others.say("flip1", {"ip": {"a": Phase.RELEASING}})
        assert_that(self.outlook.serving("ip"), empty())

    def test_standings(self) -> None:
        """What servers say of themselves, as soon as they say it; who leaves says nothing."""
        seen = []
        for word in (Standing.UNFIT, Standing.DRAINED):
            self.others.say("flip1", ineligible=("ip",), standing=word)
            seen.append(self.outlook.standings("ip")["flip1"])
        self.others.say("flip1")
        seen.append(self.outlook.standings("ip")["flip1"])
        assert_that(seen, equal_to([Standing.UNFIT, Standing.DRAINED, Standing.FIT]))
        self.others.say("flip2")
        self.others.say("flip1", status=Status.LEAVING)
        assert_that(sorted(self.outlook.standings("ip")), equal_to(["flip2", "me"]))
        self.others.accuse("flip2", "me", "flip1", incarnation=1)
        assert_that(sorted(self.outlook.standings("ip")), equal_to(["me"]))

    def test_unreachable_heir(self) -> None:
        """An heir that does not answer is not ready, whatever a late datagram says of it (M6)."""
        self.others.say("flip1", {"ip": {"a": Phase.HELD}})
        self.silent.add("flip1")
        assert_that(self.outlook.ready("flip1", "ip", "a"), equal_to(False))


class ConfigurationTests(OutlookTestCase):
    """R7: whose configuration plans."""

    def test_same(self) -> None:
        """With one configuration everybody plans."""
        self.others.say("flip1")
        assert_that([self.outlook.differing(), self.outlook.planning()], equal_to([[], True]))

    def test_version(self) -> None:
        """The higher version plans, whatever the digests."""
        self.build(config_version=1)
        self.others.say("flip1", digest=OTHER, config_version=0)
        assert_that(self.outlook.differing(), equal_to(["flip1"]))
        assert_that(self.outlook.planning(), equal_to(True))
        self.others.say("flip2", digest=OTHER, config_version=2)
        assert_that(self.outlook.differing(), contains_inanyorder("flip1", "flip2"))
        assert_that(self.outlook.planning(), equal_to(False))

    def test_digest(self) -> None:
        """Of equal versions the greater digest plans, so that exactly one of them does."""
        planning = []
        for digest in (b"00000000", b"99999999"):
            self.others.say("flip1", digest=digest)
            planning.append(self.outlook.planning())
        assert_that(planning, equal_to([True, False]))

    def test_absent(self) -> None:
        """Who is down does not plan, and does again when he is back."""
        self.others.say("flip1", digest=OTHER, config_version=2)
        assert_that(self.outlook.planning(), equal_to(False))
        self.others.accuse("flip1", "me", "flip2")
        assert_that([self.outlook.differing(), self.outlook.planning()], equal_to([[], True]))
        self.others.say("flip1", digest=OTHER, config_version=2, incarnation=2)
        assert_that(self.outlook.planning(), equal_to(False))

    def test_rank(self) -> None:
        """Who was not heard of has no rank."""
        assert_that(self.outlook.rank_of("flip1"), none())
        self.others.say("flip1", config_version=3)
        assert_that(self.outlook.rank_of("flip1"), equal_to((3, self.config.digest)))


class GroupTests(OutlookTestCase):
    """Members of a group that stand alone in the configuration of others."""

    def build(self, **settings: Any) -> None:
        self.group = Point("a", ("a", "x", "y"), None, {})
        super().build(**settings)
        self.others.say("flip1")
        self.others.say("flip2")
        self.touched.clear()

    def system(self) -> System:
        return system(data="abc", special={"a": self.group})

    def test_member(self) -> None:
        """A claim of a member is one of the group, and touches that."""
        self.others.say("flip1", {"ip": {"x": Phase.TAKING}})
        assert_that(self.claims(), equal_to({"flip1": Phase.TAKING}))
        assert_that(self.touched, equal_to([("ip", "a")]))

    def test_several(self) -> None:
        """Of several claims the one that is most in the way counts."""
        claims = {"a": Phase.TAKING, "x": Phase.HELD, "y": Phase.UNSURE}
        self.others.say("flip1", {"ip": claims})
        self.others.say("flip2", {"ip": {"y": Phase.UNSURE, "x": Phase.TAKING}})
        assert_that(self.claims(), equal_to({"flip1": Phase.HELD, "flip2": Phase.UNSURE}))

    def test_others(self) -> None:
        """It is nobody else's."""
        self.others.say("flip1", {"ip": {"x": Phase.HELD, "z": Phase.HELD}})
        assert_that([self.claims("b"), self.claims("z")], equal_to([{}, {"flip1": Phase.HELD}]))


class ObstacleTests(OutlookTestCase):
    """What else keeps a data point from being taken."""

    def hindered(self, type: str, *, always: bool) -> list[object]:
        self.kind = type
        self.build()
        for other in ("flip1", "flip2"):
            self.others.say(other)
        self.outlook.hinder(lambda system, datum: None, always=True)
        self.outlook.hinder(lambda system, datum: f"{system} {datum} is not free", always=always)
        rivals = self.outlook.hindrance("ip", "a")
        return [self.outlook.obstacle("ip", "a"), rivals.contested, rivals.blocked]

    def system(self) -> System:
        return system(data="abc", type=getattr(self, "kind", "shard"))

    def test_single_owner(self) -> None:
        """Any of them does where a data point has one owner."""
        for kind in ("shard", "failover"):
            for always in (False, True):
                found = self.hindered(kind, always=always)
                assert_that(found, equal_to(["ip a is not free", True, True]))
                assert_that(self.outlook.rivals("ip", "a").blocked, equal_to(True))

    def test_replicated(self) -> None:
        """Where every server has everything, what others have does not."""
        assert_that(self.hindered("replicate", always=False), equal_to([None, False, False]))
        found = self.hindered("replicate", always=True)
        assert_that(found, equal_to(["ip a is not free", True, True]))
