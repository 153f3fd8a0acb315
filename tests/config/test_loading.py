"""Tests for `flip.config.loading`."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path
from typing import Any

from hamcrest import assert_that, contains_inanyorder, contains_string, empty, equal_to
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

import flip
from flip.config import Config, load
from flip.config.points import id_of, members_of
from flip.errors import ConfigError
from tests.config.case import ENVIRON, ConfigurationCase
from tests.config.strategies import anything, good, nearly_good

EXAMPLE = Path(flip.__file__).parent.parent / "etc" / "flip.json"


class ReportTests(ConfigurationCase):
    """What the user reads."""

    def report(self) -> str:
        with self.assertRaises(ConfigError) as caught:
            self.load()
        return str(caught.exception)

    def test_several(self) -> None:
        """The file, how many problems, and one line for each."""
        self.description["quorum"] = 4
        self.servers["flip1"]["port"] = 0
        expected = (
            f"{self.path}: 2 problems\n"
            "  quorum: expected at most 3, the number of servers, not 4\n"
            "  servers.flip1.port: expected a whole number from 1 to 65535, not 0"
        )
        assert_that(self.report(), equal_to(expected))

    def test_order(self) -> None:
        """In the order of the file; what is missing comes last of its place."""
        self.servers |= {f"flip{n}": {"ip": n, "x": 1} for n in (9, 5, 7)}
        del self.description["key"]
        places = [problem.partition(":")[0] for problem in self.problems()]
        expected = [f"servers.flip{n}.{name}" for n in (9, 5, 7) for name in ("ip", "x", "port")]
        assert_that(places, equal_to([*expected, "key"]))

    def test_one(self) -> None:
        """One problem is one."""
        self.description["quorum"] = 4
        assert_that(self.report(), contains_string(": 1 problem\n"))

    def test_whole_file(self) -> None:
        """What is wrong with the file as such is told in one line."""
        with self.assertRaises(ConfigError) as caught:
            load("nosuch.json", environ={})
        expected = "nosuch.json: no such file; name the configuration with -c FILE"
        assert_that(str(caught.exception), equal_to(expected))

    def test_no_object(self) -> None:
        """JSON that is no object is no configuration."""
        for text, found in (("[]", "a list"), ("null", "null"), ('"a"', '"a"'), ("5", "5")):
            self.path.write_text(text)
            with self.assertRaises(ConfigError) as caught:
                load(self.path, environ={})
            expected = f"{self.path}: expected an object, {{...}}, not {found}"
            assert_that(str(caught.exception), equal_to(expected))

    def test_repeated_name(self) -> None:
        """A name that is there twice is reported beside everything else."""
        self.path.write_text('{"id": "a", "id": "b", "servers": {}, "servers": {}}')
        with self.assertRaises(ConfigError) as caught:
            load(self.path, environ={})
        places = [problem.place for problem in caught.exception.problems]
        assert_that(places, contains_inanyorder("id", "servers", "servers", "key", "cluster"))


class IdTests(ConfigurationCase):
    """Who this node is."""

    def test_precedence(self) -> None:
        """`--id` comes before FLIP_ID, and that before the file."""
        assert_that(self.load().id, equal_to("flip"))
        assert_that(self.load(FLIP_ID="flip1").id, equal_to("flip1"))
        assert_that(self.load("flip2", FLIP_ID="flip1").id, equal_to("flip2"))

    def test_empty_variable(self) -> None:
        """An empty FLIP_ID says nothing."""
        assert_that(self.load(FLIP_ID="").id, equal_to("flip"))

    def test_only_from_outside(self) -> None:
        """The file need not say it."""
        del self.description["id"]
        assert_that(self.load("flip2").me.id, equal_to("flip2"))
        expected = "id: missing; expected one of the servers, here, with --id or in FLIP_ID"
        assert_that(self.problems(), equal_to([expected]))

    def test_unknown(self) -> None:
        """A node that is no server is told where its name came from."""
        no_such = "and there is no such server; did you mean"
        for problems, source in (
            (self.problems("flip3"), "--id says"),
            (self.problems(FLIP_ID="flip3"), "the variable FLIP_ID says"),
        ):
            (problem,) = problems
            assert_that(problem, contains_string(f'id: {source} "flip3", {no_such} "flip'))
        self.description["id"] = "other"
        expected = (
            'id: the file says "other", and there is no such server; there are flip, flip1, flip2'
        )
        assert_that(self.problems(), equal_to([expected]))

    def test_overridden(self) -> None:
        """What the file says does not matter when somebody else says it."""
        self.description["id"] = "other"
        assert_that(self.load("flip1").id, equal_to("flip1"))


class ValueTests(ConfigurationCase):
    """The values of a good file."""

    def test_story(self) -> None:
        """etc/flip.json is good; on Linux it lacks its interface, and its key is short."""
        config = load(EXAMPLE, environ=ENVIRON)
        assert_that([*config.servers], equal_to(["flip1", "flip", "flip2"]))
        assert_that(
            (config.quorum, config.gossip_interval, config.ping_timeout), equal_to((2, 1.0, 1.5))
        )
        assert_that(config.servers_of("ip"), equal_to(("flip1", "flip")))
        assert_that(config.systems["ip"].config, equal_to({"interface": "lo0"}))
        assert_that(config.path, equal_to(EXAMPLE))
        doubtful = {warning.place for warning in config.warnings}
        assert_that(doubtful - {"cluster.system.ip.config.interface"}, equal_to({"key"}))

    def test_defaults(self) -> None:
        """What the file leaves out."""
        for setting in (
            "quorum",
            "gossip_interval",
            "ping_timeout",
            "ping_per_interval",
            "log_level",
        ):
            del self.description[setting]
        config = self.load()
        assert_that(
            (config.quorum, config.gossip_interval, config.ping_timeout, config.ping_per_interval),
            equal_to((2, 1.0, 1.5, 3)),
        )
        assert_that(
            (config.log_level, config.config_version, config.max_packet, config.bind),
            equal_to(("info", 0, 1232, None)),
        )
        system = config.systems["ip"]
        assert_that(
            (system.delay, system.hook_timeout, system.hook_concurrency, system.remove_on_start),
            equal_to((0.05, 10.0, 4, True)),
        )
        assert_that(
            (system.on_isolation, system.alive_attempts, system.retry_after),
            equal_to(("hold", 3, 60.0)),
        )

    def test_order_of_servers(self) -> None:
        """By priority, the lowest first; without one last; then by id."""
        priorities: list[tuple[str, dict[str, Any]]] = [
            ("z", {"priority": -1.5}),
            ("flip", {}),
            ("b", {"priority": 3}),
            ("a", {"priority": 3.0}),
            ("Z", {}),
            ("c", {"priority": 0}),
        ]
        self.description["servers"] = {
            id: {"ip": "127.0.0.1", "port": 2200 + number, "systems": ["ip"]} | priority
            for number, (id, priority) in enumerate(priorities)
        }
        assert_that([*self.load().servers], equal_to(["z", "c", "a", "b", "Z", "flip"]))

    def test_order_of_systems(self) -> None:
        """By name, so that it does not matter how a file is sorted."""
        for name in ("b", "a", "z"):
            self.systems[name] = self.systems["ip"]
        self.servers["flip"]["systems"] = ["z", "b", "ip", "a"]
        config = self.load()
        assert_that([*config.systems], equal_to(["a", "b", "ip", "z"]))

    def test_aliases(self) -> None:
        """The types have two names each."""
        for alias, name in (("sharded", "shard"), ("replicated", "replicate")):
            self.systems["ip"]["type"] = alias
            assert_that(self.load().systems["ip"].type, equal_to(name))

    def test_config(self) -> None:
        """A system's config lies over the cluster's, key by key."""
        self.description["cluster"]["config"] = {"dev": "eth0", "mtu": 1500, "x": {"a": 1}}
        self.systems["ip"]["config"] = {"dev": "lo", "x": {"b": 2}}
        expected = {"dev": "lo", "mtu": 1500, "x": {"b": 2}}
        assert_that(self.load().systems["ip"].config, equal_to(expected))

    def test_relative_file(self) -> None:
        """The path stays right when the daemon changes its directory."""
        config = load(str(EXAMPLE.parent / ".." / "etc" / "flip.json"), environ=ENVIRON)
        assert_that(config.path, equal_to(EXAMPLE))


class DigestTests(ConfigurationCase):
    """The digest names what the division depends on."""

    def digest(self, id: str | None = None) -> str:
        return self.load(id).digest.hex()

    def test_stable(self) -> None:
        """Nodes with other Pythons, and older ones, must come to the same bytes."""
        config = load(EXAMPLE, environ=ENVIRON)
        assert_that(config.digest.hex(), equal_to("48b20b77c797a374"))

    def test_same(self) -> None:
        """Who reads the file, how it is written and what does not matter are no difference."""
        before = self.digest()
        assert_that(self.digest("flip2"), equal_to(before))
        self.servers["flip"] |= {"ip": "10.0.0.1", "port": 1}
        self.servers["flip1"]["priority"] = 1.0
        self.systems["ip"] |= {"type": "sharded", "alive": "other", "config": {"a": 1}, "delay": 7}
        self.description |= {"gossip_interval": 50, "key": "x" * 20, "config_version": 5}
        self.description["servers"] = dict(reversed(self.servers.items()))
        assert_that(self.digest(), equal_to(before))

    def test_order_of_lists(self) -> None:
        """A server lists systems in any order; of data the order counts."""
        self.systems["job"] = self.systems["ip"] | {"data": []}
        self.servers["flip"]["systems"] = ["ip", "job"]
        before = self.digest()
        self.servers["flip"]["systems"] = ["job", "ip"]
        assert_that(self.digest(), equal_to(before))

    def test_zero(self) -> None:
        """There is one zero, though floats have two."""
        self.servers["flip"]["priority"] = 0
        before = self.digest()
        self.servers["flip"]["priority"] = -0.0
        assert_that(self.digest(), equal_to(before))

    def test_different(self) -> None:
        """Everything else is."""
        digests = {self.digest()}
        for place, change in (
            (self.servers, {"flip3": {"ip": "127.0.0.1", "port": 1}}),
            (self.servers["flip2"], {"systems": ["ip"]}),
            (self.servers["flip"], {"priority": 1}),
            (self.systems, {"ip2": self.systems["ip"] | {"data": []}}),
            (self.systems["ip"], {"type": "replicate"}),
            (self.systems["ip"], {"data": ["192.168.0.1", "192.168.0.2"]}),
            (self.systems["ip"], {"data": ["192.168.0.1"]}),
            (self.description, {"quorum": 3}),
        ):
            place |= change
            self.servers["flip"]["systems"] = [*self.systems]
            digests.add(self.digest())
        assert_that(len(digests), equal_to(9))


class LawTests(SynchronousTestCase):
    """What holds for every file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def load(self, description: Any, **style: Any) -> Config:
        self.path.write_text(json.dumps(description, **style))
        return load(self.path, environ=ENVIRON)

    @settings(deadline=None, max_examples=150)
    @given(nearly_good() | anything)
    def test_never_a_traceback(self, description: Any) -> None:
        """Whatever is in it, a file is good or has a report of at least one line."""
        try:
            self.load(description)
        except ConfigError as error:
            assert_that(len(error.problems) > 0, equal_to(True))
            assert_that(all(problem.message for problem in error.problems), equal_to(True))
            lines = str(error).split("\n")
            assert_that([line for line in lines if not line.isprintable()], empty())

    @settings(deadline=None, max_examples=50)
    @given(good())
    def test_round_trip(self, description: dict[str, Any]) -> None:
        """Every value of a good file is found again."""
        config = self.load(description)
        for setting in ("id", "quorum", "ping_per_interval", "log_level", "config_version", "bind"):
            if setting in description:
                assert_that(getattr(config, setting), equal_to(description[setting]))
        for id, server in description["servers"].items():
            found = config.servers[id]
            assert_that((found.ip, found.port), equal_to((server["ip"], server["port"])))
            assert_that([*found.systems], equal_to(server["systems"]))
            assert_that(found.priority, equal_to(server.get("priority")))
        for name, system in description["cluster"]["system"].items():
            found_system = dataclasses.asdict(config.systems[name])
            points = list(config.systems[name].points.values())
            assert_that([point.id for point in points], equal_to([*map(id_of, system["data"])]))
            members = [point.members for point in points]
            assert_that(members, equal_to([*map(members_of, system["data"])]))
            assert_that(found_system["config"], equal_to(system.get("config", {})))
            assert_that(system["type"], contains_string(found_system["type"]))
            for time in ("delay", "hook_timeout", "retry_after"):
                if time in system:
                    assert_that(found_system[time], equal_to(system[time] / 1000))
            for setting in ("alive", "down", "hook_concurrency", "on_isolation", "remove_on_start"):
                if setting in system:
                    assert_that(found_system[setting], equal_to(system[setting]))

    @settings(deadline=None, max_examples=25)
    @given(good(), st.randoms())
    def test_order_of_the_file(self, description: dict[str, Any], rng: random.Random) -> None:
        """How a file is sorted and laid out makes no difference."""
        config = self.load(description)
        again = self.load(_shuffled(description, rng), indent=3, ensure_ascii=False)
        for field in dataclasses.fields(config):
            if field.name != "warnings":
                assert_that(getattr(again, field.name), equal_to(getattr(config, field.name)))
        assert_that([*again.servers], equal_to([*config.servers]))
        assert_that([*again.systems], equal_to([*config.systems]))


def _shuffled(value: Any, rng: random.Random) -> Any:
    if not isinstance(value, dict):
        return value
    items = [(name, _shuffled(inner, rng)) for name, inner in value.items()]
    rng.shuffle(items)
    return dict(items)
