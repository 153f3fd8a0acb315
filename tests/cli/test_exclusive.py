"""Tests for `flip.cli.exclusive`."""

from __future__ import annotations

import io
import os
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to, less_than
from twisted.trial.unittest import SynchronousTestCase

from flip.cli.exclusive import MOST_POINTS, show
from flip.cli.page import Page
from tests.matchers import has_item, is_not

POINT = {
    "number": [1732399999123, 4],
    "granted": {"flip": 0.2, "flip2": 0.4},
    "permitted": True,
    "left": 4.6,
    "lets_go": 3.3,
}


class ShowTests(SynchronousTestCase):
    """What is printed on 80 columns."""

    def setUp(self) -> None:
        self.patch(os, "environ", {**os.environ, "COLUMNS": "80"})

    def shown(
        self,
        points: dict[str, Any],
        granted: dict[str, Any] | None = None,
        guard: dict[str, Any] | None = None,
    ) -> list[str]:
        """The lines about a system with these rights, on a node that granted this."""
        grants = {
            "voters": ["flip", "flip1", "flip2"],
            "quorum": 2,
            "lease": 5.0,
            "points": points,
        }
        status = {
            "systems": {"www": {"grants": None}, "ip": {"grants": grants}},
            "voting": {"silent": 0.0, "granted": {} if granted is None else {"ip": granted}},
            "guard": guard,
        }
        file = io.StringIO()
        show(status, Page(file))
        lines = file.getvalue().splitlines()
        assert_that([line for line in lines if len(line) > 100], empty())
        return [" ".join(line.split()) for line in lines]

    def test_ordinary(self) -> None:
        """Without an exclusive system there is nothing to say."""
        file = io.StringIO()
        status = {
            "systems": {"www": {"grants": None}},
            "voting": {"silent": 0.0, "granted": {}},
            "guard": None,
        }
        show(status, Page(file))
        assert_that(file.getvalue(), equal_to(""))

    def test_granted(self) -> None:
        """By whom, and how long that is good for."""
        shown = self.shown({"192.168.0.1": POINT})
        assert_that(
            shown[0],
            equal_to(
                "ip is exclusive: 2 of the voters flip, flip1, flip2 have to grant a data point"
                " (lease 5.0 s)"
            ),
        )
        assert_that(shown, has_item("192.168.0.1 flip, flip2 4.6 s in 3.3 s, unless renewed"))

    def test_not_granted(self) -> None:
        """What is asked for, and what a quorum no longer grants."""
        shown = self.shown(
            {
                "asked": POINT | {"granted": {}, "permitted": False, "left": None, "lets_go": None},
                "late": POINT | {"permitted": False, "left": 1.2, "lets_go": -0.1},
                "over": POINT | {"permitted": False, "left": -1.0, "lets_go": -2.3},
            }
        )
        assert_that(shown, has_item("asked nobody - not permitted"))
        assert_that(shown, has_item("late flip, flip2 1.2 s NOW"))
        assert_that(shown, has_item("over flip, flip2 OVER NOW"))

    def test_voter(self) -> None:
        """What this node has granted, to whom, and for how long it keeps that."""
        grant = {"to": "flip1", "number": [5, 1], "answered": 0.4, "kept": 5.1}
        shown = self.shown({}, {"192.168.0.2": grant})
        assert_that(shown, has_item("192.168.0.2 flip1 5.1 s"))
        assert_that(self.shown({}, {}), has_item("ip: this node votes, and has granted nothing"))

    def test_many(self) -> None:
        """A long list is cut, and says so."""
        points = {f"p{n}": POINT for n in range(MOST_POINTS + 5)}
        shown = self.shown(points)
        assert_that(shown, has_item("5 more; --json shows all"))
        assert_that(len(shown), less_than(MOST_POINTS + 6))

    def test_guard(self) -> None:
        """The guard, and whether it is there."""
        guard = {"pid": 77, "ready": True, "armed": 3, "restarts": 0, "trouble": None}
        shown = self.shown({}, guard=guard)
        assert_that(shown[0], equal_to("The guard (process 77) watches over 3 data points."))
        shown = self.shown({}, guard=guard | {"ready": False, "pid": None})
        assert_that(shown[0], contains_string("NOT READY"))
        assert_that(shown[0], is_not(contains_string("None")))
