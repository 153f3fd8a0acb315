"""Tests for `flip.config.rules`: what the settings must be to one another."""

from __future__ import annotations

from hamcrest import assert_that, contains_inanyorder, empty, equal_to

from tests.config.case import ConfigurationCase


class QuorumTests(ConfigurationCase):
    """A quorum is at least 1 and at most all servers."""

    def test_too_many(self) -> None:
        """More servers than there are can never agree."""
        self.description["quorum"] = 4
        expected = "quorum: expected at most 3, the number of servers, not 4"
        assert_that(self.problems(), equal_to([expected]))

    def test_too_few(self) -> None:
        """Nobody alone agrees."""
        self.description["quorum"] = 0
        expected = "quorum: expected a whole number from 1 to 65535, not 0"
        assert_that(self.problems(), equal_to([expected]))

    def test_default(self) -> None:
        """Without one it is a majority."""
        del self.description["quorum"]
        assert_that(self.load().quorum, equal_to(2))
        del self.servers["flip2"]
        assert_that(self.load().quorum, equal_to(2))
        self.servers |= {f"more{n}": {"ip": "127.0.0.1", "port": n} for n in range(1, 4)}
        assert_that(self.load().quorum, equal_to(3))


class SystemsTests(ConfigurationCase):
    """Servers list systems that exist, and every system is listed."""

    def test_unknown(self) -> None:
        """A system that does not exist is perhaps another one."""
        self.servers["flip2"]["systems"] = ["ipp", "jobs"]
        self.servers["flip"]["systems"] = ["ip", "IP"]
        assert_that(
            self.problems(),
            contains_inanyorder(
                'servers.flip2.systems[0]: there is no system "ipp"; did you mean "ip"?',
                'servers.flip2.systems[1]: there is no system "jobs"; there are ip',
                'servers.flip.systems[1]: there is no system "IP"; did you mean "ip"?',
            ),
        )

    def test_unused(self) -> None:
        """A system that nobody can hold is a mistake."""
        self.systems["job"] = self.systems["ip"] | {"data": ["a"]}
        expected = (
            'cluster.system.job: no server lists it: name it in the "systems" of the servers that'
            " can hold it"
        )
        assert_that(self.problems(), equal_to([expected]))

    def test_other_spelling(self) -> None:
        """`system` is accepted for `systems`."""
        self.servers["flip"]["system"] = self.servers["flip"].pop("systems")
        assert_that(self.load().servers["flip"].systems, equal_to(("ip",)))

    def test_both_spellings(self) -> None:
        """But not both."""
        self.servers["flip"]["system"] = ["ip"]
        expected = (
            'servers.flip.system: another spelling of "systems", which is there too; keep one of'
            " them"
        )
        assert_that(self.problems(), equal_to([expected]))

    def test_twice(self) -> None:
        """A system twice in a list is a slip."""
        self.servers["flip"]["systems"] = ["ip", "ip"]
        expected = 'servers.flip.systems[1]: "ip" is in servers.flip.systems[0] already'
        assert_that(self.problems(), equal_to([expected]))


class ConsequencesTests(ConfigurationCase):
    """A mistake is reported once, and what follows from it is not."""

    def test_broken_system(self) -> None:
        """A system that cannot be read still exists."""
        self.systems["ip"] = "shard"
        expected = 'cluster.system.ip: expected an object with alive, down and data, not "shard"'
        assert_that(self.problems(), equal_to([expected]))

    def test_broken_systems(self) -> None:
        """Without any system to be read, none is missed."""
        self.description["cluster"]["systm"] = self.description["cluster"].pop("system")
        assert_that(
            self.problems(),
            equal_to(
                [
                    'cluster.systm: there is no such setting; did you mean "system"?',
                    "cluster.system: missing; expected an object with the systems, by name",
                ]
            ),
        )

    def test_broken_list(self) -> None:
        """Whoever lists a system where nobody can read it may be the one."""
        del self.servers["flip1"]
        for settings in (
            {"sistems": ["ip"]},
            {"systems": "ip"},
            {"systems": [["ip"]]},
        ):
            self.servers["flip"] = {"ip": "127.0.0.1", "port": 2200} | settings
            assert_that(len(self.problems()), equal_to(1))
        self.servers["flip"] = "ip"
        assert_that(len(self.problems()), equal_to(1))

    def test_broken_server(self) -> None:
        """A server that cannot be read is one of the servers."""
        self.servers["flip2"] = None
        self.description |= {"id": "flip2", "quorum": 3}
        expected = "servers.flip2: expected an object with ip and port, not null"
        assert_that(self.problems(), equal_to([expected]))

    def test_no_servers(self) -> None:
        """Nor is anything else compared with servers that are not there."""
        self.description["servers"] = []
        expected = "servers: expected an object with at least one server, by id, not a list"
        assert_that(self.problems(), equal_to([expected]))
        self.description["servers"] = {}
        assert_that(self.problems()[0], equal_to(expected.replace("a list", "an object")))

    def test_several(self) -> None:
        """Mistakes of all kinds come in one report."""
        self.description["quorum"] = 9
        self.servers["flip1"]["port"] = "x"
        self.servers["flip2"] |= {"ip": "::1", "prt": 5}
        self.systems["ip"]["data"].append(5)
        self.description["control"] = "/" + "x" * 200
        assert_that(len(self.problems(id="nobody")), equal_to(7))


class SizeTests(ConfigurationCase):
    """What has to fit somewhere later is measured now."""

    def test_names(self) -> None:
        """Names travel in packets, in UTF-8."""
        self.servers["ö" * 33] = {"ip": "127.0.0.1", "port": 2300}
        expected = "the name takes 66 bytes in UTF-8; at most 64 fit a packet"
        assert_that(self.problems(), equal_to([f"servers.{'ö' * 33}: {expected}"]))

    def test_config(self) -> None:
        """A hook gets its config as an argument, and the system limits those."""
        self.systems["ip"]["config"]["table"] = "x" * 60_000
        assert_that(self.problems(), empty())
        self.description["cluster"]["config"]["more"] = "x" * 60_000
        expected = (
            "cluster.system.ip.config: takes 120038 bytes as JSON, with cluster.config; at most"
            " 100000 can be handed to a hook: put the rest into a file and its path here"
        )
        assert_that(self.problems(), equal_to([expected]))
