"""Data points: three ways to write one, and what they must be to one another."""

from __future__ import annotations

import json
from typing import Any

from hamcrest import assert_that, contains_inanyorder, empty, equal_to
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from flip.config.points import id_of, members_of
from flip.config.values import Point, Points
from tests.config.case import ConfigurationCase

GOOD_DIGEST = "48b20b77c797a374"  # of every flip so far, for the story's configuration
DATA = "cluster.system.ip.data"


class PointsCase(ConfigurationCase):
    """The story's system, whose data a test replaces."""

    def setUp(self) -> None:
        super().setUp()
        self.ip = self.systems["ip"]

    def points(self, *data: Any) -> list[Point]:
        self.ip["data"] = list(data)
        return list(self.load().systems["ip"].points.values())

    def wrong(self, *data: Any) -> list[str]:
        self.ip["data"] = list(data)
        return self.problems()

    def digest(self, *data: Any) -> str:
        if data:
            self.ip["data"] = list(data)
        return self.load().digest.hex()


class FormTests(PointsCase):
    """A text, a list, an object."""

    def test_text(self) -> None:
        """Is its own id and its only member."""
        assert_that(self.points("a"), equal_to([Point("a", ("a",), None, {"dev": "lo"})]))

    def test_list(self) -> None:
        """Is a group that goes by its first member."""
        assert_that(
            self.points(["b", "a"]), equal_to([Point("b", ("b", "a"), None, {"dev": "lo"})])
        )

    def test_object(self) -> None:
        """Has a name of its own, and a config on top of the others."""
        self.description["cluster"]["config"] = {"mtu": 1500}
        written = {
            "id": "web",
            "members": ["a", "b"],
            "prefer": "flip1",
            "config": {"dev": "eth1", "x": 1},
        }
        config = {"mtu": 1500, "dev": "eth1", "x": 1}
        assert_that(self.points(written), equal_to([Point("web", ("a", "b"), "flip1", config)]))

    def test_object_without_members(self) -> None:
        """Is its own only member."""
        assert_that(
            self.points({"id": "a", "prefer": "flip"}),
            equal_to([Point("a", ("a",), "flip", {"dev": "lo"})]),
        )

    def test_ids(self) -> None:
        """The system's data are the ids, in order; points that are a text cost no object each."""
        self.ip["data"] = ["c", ["b", "a"], {"id": "web", "members": ["d"]}]
        system = self.load().systems["ip"]
        assert_that(system.data, equal_to(("c", "b", "web")))
        assert_that([*system.points], equal_to(["c", "b", "web"]))
        assert_that([*system.special], equal_to(["b", "web"]))

    def test_name_of_a_member(self) -> None:
        """An object may be named like one of its own members."""
        (point,) = self.points({"id": "b", "members": ["a", "b"]})
        assert_that([point.id, point.members], equal_to(["b", ("a", "b")]))

    def test_unknown(self) -> None:
        """There are no other points, whatever a member is called."""
        points = Points(("a",), {"a": Point("a", ("a", "b"), None, {})}, {})
        assert_that([*map(points.__contains__, ("a", "b"))], equal_to([True, False]))
        self.assertRaises(KeyError, points.__getitem__, "b")


