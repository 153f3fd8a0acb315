"""Tests for `flip.cli.addresses`, and for what ``flip check`` says of the privileges they take."""

from __future__ import annotations

import io
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, has_length
from twisted.trial.unittest import SynchronousTestCase

from flip.addresses import capabilities
from flip.cli.addresses import MOST_LINES, show
from flip.cli.page import Page
from tests.cli.case import CommandCase


def kept(**settings: Any) -> dict[str, Any]:
    """A data point that is kept and well, but for what is given."""
    return {"interface": "eth0", "left": None, "missing": [], "conflict": None} | settings


class ShowTests(SynchronousTestCase):
    """What ``flip status`` prints."""

    def shown(self, **addresses: dict[str, Any] | None) -> list[str]:
        file = io.StringIO()
        systems = {name: {"addresses": found} for name, found in addresses.items()}
        show({"systems": systems}, Page(file))
        return file.getvalue().splitlines()

    def test_none(self) -> None:
        """Of systems with hooks, and of those of which nothing is here, nothing."""
        assert_that(self.shown(www=None, ip={}), empty())

    def test_well(self) -> None:
        """How many data points, where, and the lease that ends first."""
        points = {"a": kept(left=2.4), "b": kept(left=1.6), "c": kept(interface="eth1", left=3.0)}
        expected = "ip: 3 with addresses on eth0, eth1; the kernel ends them in 1.6 s without flip"
        assert_that(self.shown(ip=points), equal_to([expected]))

    def test_for_ever(self) -> None:
        """Without a lease nothing is said of one."""
        assert_that(self.shown(ip={"a": kept()}), equal_to(["ip: 1 with addresses on eth0"]))

    def test_troubles(self) -> None:
        """Who else answers, also for what is not here, and what is missing."""
        points = {
            "10.0.0.1": kept(interface=None, conflict="02:00:00:00:00:99"),
            "web": kept(missing=["10.0.0.2", "10.0.0.3"]),
        }
        lines = self.shown(ip=points)
        assert_that(lines[1], equal_to("ip 10.0.0.1: 02:00:00:00:00:99 answers for it, too"))
        assert_that(lines[2], equal_to("ip web: not there: 10.0.0.2, 10.0.0.3"))

    def test_many_troubles(self) -> None:
        """A thousand of them are not a thousand lines."""
        points = {f"10.0.0.{n}": kept(conflict="02:00:00:00:00:99") for n in range(MOST_LINES + 5)}
        lines = self.shown(ip=points)
        assert_that(lines, has_length(1 + MOST_LINES + 1))
        assert_that(lines[-1], contains_string("5 more"))


class CheckTests(CommandCase):
    """``flip check`` where this user may not keep addresses."""

    def test_missing_capability(self) -> None:
        """It is a warning that names the capability, and only where a system needs it."""
        self.patch(capabilities, "missing", lambda: ("CAP_NET_RAW",))
        self.flip("check", "-c", self.write())
        assert_that("CAP_NET_RAW" in self.out.getvalue(), equal_to(False))
        system = self.description["cluster"]["system"]["ip"]
        del system["alive"], system["down"]
        system |= {"provider": "address", "config": {"interface": "lo"}}
        assert_that(self.flip("check", "-c", self.write()), equal_to(0))
        text = " ".join(self.out.getvalue().split())
        assert_that(
            text, contains_string("cluster.system.ip.provider: not permitted here: CAP_NET")
        )

    def test_missing_interface(self) -> None:
        """An interface that does not exist is a warning that says what follows."""
        system = self.description["cluster"]["system"]["ip"]
        del system["alive"], system["down"]
        system |= {"provider": "address", "config": {"interface": "nosuch0"}}
        assert_that(self.flip("check", "-c", self.write()), equal_to(0))
        text = " ".join(self.out.getvalue().split())
        assert_that(text, contains_string('this host has no interface "nosuch0"'))
        assert_that(text, contains_string("Until it appears this node gets nothing"))
