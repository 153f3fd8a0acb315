"""Tests for `flip.control.grants`, on real nodes in virtual time."""

from __future__ import annotations

import re
from typing import Any

from hamcrest import (
    assert_that,
    calling,
    contains_string,
    empty,
    equal_to,
    greater_than,
    less_than,
    matches_regexp,
    none,
    raises,
)

from flip.simulation.invariants import Violation
from flip.simulation.world import World
from tests.cluster.case import ONE, TWO, ClusterTestCase, system
from tests.control.test_status import ask
from tests.matchers import has_entries, has_item

EXCLUSIVE = system(exclusive=True)
WAIT = 5.0 * 1.05 / 0.95  # seconds that a voter keeps a grant, or is silent without its disk


class GrantsTests(ClusterTestCase):
    """What `flip status` says of exclusive systems."""

    def exclusive(self) -> World:
        """The story, exclusive, all active."""
        world = self.story(exclusive=True)
        world.run(2)
        return world

    def point(self, world: World, id: str, datum: str) -> dict[str, Any]:
        point: dict[str, Any] = ask(world, id)["systems"]["ip"]["grants"]["points"][datum]
        return point

    def test_ordinary(self) -> None:
        """Of a system that is not exclusive nothing is granted, by nobody, without a guard."""
        answer = ask(self.story(), "flip")
        assert_that(answer["systems"]["ip"]["grants"], none())
        assert_that(answer["voting"], equal_to({"silent": 0.0, "granted": {}}))
        assert_that(answer["guard"], none())

    def test_holder(self) -> None:
        """Granted by whom, and how much of the lease is left."""
        world = self.exclusive()
        grants = ask(world, "flip")["systems"]["ip"]["grants"]
        assert_that(grants, has_entries(voters=["flip", "flip1", "flip2"], quorum=2, lease=5.0))
        assert_that(list(grants["points"]), equal_to([ONE]))
        point = grants["points"][ONE]
        assert_that(list(point["granted"]), equal_to(["flip", "flip1", "flip2"]))
        assert_that(point["permitted"], equal_to(True))
        assert_that(point["left"], greater_than(3.5))
        assert_that(point["left"], less_than(5.01))
        assert_that(point["left"] - point["lets_go"], less_than(1.31))
        assert_that(ask(world, "flip")["guard"], has_entries(ready=True, armed=1))

    def test_voter(self) -> None:
        """The voter's side: to whom, and for how long."""
        voting = ask(self.exclusive(), "flip2")["voting"]
        assert_that(voting["silent"], equal_to(0.0))
        assert_that(voting["granted"]["ip"][ONE], has_entries(to="flip"))
        assert_that(voting["granted"]["ip"][TWO], has_entries(to="flip1"))
        assert_that(voting["granted"]["ip"][TWO]["kept"], greater_than(3.5))

    def test_silent(self) -> None:
        """A voter with a new disk says for how long it is silent, and why; who asks it waits."""
        world = self.cluster(EXCLUSIVE)
        world.start()
        world.run(3)
        answer = ask(world, "flip")
        assert_that(answer["voting"]["silent"], greater_than(WAIT - 3.1))
        assert_that(
            answer["alarms"],
            has_item(contains_string("as a voter of exclusive systems this node is silent")),
        )
        assert_that(
            answer["systems"]["ip"]["waiting"][ONE],
            equal_to(
                "0 of the 2 voters that it needs have granted it; it has asked flip, flip1, flip2"
            ),
        )
        world.run(5)
        assert_that(ask(world, "flip")["alarms"], empty())

    def test_silent_voter(self) -> None:
        """A holder tells which voters are silent, and how many are left."""
        world = self.exclusive()
        world["flip2"].kill()
        world.run(5)
        assert_that(ask(world, "flip")["alarms"], empty())
        world.run(5)
        assert_that(
            ask(world, "flip")["alarms"],
            has_item(
                matches_regexp(
                    r"^ip: flip2 \(silent for \d+ s\) grant nothing to this node; 2 of 3 voters"
                    r" are left, and 2 are needed$"
                )
            ),
        )
        world["flip2"].start()
        world.run(2)
        assert_that(ask(world, "flip")["alarms"], empty())

    def test_lapse(self) -> None:
        """The log says when and why a node let go; the status that nothing is granted."""
        world = self.exclusive()
        world.cut(("flip",), ("flip1", "flip2"))
        world.await_served("flip", set(), 5)
        events = [event["text"] for event in ask(world, "flip")["events"]]
        assert_that(events, has_item("ip: isolated, so it lets go of everything"))
        world.run(1)
        assert_that(ask(world, "flip")["systems"]["ip"]["grants"]["points"], empty())

    def test_lapse_of_a_node_in_touch(self) -> None:
        """Also when it is in touch, and the voters are others: three that it cannot reach."""
        description = system(exclusive=True, voters=["flip2"])
        world = self.cluster(description)
        world.start()
        world.run_until(lambda: world["flip"].held() == {ONE}, 15)
        world.run(2)
        world.cut(("flip",), ("flip2",))
        world.await_served("flip", set(), 5)
        events = [event["text"] for event in ask(world, "flip")["events"]]
        assert_that(
            events,
            has_item(
                matches_regexp(
                    rf"^ip: {re.escape(ONE)}: no quorum of voters has answered for 3\.[67] s"
                    r" \(flip2 silent\): lets go before its lease ends$"
                )
            ),
        )

    def test_down_fails(self) -> None:
        """A failing `down` is an alarm at once: nobody else can take it while it is renewed."""
        world = self.exclusive()
        world["flip"].failing.add(("down", ONE))
        world["flip"].leave()
        world.run(1)
        assert_that(
            ask(world, "flip")["alarms"],
            has_item(contains_string(f"ip: {ONE} cannot be released; its lease is renewed")),
        )

    def test_down_fails_and_the_lease_ends(self) -> None:
        """When the lease cannot be renewed either, the alarm says what that means."""
        world = self.exclusive()
        world["flip"].failing.add(("down", ONE))
        world.cut(("flip",), ("flip1", "flip2"))
        assert_that(calling(world.run).with_args(9), raises(Violation, "flip and flip1 hold"))
        assert_that(
            ask(world, "flip")["alarms"],
            has_item(contains_string(f"ip: {ONE} may be served TWICE")),
        )
