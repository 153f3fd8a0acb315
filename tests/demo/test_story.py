"""Tests for `flip.demo.story`: its checks must fail wherever a row differs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hamcrest import assert_that, contains_string, empty, equal_to
from twisted.trial.unittest import SynchronousTestCase

from flip.demo import story
from flip.demo.story import DATA, IDS, Observation, Row
from tests.matchers import contains_exactly, has_item

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "etc" / "flip.json"


def perfect(row: Row) -> Observation:
    """What the nodes show where everything is as the row says."""
    members = {
        id: {
            "state": "down" if held is None else "alive",
            "systems": {"ip": {"held": sorted(held or ())}},
        }
        for id, held in row.holds.items()
    }
    statuses: dict[str, Any] = {
        id: None
        if held is None
        else {
            "in_touch": row.connected,
            "settled": row.connected,
            "systems": {} if id in story.ARBITERS else {"ip": {"held": sorted(held)}},
            "members": json.loads(json.dumps(members)),
        }
        for id, held in row.holds.items()
    }
    return Observation(statuses, {id: held or frozenset() for id, held in row.holds.items()})


def status(seen: Observation, id: str) -> dict[str, Any]:
    """The answer of a node that runs."""
    answer = seen.statuses[id]
    assert isinstance(answer, dict)
    return answer


class ConfigurationTests(SynchronousTestCase):
    """The story's configuration."""

    def test_example(self) -> None:
        """It is that of etc/flip.json."""
        assert_that(story.CONFIGURATION, equal_to(json.loads(EXAMPLE.read_text())))

    def test_rows(self) -> None:
        """Every data point has one owner in every row, and an arbiter has none."""
        rows = (story.ALL_ACTIVE, story.FLIP1_KILLED, story.FLIP1_BACK, story.ALL_CUT_OFF)
        for row in rows:
            assert_that(tuple(row.holds), equal_to(IDS))
            held = [datum for data in row.holds.values() for datum in data or ()]
            assert_that(sorted(held), equal_to(sorted(DATA)))
            assert_that(row.holds["flip2"], equal_to(frozenset()))

    def test_cut(self) -> None:
        """The cut outlasts the longest probe, the wait for isolation and an exchange over TCP."""
        assert_that(story.LONGEST_PROBE, equal_to(6.0))
        assert_that(story.CUT > story.LONGEST_TIMEOUT >= 10.0)


class DifferencesTests(SynchronousTestCase):
    """`Row.differences`."""

    def test_none(self) -> None:
        """Nothing differs in what is as it should be."""
        for row in (story.ALL_ACTIVE, story.FLIP1_KILLED, story.ALL_CUT_OFF):
            assert_that(row.differences(perfect(row)), empty())

    def test_wrong_report(self) -> None:
        """A node that says that it holds something else is named, with both."""
        seen = perfect(story.ALL_ACTIVE)
        status(seen, "flip")["systems"]["ip"]["held"] = ["192.168.0.2"]
        expected = "flip must hold 192.168.0.1; it says 192.168.0.2"
        assert_that(story.ALL_ACTIVE.differences(seen), contains_exactly(expected))

    def test_wrong_files(self) -> None:
        """So is one whose hooks did something else, whatever it says."""
        right = perfect(story.ALL_ACTIVE)
        seen = Observation(right.statuses, {**right.files, "flip1": frozenset()})
        expected = "flip1 must hold 192.168.0.2; its hooks made the files: nothing"
        assert_that(story.ALL_ACTIVE.differences(seen), contains_exactly(expected))

    def test_arbiter(self) -> None:
        """An arbiter with a file is wrong."""
        right = perfect(story.ALL_ACTIVE)
        seen = Observation(right.statuses, {**right.files, "flip2": frozenset(DATA)})
        assert_that(len(story.ALL_ACTIVE.differences(seen)), equal_to(1))

    def test_missing(self) -> None:
        """A node that does not answer is wrong, and one that was killed must not."""
        seen = perfect(story.FLIP1_KILLED)
        dead = "flip1 must hold 192.168.0.2, but it does not answer"
        assert_that(story.ALL_ACTIVE.differences(seen), has_item(dead))
        undead = "flip1 must be dead, but it answers"
        seen = perfect(story.ALL_ACTIVE)
        assert_that(story.FLIP1_KILLED.differences(seen), has_item(undead))

    def test_touch(self) -> None:
        """A cut that does not cut is wrong, and so is a node that is cut off when it should not."""
        seen = perfect(story.ALL_ACTIVE)
        assert_that(len(story.ALL_CUT_OFF.differences(seen)), equal_to(3))
        seen = perfect(story.ALL_CUT_OFF)
        assert_that(len(story.ALL_ACTIVE.differences(seen)), equal_to(3))

    def test_unsettled(self) -> None:
        """A node that has not settled may still move something."""
        seen = perfect(story.ALL_ACTIVE)
        status(seen, "flip2")["settled"] = False
        assert_that(story.ALL_ACTIVE.differences(seen), contains_exactly("flip2 has not settled"))

    def test_disagreement(self) -> None:
        """The nodes must agree about each other."""
        seen = perfect(story.FLIP1_KILLED)
        members = status(seen, "flip2")["members"]
        members["flip1"]["state"] = "probably_down"
        members["flip"]["systems"]["ip"]["held"] = ["192.168.0.1"]
        found = story.FLIP1_KILLED.differences(seen)
        assert_that(
            found,
            contains_exactly(
                contains_string("flip2 must see flip hold 192.168.0.1, 192.168.0.2"),
                contains_string("flip2 must see flip1 as down; it says probably_down"),
            ),
        )
