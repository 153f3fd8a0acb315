"""Tests for `flip.allocation.plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hamcrest import assert_that, contains_exactly, contains_inanyorder, empty, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.allocation import Move, moves, plan
from flip.config import Config, load


class ClusterTestCase(SynchronousTestCase):
    """Three servers, of which flip2 votes only, and two systems."""

    def cluster(self, **systems: dict[str, Any]) -> Config:
        hooks = {"alive": "ip_up", "down": "ip_down"}
        description = {
            "id": "flip",
            "key": "secret",
            "servers": {
                "flip": {"ip": "127.0.0.1", "port": 2200, "systems": list(systems)},
                "flip1": {"ip": "127.0.0.1", "port": 2201, "priority": 1, "systems": ["ip"]},
                "flip2": {"ip": "127.0.0.1", "port": 2202},
            },
            "cluster": {"system": {name: hooks | system for name, system in systems.items()}},
        }
        path = Path(self.mktemp())
        path.write_text(json.dumps(description))
        return load(path, environ={})

    def setUp(self) -> None:
        self.config = self.cluster(
            ip={"type": "sharded", "data": ["2", "1"]}, job={"type": "replicate", "data": ["a"]}
        )


class PlanTests(ClusterTestCase):
    """`plan` divides every system."""

    def test_all_active(self) -> None:
        """Every server of the configuration is named in every system, in the order of priority."""
        answer = plan(self.config)
        expected = {
            "ip": {"flip1": ["2"], "flip": ["1"], "flip2": []},
            "job": {"flip1": [], "flip": ["a"], "flip2": []},
        }
        assert_that(answer, equal_to(expected))
        assert_that([*answer["job"]], equal_to(["flip1", "flip", "flip2"]))

    def test_unavailable(self) -> None:
        """A server that is down gets nothing of any system."""
        answer = plan(self.config, {"flip"})
        assert_that(answer["ip"], equal_to({"flip1": ["2", "1"], "flip": [], "flip2": []}))
        assert_that(answer["job"], equal_to({"flip1": [], "flip": [], "flip2": []}))

    def test_unavailable_by_system(self) -> None:
        """A server may be out of one system only."""
        answer = plan(self.config, {"ip": ["flip"]})
        assert_that(answer["ip"]["flip"], empty())
        assert_that(answer["job"]["flip"], equal_to(["a"]))

    def test_nobody(self) -> None:
        """With nobody left nobody holds anything, and an arbiter never does."""
        for division in plan(self.config, ["flip", "flip1"]).values():
            assert_that([*division.values()], equal_to([[], [], []]))


class MovesTests(ClusterTestCase):
    """`moves` is the difference between two plans."""

    def test_none(self) -> None:
        """Equal plans differ in nothing."""
        assert_that(moves(plan(self.config), plan(self.config)), empty())
        # Who has no systems takes nothing along.
        assert_that(moves(plan(self.config), plan(self.config, ["flip2"])), empty())

    def test_single_owner(self) -> None:
        """What a dead server had goes from it to the others; and back."""
        before, after = plan(self.config), plan(self.config, ["flip1"])
        there = Move("ip", "2", "flip1", "flip")
        back = Move("ip", "2", "flip", "flip1")
        assert_that(moves(before, after), contains_exactly(there))
        assert_that(moves(after, before), contains_exactly(back))

    def test_nobody_left(self) -> None:
        """What nobody can take has no target, and later no source."""
        before, after = plan(self.config), plan(self.config, ["flip", "flip1"])
        lost = [Move("ip", "2", "flip1", None), Move("ip", "1", "flip", None)]
        assert_that(moves(before, after)[:2], equal_to(lost))
        found = [Move(system, datum, None, source) for system, datum, source, _ in lost]
        assert_that(moves(after, before)[:2], contains_inanyorder(*found))

    def test_replicated(self) -> None:
        """Where all have everything each server stands alone."""
        config = self.cluster(ip={"type": "replicate", "data": ["a", "b"]})
        before, after = plan(config, ["flip1"]), plan(config)
        gained = [Move("ip", "a", None, "flip1"), Move("ip", "b", None, "flip1")]
        assert_that(moves(before, after), equal_to(gained))
        lost = [Move("ip", "a", "flip1", None), Move("ip", "b", "flip1", None)]
        assert_that(moves(after, before), equal_to(lost))

    def test_other_configuration(self) -> None:
        """Plans of different configurations compare: gone data is lost, new data is found."""
        other = self.cluster(ip={"type": "shard", "data": ["2", "3"]})
        expected = [
            Move("ip", "1", "flip", None),
            Move("ip", "3", None, "flip"),
            Move("job", "a", "flip", None),
        ]
        assert_that(moves(plan(self.config), plan(other)), equal_to(expected))
