"""Tests for `flip.config.shape`."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, contains_inanyorder, empty, ends_with, equal_to, has_key
from twisted.trial.unittest import SynchronousTestCase

from flip.config.settings import SERVER, TOP, schema
from flip.config.shape import faults
from flip.config.system_settings import SYSTEM
from flip.config.vocabulary import TYPES
from tests.config.case import ConfigurationCase

KEYS = "a text that is not empty, or a list of such texts, each once"


class ValueTests(ConfigurationCase):
    """A value of the wrong kind: its place, what was expected, and the value."""

    def test_good(self) -> None:
        """Nothing is wrong with the description that these tests start from."""
        assert_that(self.problems(), empty())
        assert_that(self.warnings(), empty())

    def expect(self, settings: dict[str, Any], setting: str, value: Any, problem: str) -> None:
        """Try one wrong value."""
        before = settings.get(setting, KeyError)
        settings[setting] = value
        assert_that(self.problems(), equal_to([problem]))
        del settings[setting]
        if before is not KeyError:
            settings[setting] = before

    def test_whole_numbers(self) -> None:
        """A port is a whole number in its range: no text, no fraction, no truth value."""
        place = "servers.flip1.port: expected a whole number from 1 to 65535, not"
        for value, shown in (
            (0, "0"), (65536, "65536"), (-1, "-1"), (2200.5, "2200.5"), ("2200", '"2200"'),
            (True, "true"), (None, "null"), ([2200], "a list"), ({}, "an object"),
        ):  # fmt: skip
            self.expect(self.servers["flip1"], "port", value, f"{place} {shown}")

    def test_whole_number_with_a_point(self) -> None:
        """2200.0 is a whole number to JSON, and an int to us."""
        self.servers["flip"]["port"] = 2200.0
        port = self.load().servers["flip"].port
        assert_that((port, type(port)), equal_to((2200, int)))

    def test_milliseconds(self) -> None:
        """Times have a range too."""
        for setting, least in (("gossip_interval", 10), ("ping_timeout", 10)):
            expected = f"expected a number of milliseconds from {least} to 86400000"
            for value in (9, 86400001, "1000", False):
                shown = {"1000": '"1000"', False: "false"}.get(value, value)
                self.expect(self.description, setting, value, f"{setting}: {expected}, not {shown}")

    def test_choices(self) -> None:
        """Where there is a choice, all of it is told."""
        self.expect(
            self.description,
            "log_level",
            "warn",
            'log_level: expected one of debug, info, warning, error, fatal, not "warn"',
        )
        self.expect(
            self.systems["ip"],
            "type",
            "shards",
            f'cluster.system.ip.type: expected one of {", ".join(TYPES)}, not "shards"',
        )
        self.expect(
            self.systems["ip"],
            "on_isolation",
            True,
            "cluster.system.ip.on_isolation: expected one of hold, release, not true",
        )

    def test_other_types(self) -> None:
        """Texts, lists, objects and truth values."""
        wrong: tuple[tuple[dict[str, Any], str, object, str], ...] = (
            (self.systems["ip"], "cluster.system.ip.alive", "", "a program's name or path"),
            (self.systems["ip"], "cluster.system.ip.down", "a\0b", "a program's name or path"),
            (self.systems["ip"], "cluster.system.ip.config", [], "an object"),
            (self.systems["ip"], "cluster.system.ip.remove_on_start", 1, "true or false"),
            (self.description, "state_dir", 5, "a path"),
            (self.description, "cluster", [], "an object with the systems"),
        )
        texts = {"": '""', "a\0b": '"a\\u0000b"'}
        for settings, place, value, expected in wrong:
            shown = texts.get(str(value), value)
            shown = "a list" if value == [] else shown
            setting = place.rpartition(".")[2]
            self.expect(settings, setting, value, f"{place}: expected {expected}, not {shown}")

    def test_addresses(self) -> None:
        """An ip is an address, not a name, and has no port or mask."""
        for value in ("localhost", "10.0.0.256", "10.0.0.1/24", "10.0.0.01", "::1:", "", " ::1"):
            self.expect(
                self.servers["flip"],
                "ip",
                value,
                f'servers.flip.ip: expected an IPv4 or IPv6 address, not "{value}"',
            )

    def test_data(self) -> None:
        """Data points are texts, each once, without NUL, and not too long for a hook."""
        data = self.systems["ip"]["data"]
        data += [7, "192.168.0.2", "a\0", "x" * 5000]
        place = "cluster.system.ip.data"
        expected = "expected a text of at most 4096 characters, without NUL"
        assert_that(
            self.problems(),
            contains_inanyorder(
                f"{place}[2]: {expected}, a list of such texts, or an object with an id, not 7",
                f'{place}[3]: "192.168.0.2" is in {place}[0] already',
                f'{place}[4]: {expected}, not "a\\u0000"',
                f'{place}[5]: {expected}, not "{"x" * 60}..."',
            ),
        )

    def test_no_data(self) -> None:
        """A system may have no data yet."""
        self.systems["ip"]["data"] = []
        assert_that(self.load().systems["ip"].data, equal_to(()))

    def test_large_wrong_data(self) -> None:
        """A number among many texts costs no quadratic time."""
        data = [f"10.{n // 65536}.{n // 256 % 256}.{n % 256}" for n in range(20_000)]
        self.systems["ip"]["data"] = [*data, 7]
        assert_that(len(self.problems()), equal_to(1))

    def test_names(self) -> None:
        """Ids stand in paths and lists, so not everything is one."""
        for id in ("", "..", ".", "a/b", "a,b", " a", "a\n", "a\x85", "x" * 65):
            self.servers[id] = {"ip": "127.0.0.1", "port": 2300}
            (problem,) = self.problems()
            assert_that(
                problem.partition(": ")[2],
                equal_to(
                    'a bad name; expected 1 to 64 characters, no "/", "," or control characters, no'
                    ' blanks around them, and not "." or ".."'
                ),
            )
            del self.servers[id]
        for id in ("a b", "node-1.example.com", "knöten", "...", "{id}", "x" * 64):
            self.servers[id] = {"ip": "127.0.0.1", "port": 2300}
            assert_that(self.problems(), empty())
            del self.servers[id]


class KeyTests(ConfigurationCase):
    """The key is a text or a list of texts; what is wrong with it is told without it."""

    def test_good(self) -> None:
        """One key, or several of which the first seals."""
        assert_that(self.load().keys, equal_to(("correct horse battery staple",)))
        self.description["key"] = ["a" * 20, "b" * 20]
        assert_that(self.load().keys, equal_to(("a" * 20, "b" * 20)))

    def test_wrong(self) -> None:
        """No number, no empty text, no empty list."""
        for value, shown in (
            ("", '""'), (271828, "this"), ([], "this"), (["a" * 20, 271828], "this"),
            (None, "null"),
        ):  # fmt: skip
            self.description["key"] = value
            assert_that(self.problems(), equal_to([f"key: expected {KEYS}, not {shown}"]))

    def test_missing(self) -> None:
        """There is no cluster without one."""
        del self.description["key"]
        assert_that(self.problems(), equal_to([f"key: missing; expected {KEYS}"]))


class NameTests(ConfigurationCase):
    """Settings that are unknown, or missing."""

    def test_did_you_mean(self) -> None:
        """An unknown setting is perhaps another one, misspelt."""
        self.description["gosip_interval"] = 100
        self.description["Quorum"] = 2
        self.servers["flip"]["prio"] = 1
        self.systems["ip"]["hooktimeout"] = 100
        self.description["cluster"]["systems"] = {}
        there_is = "there is no such setting; did you mean"
        assert_that(
            self.problems(),
            contains_inanyorder(
                f'gosip_interval: {there_is} "gossip_interval"?',
                f'Quorum: {there_is} "quorum"?',
                f'servers.flip.prio: {there_is} "priority"?',
                f'cluster.system.ip.hooktimeout: {there_is} "hook_timeout"?',
                f'cluster.systems: {there_is} "system"?',
            ),
        )

    def test_elsewhere(self) -> None:
        """Or one that belongs to another place."""
        self.description["hook_timeout"] = 100
        self.systems["ip"]["key"] = "secret"
        self.description["cluster"]["port"] = 1
        belongs = "there is no such setting; it belongs to"
        assert_that(
            self.problems(),
            contains_inanyorder(
                f"hook_timeout: {belongs} cluster.system.NAME",
                f"cluster.system.ip.key: {belongs} the top of the file",
                f"cluster.port: {belongs} servers.ID",
            ),
        )

    def test_nothing_like_it(self) -> None:
        """Else all that there are."""
        self.description["cluster"]["zzz"] = 1
        expected = "cluster.zzz: there is no such setting; there are config, system"
        assert_that(self.problems(), equal_to([expected]))

    def test_missing(self) -> None:
        """Each missing setting is named once, with what it should be."""
        self.systems["ip"] = {}
        self.servers["flip1"] = {"systems": ["ip"]}
        place, provider = "cluster.system.ip", '"provider": "address"'
        assert_that(
            self.problems(),
            contains_inanyorder(
                f"{place}.alive: missing; expected a program's name or path, or {provider}",
                f"{place}.down: missing; expected a program's name or path, or {provider}",
                f"{place}.type: missing; expected one of {', '.join(TYPES)}",
                f"{place}.data: missing; expected a list of data points, each once",
                "servers.flip1.ip: missing; expected an IPv4 or IPv6 address",
                "servers.flip1.port: missing; expected a whole number from 1 to 65535",
            ),
        )

    def test_quoted_places(self) -> None:
        """An id with dots in it does not look like a path."""
        self.servers["a.example"] = 5
        expected = 'servers."a.example": expected an object with ip and port, not 5'
        assert_that(self.problems(), equal_to([expected]))


class SchemaTests(SynchronousTestCase):
    """The schema itself."""

    def test_valid(self) -> None:
        """It is one."""
        from jsonschema import Draft202012Validator

        Draft202012Validator.check_schema(schema())

    def test_defaults(self) -> None:
        """Every default that is a JSON value is one that the file may have."""
        from jsonschema import Draft202012Validator

        for setting in (*TOP, *SERVER, *SYSTEM):
            if isinstance(setting.default, bool | int | float | str):
                Draft202012Validator(setting.schema).validate(setting.default)

    def test_described(self) -> None:
        """Whatever can be wrong says what was expected, and what it is for."""
        for setting in (*TOP, *SERVER, *SYSTEM):
            assert_that(setting.text, ends_with("."))
            if setting.name not in ("servers", "cluster"):
                assert_that(setting.schema, has_key("description"))

    def test_any_root(self) -> None:
        """Anything at all can be checked."""
        values: tuple[object, ...] = (None, True, 5, "text", [], [[]], {})
        for value in values:
            assert_that(list(faults(value)) != [], equal_to(True))
