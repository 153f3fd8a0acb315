"""Groups in the keeper: what is called for them, recorded of them, and in each other's way."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, contains_inanyorder, empty, equal_to

from flip.config.values import Point
from flip.holdings.journal import Held
from flip.holdings.runner import HookCall
from flip.wire.claims import Phase
from tests.holdings.bed import HOOKS, phases
from tests.holdings.case import KeeperTestCase

LO0 = '{"interface": "lo0"}'
ETH1 = '{"interface": "eth1"}'
OLD = ("/old/down",)


def held(datum: str, *members: str, config: str = LO0) -> Held:
    """What the journal says of a data point."""
    return Held("ip", datum, Phase.HELD, OLD, config, members or (datum,))


class GroupTestCase(KeeperTestCase):
    """The system has the group a of a and x, and the data points b and c."""

    def build(self, *args: Any, group: Point | None = None, **settings: Any) -> None:
        group = group or Point("a", ("a", "x"), None, {"interface": "eth1"})
        super().build(*args, **{"special": {"a": group}, **settings})

    def call(self, datum: str = "a") -> HookCall:
        """The last call for a data point."""
        return [call for call in self.hooks.calls if call.datum == datum][-1]


class CallTests(GroupTestCase):
    """What the hooks of a group are told."""

    def test_alive(self) -> None:
        """The members, the group's own config, and what undoes it."""
        self.act()
        call = self.call()
        assert_that([call.event, call.members, call.config], equal_to(["alive", ("a", "x"), ETH1]))
        assert_that(call.undo, equal_to(HOOKS["down"]))

    def test_announced(self) -> None:
        """What is held stays, when `alive` fails that is run once more for the neighbours."""
        self.hold_own()
        self.keeper.systems["ip"].announce(("a",))
        assert_that(self.wait(), equal_to(["alive a"]))
        assert_that(self.call().undo, equal_to(None))

    def test_single(self) -> None:
        """A data point of one member has nothing to undo."""
        self.build(group=Point("a", ("x",), None, {}))
        self.act()
        assert_that([self.call().members, self.call().undo], equal_to([("x",), None]))

    def test_journal(self) -> None:
        """The members are recorded with the claim."""
        self.hold_own()
        (recorded,) = self.journal.held()
        assert_that(
            [recorded.datum, recorded.members, recorded.config], equal_to(["a", ("a", "x"), ETH1])
        )


class ChangedTests(GroupTestCase):
    """A group that had other members in the life before."""

    def test_grown(self) -> None:
        """Is let go of with the members and the hook of that time, then taken as it is now."""
        self.build(left=(held("a", "a", "y", config=ETH1),))
        self.act()
        assert_that(self.hooks.news(), equal_to(["down a"]))
        call = self.call()
        assert_that([call.members, call.hook.argv], equal_to([("a", "y"), OLD]))
        (recorded,) = self.journal.held()
        assert_that(recorded.members, equal_to(("a", "y")))
        self.hooks.succeed("a")
        assert_that(self.wait(), equal_to(["alive a"]))
        assert_that(self.call().members, equal_to(("a", "x")))

    def test_unchanged(self) -> None:
        """The same members are kept."""
        self.build(left=(held("a", "a", "x", config=ETH1),))
        self.act()
        assert_that(self.hooks.news(), equal_to(["alive a"]))


class OverlapTests(GroupTestCase):
    """A member that was, or is, a data point of its own."""

    def test_joined(self) -> None:
        """A group waits until what its member was by itself is down."""
        self.build(left=(held("x"),))
        self.act()
        assert_that(self.hooks.news(), equal_to(["down x"]))
        assert_that(self.wait(60), empty())
        self.hooks.fail("x")
        assert_that(self.wait(0.4), empty())
        assert_that(self.wait(1.0), equal_to(["down x"]))
        self.hooks.succeed("x")
        assert_that(self.wait(), equal_to(["alive a"]))

    def test_split(self) -> None:
        """What a group lost waits until the group, with the members of its time, is down."""
        self.build(special={}, left=(held("b", "b", "a"),), remove_on_start=False)
        self.act()
        assert_that(self.hooks.news(), equal_to(["down b"]))
        assert_that(self.call("b").members, equal_to(("b", "a")))
        assert_that(self.claims()["b"], equal_to("RELEASING"))
        self.hooks.succeed("b")
        assert_that(self.wait(), equal_to(["alive a"]))

    def test_renamed(self) -> None:
        """So does a group that goes by another name."""
        self.build(left=(held("web", "a", "x", config=ETH1),))
        self.act()
        assert_that(self.hooks.news(), equal_to(["down web"]))
        self.hooks.succeed("web")
        assert_that(self.wait(), equal_to(["alive a"]))
        self.hooks.succeed("a")
        assert_that(phases(self.journal), equal_to({"a": "HELD"}))

    def test_forsaken(self) -> None:
        """An operator who drops the former claim ends the wait."""
        self.build(left=(held("x"),))
        self.act()
        self.hooks.fail("x")
        assert_that(self.wait(), equal_to(["down x"]))
        self.keeper.forsake("ip", "x")
        assert_that(self.wait(), equal_to(["alive a"]))

    def test_others_free(self) -> None:
        """Whoever shares no member waits for nothing."""
        self.build(left=(held("y"),))
        self.act()
        assert_that(self.hooks.news(), contains_inanyorder("down y", "alive a"))

    def test_replicated(self) -> None:
        """Where every server has everything, too: this is about one node's own hooks."""
        self.build(left=(held("x"),), type="replicate")
        self.act()
        assert_that(self.hooks.news(), contains_inanyorder("down x", "alive b", "alive c"))
        self.hooks.succeed("x")
        assert_that(self.wait(), equal_to(["alive a"]))


class OtherConfigurationTests(GroupTestCase):
    """Other nodes that still know a member of the group as a data point of its own."""

    def test_claimed(self) -> None:
        """Their claim is one of the whole group, until they drop it."""
        older = b"00000000"
        self.others.say("flip1", {"ip": {"x": Phase.HELD}}, digest=older)
        self.act()
        assert_that(self.hooks.news(), empty())
        self.others.say("flip1", {"ip": {"b": Phase.HELD}}, digest=older)
        assert_that(self.wait(), equal_to(["alive a"]))