class ShapeTests(PointsCase):
    """What no form has is told in the words of the form that was meant."""

    def test_groups(self) -> None:
        """A group is a list of texts, each once, and not empty."""
        text = "expected a text of at most 4096 characters, without NUL"
        group = "expected a list of one or more texts without NUL, each once"
        assert_that(
            self.wrong([], ["a", 7], ["b", "b"], [["c"]]),
            contains_inanyorder(
                f"{DATA}[0]: {group}, not a list",
                f"{DATA}[1][1]: {text}, not 7",
                f'{DATA}[2][1]: "b" is in {DATA}[2][0] already',
                f"{DATA}[3][0]: {text}, not a list",
            ),
        )

    def test_objects(self) -> None:
        """An object has an id, and no setting that there is not."""
        assert_that(
            self.wrong({"members": ["a"]}, {"id": "b", "member": ["c"]}, {"id": "d", "config": 1}),
            contains_inanyorder(
                f"{DATA}[0].id: missing; expected a text of at most 4096 characters, without NUL",
                f'{DATA}[1].member: there is no such setting; did you mean "members"?',
                f"{DATA}[2].config: expected an object, not 1",
            ),
        )

    def test_setting_of_the_system(self) -> None:
        """A setting that belongs elsewhere is sent there."""
        (problem,) = self.wrong({"id": "a", "hook_timeout": 5})
        there = "there is no such setting; it belongs to cluster.system.NAME"
        assert_that(problem, equal_to(f"{DATA}[0].hook_timeout: {there}"))

    def test_others(self) -> None:
        """What has no form at all is told of all three."""
        (problem,) = self.wrong(True)
        expected = (
            "a text of at most 4096 characters, without NUL, a list of such texts, or an object"
        )
        assert_that(problem, equal_to(f"{DATA}[0]: expected {expected} with an id, not true"))


class UniqueTests(PointsCase):
    """A text is in a system once, and an id is one data point's."""

    def test_members(self) -> None:
        """Two owners of one address are what flip is there to prevent."""
        assert_that(
            self.wrong("a", ["b", "a"], {"id": "x", "members": ["c", "b"]}, {"id": "c"}),
            contains_inanyorder(
                f'{DATA}[1][1]: "a" is in {DATA}[0] already',
                f'{DATA}[2].members[1]: "b" is in {DATA}[1][0] already',
                f'{DATA}[3].id: "c" is in {DATA}[2].members[0] already',
            ),
        )

    def test_ids(self) -> None:
        """An id is neither another's nor a member of another, wherever that stands."""
        assert_that(
            self.wrong(
                {"id": "b", "members": ["a"]},
                ["b", "c"],
                {"id": "web", "members": ["d"]},
                {"id": "web", "members": ["e"]},
            ),
            contains_inanyorder(
                f'{DATA}[0].id: "b" is in {DATA}[1] too: take another name',
                f'{DATA}[3].id: "web" is in {DATA}[2] too: take another name',
            ),
        )

    def test_other_system(self) -> None:
        """What another system has is its own affair, with a warning for addresses."""
        self.systems["job"] = {**self.ip, "data": [["x", "192.168.0.1"]]}
        self.servers["flip"]["systems"].append("job")
        self.servers["flip1"]["systems"].append("job")
        (warning,) = self.warnings()
        place = "cluster.system.job.data[0]: 192.168.0.1 is in cluster.system.ip too"
        assert_that(warning.startswith(place), equal_to(True))


class PreferenceTests(PointsCase):
    """A preferred server is one that can have it."""

    def test_unknown(self) -> None:
        """A server that is none is perhaps another one."""
        assert_that(
            self.wrong({"id": "a", "prefer": "flip3"}),
            equal_to([f'{DATA}[0].prefer: there is no such server: "flip3"; did you mean "flip"?']),
        )

    def test_not_listed(self) -> None:
        """A server that does not list the system never has its data."""
        (problem,) = self.wrong({"id": "a", "prefer": "flip2"})
        cure = "add it to its systems, or prefer a server that does"
        expected = f'{DATA}[0].prefer: "flip2" does not list the system "ip": {cure}'
        assert_that(problem, equal_to(expected))

    def test_not_divided(self) -> None:
        """Where nothing is divided there is nothing to prefer."""
        for type in ("replicated", "failover"):
            self.ip["type"] = type
            (problem,) = self.wrong({"id": "a", "prefer": "flip"})
            expected = f"only data that is divided has it: the system's type is {type}"
            assert_that(problem, equal_to(f"{DATA}[0].prefer: {expected}"))

    def test_too_many(self) -> None:
        """More than a fair share unbalance the division: a warning."""
        self.ip["data"] = ["a", *({"id": id, "prefer": "flip"} for id in "bcde")]
        message = "4 data points prefer flip, whose fair share of 5 is 3: it has 4 of them"
        assert_that(self.warnings(), equal_to([f"{DATA}: {message}"]))
        self.servers["flip"]["weight"] = 2
        assert_that(self.warnings(), empty())


