"""Drain, undrain and health checks as an operator sees them, on real nodes in virtual time."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, calling, contains_string, equal_to, has_entries, raises

from flip.errors import BadRequest
from flip.simulation.world import World
from tests.cluster.case import ALL_ACTIVE, ONE, TWO, ClusterTestCase, holdings
from tests.control.test_commands import ask

DRAINED = {"flip": {ONE, TWO}, "flip1": set[str](), "flip2": set[str]()}


class DrainTests(ClusterTestCase):
    """`drain` and `undrain`."""

    def drained(self, **settings: Any) -> World:
        world = self.story(**settings)
        ask(world, "flip1", "drain", system="ip")
        self.await_holdings(world, DRAINED, 2)
        return world

    def test_drain(self) -> None:
        """The others take everything, and everybody can read why."""
        world = self.drained()
        assert_that(
            ask(world, "flip1", "status")["systems"]["ip"],
            has_entries(standing="drained", ineligible=contains_string("flip undrain")),
        )
        assert_that(
            ask(world, "flip", "status")["members"]["flip1"]["systems"]["ip"],
            has_entries(standing="drained", eligible=False),
        )

    def test_undrain(self) -> None:
        """All is as it was."""
        world = self.drained()
        ask(world, "flip1", "undrain")
        self.await_holdings(world, ALL_ACTIVE, 2)

    def test_restart(self) -> None:
        """A drained node is drained after a restart, too."""
        world = self.drained()
        world["flip1"].kill()
        world.run(5)
        world["flip1"].start()
        world.run(15)
        assert_that(holdings(world), equal_to(DRAINED))
        ask(world, "flip1", "undrain")
        self.await_holdings(world, ALL_ACTIVE, 2)

    def test_last_resort(self) -> None:
        """When no other server is left it serves."""
        world = self.drained()
        world["flip"].reboot()
        everything = {"flip": set[str](), "flip1": {ONE, TWO}, "flip2": set[str]()}
        self.await_holdings(world, everything, 5)

    def test_all_drained(self) -> None:
        """Where all servers are drained the data is divided as ever."""
        world = self.drained()
        ask(world, "flip", "drain")
        self.await_holdings(world, ALL_ACTIVE, 2)

    def test_of_what(self) -> None:
        """A system that the node does not have is an error, and an arbiter has none."""
        world = self.story()
        for command in ("drain", "undrain"):
            request = calling(ask).with_args(world, "flip", command, system="web")
            assert_that(request, raises(BadRequest, "only: ip"))
            request = calling(ask).with_args(world, "flip2", command)
            assert_that(request, raises(BadRequest, "only votes"))


class CheckTests(ClusterTestCase):
    """What `status` says of health checks."""

    def test_check(self) -> None:
        """Whether the node is fit, and the reason when it is not."""
        check = {"tcp": "127.0.0.1:80", "interval": 500, "timeout": 200, "rise": 2, "fall": 3}
        world = self.story(check=check)
        status = ask(world, "flip1", "status")["systems"]["ip"]
        assert_that(status["check"], has_entries(fit=True, reason=None))
        world["flip1"].ailing.fails.add("ip")
        self.await_holdings(world, DRAINED, 5)
        status = ask(world, "flip1", "status")["systems"]["ip"]
        assert_that(status["check"]["fit"], equal_to(False))
        assert_that(status["check"]["reason"], contains_string("fail"))
        assert_that(status["standing"], equal_to("unfit"))
        assert_that(status["ineligible"], contains_string("health check"))
        kinds = [event["kind"] for event in ask(world, "flip1", "status")["events"]]
        assert_that("unfit" in kinds, equal_to(True))
