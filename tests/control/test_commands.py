"""Tests for `flip.control.commands`, on real nodes in virtual time."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, calling, contains_string, equal_to, has_entries, raises
from twisted.logger import capturedLogs, formatEvent

from flip.control.commands import commands
from flip.errors import BadRequest, CannotRelease
from flip.simulation.world import World
from tests.cluster.case import ALL_ACTIVE, ONE, TWO, ClusterTestCase, holdings


def ask(world: World, id: str, command: str, **request: Any) -> Any:
    """What a node answers."""
    node = world[id].node
    assert node is not None
    parts = node.parts
    return commands(lambda: parts)[command](request)


class CommandTests(ClusterTestCase):
    """What can be asked of a node."""

    def test_status(self) -> None:
        """`status` is the node's own."""
        assert_that(ask(self.story(), "flip1", "status"), has_entries(id="flip1"))

    def test_retry(self) -> None:
        """`retry` makes a node that gave up eligible again, and it tries."""
        world = self.cluster()
        world["flip1"].failing.add(("alive", TWO))
        world.start()
        world.run(15)
        assert_that(holdings(world), equal_to({"flip": {ONE, TWO}, "flip1": set(), "flip2": set()}))
        world["flip1"].failing.clear()
        ask(world, "flip1", "retry", system="ip")
        self.await_holdings(world, ALL_ACTIVE, 2)

    def test_retry_all(self) -> None:
        """Without a system it is for all of them."""
        assert_that(ask(self.story(), "flip", "retry"), equal_to(None))

    def test_retry_of_what(self) -> None:
        """A system that the node does not have is an error that names those it has."""
        world = self.story()
        for system in ("web", 7, ["ip"]):
            with self.assertRaises(BadRequest) as caught:
                ask(world, "flip", "retry", system=system)
            assert_that(str(caught.exception), contains_string(f"{system!r}, only: ip"))


class ReleaseTests(ClusterTestCase):
    """`release`: the last resort against a `down` that never ends well."""

    def stuck(self) -> World:
        """flip keeps what is flip1's, because its `down` fails."""
        world = self.story()
        world["flip1"].kill()
        world.run(10)
        world["flip"].failing.add(("down", TWO))
        world["flip1"].start()
        world.run(10)
        return world

    def test_forced(self) -> None:
        """The claim goes, it is told, and the heir takes over at once."""
        world = self.stuck()
        world["flip"].cease(("ip", TWO))  # by hand
        with capturedLogs() as logs:
            ask(world, "flip", "release", system="ip", datum=TWO, force=True)
        assert_that(formatEvent(logs[0]), contains_string("dropped by force"))
        self.await_holdings(world, ALL_ACTIVE, 1)
        world.run(60)
        assert_that(holdings(world), equal_to(ALL_ACTIVE))

    def test_not_forced(self) -> None:
        """Without force it explains what it would do, and does nothing."""
        world = self.stuck()
        for force in (False, None, "yes"):
            release = calling(ask).with_args(
                world, "flip", "release", system="ip", datum=TWO, force=force
            )
            assert_that(release, raises(CannotRelease, "repeat with --force"))
        world.run(1)
        assert_that(holdings(world)["flip"], equal_to({ONE, TWO}))

    def test_of_what(self) -> None:
        """Both names have to be there."""
        world = self.story()
        for request in ({}, {"system": "ip"}, {"system": "ip", "datum": 7}):
            release = calling(ask).with_args(world, "flip", "release", force=True, **request)
            assert_that(release, raises(BadRequest, "has to be a string"))

    def test_held(self) -> None:
        """What is held and served is not dropped."""
        world = self.story()
        release = calling(ask).with_args(
            world, "flip", "release", system="ip", datum=ONE, force=True
        )
        assert_that(release, raises(CannotRelease, "is held by flip, not being released"))