class WeightTests(PointsCase):
    """A weight is a whole number from 1 on."""

    def test_default(self) -> None:
        """All servers weigh the same, 1."""
        self.servers["flip1"]["weight"] = 3
        servers = self.load().servers
        assert_that([servers[id].weight for id in ("flip", "flip1")], equal_to([1, 3]))

    def test_nothing(self) -> None:
        """Whoever shall hold nothing lists no system."""
        for weight in (0, 1.5, 10_001):
            self.servers["flip"]["weight"] = weight
            expected = "expected a whole number from 1 to 10000 (to hold nothing of a system, a"
            expected += f" server does not list it), not {weight}"
            assert_that(self.problems(), equal_to([f"servers.flip.weight: {expected}"]))


class LimitTests(PointsCase):
    """What hooks and packets can carry."""

    def test_config(self) -> None:
        """The config of one data point has to fit an argument, too."""
        (problem,) = self.wrong({"id": "a", "config": {"x": "y" * 100_000}})
        assert_that(problem.startswith(f"{DATA}[0].config: takes 1000"), equal_to(True))

    def test_exclusive(self) -> None:
        """An id has to fit a question to the voters; members do not travel."""
        self.ip["exclusive"] = True
        assert_that(self.wrong(["a", "b" * 300]), empty())
        (problem,) = self.wrong(["b" * 300, "a"])
        assert_that(problem.startswith(f"{DATA}[0]: takes 300 bytes"), equal_to(True))

    def test_time(self) -> None:
        """A large group with a short timeout leaves little for each hook: a warning."""
        self.ip["hook_timeout"] = 500
        self.ip["data"] = ["z", [f"10.0.0.{n}" for n in range(6)]]
        message = "each of the 6 hooks of 10.0.0.0 has 83 ms of hook_timeout: raise that"
        assert_that(self.warnings(), equal_to([f"{DATA}[1]: {message}"]))


class DigestTests(PointsCase):
    """The digest names what is divided how; without news it is that of earlier versions."""

    def test_as_before(self) -> None:
        """What says no more than a text has the digest of the text."""
        for data in (
            ["192.168.0.2", "192.168.0.1"],
            [["192.168.0.2"], "192.168.0.1"],
            [{"id": "192.168.0.2", "config": {"dev": "eth1"}}, {"id": "192.168.0.1"}],
        ):
            assert_that(self.digest(*data), equal_to(GOOD_DIGEST))
        self.servers["flip"]["weight"] = 1
        assert_that(self.digest(), equal_to(GOOD_DIGEST))

    def test_news(self) -> None:
        """Members, their order, preferences and weights are part of it."""
        one, two = "192.168.0.2", "192.168.0.1"
        digests = [
            self.digest(one, two),
            self.digest([one, "x"], two),
            self.digest([one, "x", "y"], two),
            self.digest([one, "y", "x"], two),
            self.digest(one, [two, "x"]),
            self.digest({"id": one, "members": ["x"]}, two),
            self.digest({"id": one, "prefer": "flip"}, two),
            self.digest({"id": one, "prefer": "flip1"}, two),
        ]
        self.servers["flip"]["weight"] = 2
        digests.append(self.digest(one, two))
        self.servers["flip"]["weight"] = 3
        digests.append(self.digest(one, two))
        self.ip["type"] = "failover"
        digests.append(self.digest(one, two))
        assert_that(len(set(digests)), equal_to(len(digests)))


texts = st.text(max_size=3)
groups = st.lists(texts, min_size=1, max_size=4, unique=True)
written = texts | groups | st.fixed_dictionaries({"id": texts}, optional={"members": groups})


class LawTests(SynchronousTestCase):
    """Whatever is written."""

    @given(written)
    def test_json(self, one: Any) -> None:
        """A data point has an id and one or more members, also when it comes from JSON."""
        again = json.loads(json.dumps(one))
        assert_that([id_of(again), members_of(again)], equal_to([id_of(one), members_of(one)]))
        assert_that(len(members_of(one)) > 0, equal_to(True))
