"""Tests for `flip.simulation.scaling`."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from hamcrest import assert_that, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.simulation.scaling import configured, scaled, simulated
from tests.matchers import has_entries, is_not

FILE = Path(__file__).parent.parent.parent / "etc" / "flip.json"


class ScalingTests(SynchronousTestCase):
    """The example's configuration for machines that do not exist."""

    def setUp(self) -> None:
        self.description: dict[str, Any] = json.loads(FILE.read_text())

    def test_own_machines(self) -> None:
        """Servers of one host get an address each, and nothing names this host any more."""
        self.description |= {"bind": "0.0.0.0", "state_dir": "/var/{id}", "hook_dir": "/hooks"}
        found = simulated(self.description)
        addresses = {server["ip"] for server in found["servers"].values()}
        assert_that(len(addresses), equal_to(3))
        assert_that(found, is_not(has_entries(bind=is_not(None))))
        assert_that(configured(found).bind, equal_to(None))

    def test_original(self) -> None:
        """What was read is left as it is."""
        before = copy.deepcopy(self.description)
        simulated(scaled(self.description, 7))
        assert_that(self.description, equal_to(before))

    def test_grown(self) -> None:
        """New servers list what the old ones do, in turn, without priority; a majority decides."""
        config = configured(simulated(scaled(self.description, 8)))
        assert_that(
            set(config.servers), equal_to({"flip", "flip1", "flip2", "n4", "n5", "n6", "n7", "n8"})
        )
        systems = [config.servers[id].systems for id in ("n4", "n5", "n6", "n7", "n8")]
        assert_that(systems, equal_to([("ip",), ("ip",), (), ("ip",), ("ip",)]))
        assert_that(config.servers["n5"].priority, equal_to(None))
        assert_that(config.quorum, equal_to(5))

    def test_not_grown(self) -> None:
        """With as many servers as there are nothing changes, a special quorum included."""
        self.description["quorum"] = 3
        assert_that(scaled(self.description, 3), equal_to(self.description))

    def test_taken_names(self) -> None:
        """New names are not those of the servers that are there."""
        self.description["servers"]["n4"] = self.description["servers"].pop("flip2")
        found = scaled(self.description, 5)["servers"]
        assert_that(list(found), equal_to(["flip", "flip1", "n4", "nn4", "nn5"]))

    def test_voters(self) -> None:
        """The voters of an exclusive system stay those that were there: 15 are the most."""
        self.description["cluster"]["system"]["ip"]["exclusive"] = True
        config = configured(simulated(scaled(self.description, 40)))
        assert_that(config.systems["ip"].voters, equal_to(("flip", "flip1", "flip2")))
