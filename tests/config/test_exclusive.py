"""Tests for `flip.config.exclusive`: the settings of exclusive systems."""

from __future__ import annotations

from hamcrest import assert_that, close_to, contains_inanyorder, empty, equal_to
from hypothesis import given
from hypothesis import strategies as st

from flip.config.exclusive import MAX_DATUM, hook_timeout, lease, shortest_lease
from flip.config.vocabulary import MAX_VOTERS
from tests.config.case import ConfigurationCase
from tests.matchers import has_item, is_not


class ExclusiveCase(ConfigurationCase):
    """The good configuration, with an exclusive system."""

    def setUp(self) -> None:
        super().setUp()
        self.ip = self.systems["ip"]
        self.ip["exclusive"] = True

    def add_servers(self, count: int) -> None:
        """More servers, up to `count`."""
        for number in range(len(self.servers), count):
            self.servers[f"more{number}"] = {"ip": "127.0.0.1", "port": 3000 + number}
        del self.description["quorum"]


class DefaultTests(ExclusiveCase):
    """What nobody has to say."""

    def test_defaults(self) -> None:
        """A second for hooks, twice what a lease is for, all servers vote, isolation releases."""
        system = self.load().systems["ip"]
        assert_that(system.exclusive, equal_to(True))
        assert_that([system.hook_timeout, system.lease], equal_to([1.0, 5.0]))
        assert_that(system.voters, equal_to(("flip", "flip1", "flip2")))
        assert_that(system.on_isolation, equal_to("release"))

    def test_ordinary(self) -> None:
        """Of all that an ordinary system has nothing; "exclusive": false is ordinary."""
        self.ip["exclusive"] = False
        system = self.load().systems["ip"]
        assert_that([system.exclusive, system.lease, system.voters], equal_to([False, 0.0, ()]))
        assert_that([system.hook_timeout, system.on_isolation], equal_to([10.0, "hold"]))

    def test_given(self) -> None:
        """What is said stands."""
        self.ip |= {
            "lease": 9000,
            "hook_timeout": 2000,
            "voters": ["flip2", "flip"],
            "on_isolation": "release",
        }
        system = self.load().systems["ip"]
        assert_that([system.lease, system.hook_timeout], equal_to([9.0, 2.0]))
        assert_that(system.voters, equal_to(("flip", "flip2")))

    @given(st.integers(10, 10_000), st.none() | st.integers(10, 10_000))
    def test_lease(self, ping: int, hook: int | None) -> None:
        """The default is never too short."""
        described = {"exclusive": True} | ({} if hook is None else {"hook_timeout": hook})
        top = {"ping_timeout": ping}
        assert lease(top, described) >= shortest_lease(top, described)
        usual = 2 * ping + 2 * hook_timeout(described)
        if ping + hook_timeout(described) >= 300:
            assert_that(lease(top, described), close_to(usual, 1e-9))


class RuleTests(ExclusiveCase):
    """What an exclusive system must be."""

    def test_replicate(self) -> None:
        """One owner, and one on every server, is a contradiction."""
        self.ip["type"] = "replicated"
        assert_that(
            self.problems(),
            equal_to(
                [
                    "cluster.system.ip.type: an exclusive system has one owner for each data point:"
                    ' expected shard, sharded or failover, not "replicated"'
                ]
            ),
        )

    def test_hold(self) -> None:
        """Without voters nothing is held."""
        self.ip["on_isolation"] = "hold"
        assert_that(
            self.problems(),
            equal_to(
                [
                    "cluster.system.ip.on_isolation: an exclusive system cannot hold without its"
                    " voters: expected release, not hold"
                ]
            ),
        )

    def test_quorum(self) -> None:
        """A quorum that two sides can have is no majority; other systems may have one."""
        self.add_servers(4)
        self.description["quorum"] = 2
        expected = (
            "quorum: 2 of 4 is no majority, which exclusive systems (ip) need: expected at least 3"
        )
        assert_that(self.problems(), equal_to([expected]))
        self.ip["exclusive"] = False
        assert_that(self.problems(), empty())

    def test_lease(self) -> None:
        """Too short a lease is told the shortest, and what it is made of."""
        self.ip["lease"] = 3499
        assert_that(
            self.problems(),
            equal_to(
                [
                    "cluster.system.ip.lease: expected at least 3500 (ping_timeout 1500"
                    " + hook_timeout 1000 + 1000), not 3499"
                ]
            ),
        )
        self.ip["lease"] = 3500
        assert_that(self.problems(), empty())

    def test_short_hooks(self) -> None:
        """However short hooks are, the guard takes its time."""
        self.ip |= {"hook_timeout": 100, "lease": 1899}
        assert_that(
            self.problems(),
            equal_to(
                [
                    "cluster.system.ip.lease: expected at least 1900 (ping_timeout 1500"
                    " + hook_timeout 100 + 300), not 1899"
                ]
            ),
        )

    def test_wrong_parts_of_a_lease(self) -> None:
        """What a lease is made of is not judged while a part of it is no time at all."""
        self.ip |= {"hook_timeout": "1s", "lease": 20}
        assert_that(
            self.problems(),
            equal_to(
                [
                    "cluster.system.ip.hook_timeout: expected a number of milliseconds from 10 to"
                    ' 86400000, not "1s"'
                ]
            ),
        )

    def test_too_many_voters(self) -> None:
        """More servers than can vote: somebody has to say who does."""
        self.add_servers(MAX_VOTERS + 1)
        expected = (
            "cluster.system.ip.voters: missing; with 16 servers, name those that vote, at most 15"
        )
        assert_that(self.problems(), equal_to([expected]))
        self.ip["voters"] = ["flip", "flip1", "flip2"]
        assert_that(self.problems(), empty())
        self.ip["voters"] = list(self.servers)
        assert_that(
            self.problems(),
            equal_to(
                [
                    "cluster.system.ip.voters: expected a list of 1 to 15 ids of servers, each"
                    " once, not a list"
                ]
            ),
        )

    def test_fifteen(self) -> None:
        """Fifteen are all voters by default."""
        self.add_servers(MAX_VOTERS)
        assert_that(len(self.load().systems["ip"].voters), equal_to(MAX_VOTERS))

    def test_unknown_voters(self) -> None:
        """Each voter is a server, whether it lists the system or not."""
        self.ip["voters"] = ["flip", "flipp2", "arbiter"]
        assert_that(
            self.problems(),
            contains_inanyorder(
                "cluster.system.ip.voters[1]: there is no such server:"
                ' "flipp2"; did you mean "flip2"?',
                "cluster.system.ip.voters[2]: there is no such server:"
                ' "arbiter"; there are flip, flip1, flip2',
            ),
        )

    def test_no_voters(self) -> None:
        """Nobody is no list of voters, nor is one twice."""
        for voters in ([], ["flip", "flip"], "flip", [7]):
            self.ip["voters"] = voters
            assert_that(len(self.problems()), equal_to(1), str(voters))

    def test_only_in_exclusive_systems(self) -> None:
        """In another system a lease, and voters, would be a misunderstanding."""
        self.ip |= {"exclusive": False, "lease": 5000, "voters": ["flip"]}
        rest = 'only exclusive systems have it: set "exclusive": true, or remove it'
        expected = [
            f"cluster.system.ip.lease: {rest}",
            f"cluster.system.ip.voters: {rest}",
        ]
        assert_that(self.problems(), equal_to(expected))
        del self.ip["exclusive"]
        assert_that(self.problems(), equal_to(expected))

    def test_misspelt(self) -> None:
        """Whoever wrote something else than true or false is told that, and nothing else."""
        self.ip |= {"exclusive": "yes", "lease": 5000}
        expected = 'cluster.system.ip.exclusive: expected true or false, not "yes"'
        assert_that(self.problems(), equal_to([expected]))

    def test_long_data(self) -> None:
        """A data point has to fit a question about it, by its bytes."""
        self.ip["data"] = ["x" * MAX_DATUM, "ü" * (MAX_DATUM // 2 + 1)]
        expected = (
            "cluster.system.ip.data[1]: takes 258 bytes; in an exclusive system at most 256 fit a"
            " packet"
        )
        assert_that(self.problems(), equal_to([expected]))


class DigestTests(ExclusiveCase):
    """What nodes compare (R7)."""

    def test_parts(self) -> None:
        """Exclusive or not, who votes, and for how long: all of that."""
        digests = [self.load().digest]
        for change in ({"voters": ["flip", "flip1"]}, {"lease": 6000}, {"exclusive": False}):
            before = dict(self.ip)
            self.ip.update(change)
            digests.append(self.load().digest)
            self.ip.clear()
            self.ip.update(before)
        assert_that(len(set(digests)), equal_to(4))

    def test_order_of_voters(self) -> None:
        """Not the order in which voters are named."""
        self.ip["voters"] = ["flip", "flip1", "flip2"]
        digest = self.load().digest
        self.ip["voters"].reverse()
        assert_that(self.load().digest, equal_to(digest))

    def test_ordinary(self) -> None:
        """That of ordinary systems is what it was before there were others."""
        self.ip["exclusive"] = False
        assert_that(self.load().digest.hex(), equal_to("48b20b77c797a374"))


class DoubtTests(ExclusiveCase):
    """What is allowed, and probably not meant."""

    def test_even(self) -> None:
        """An even number of voters bears no more than one voter less."""
        self.ip["voters"] = ["flip", "flip2"]
        assert_that(
            self.warnings(),
            has_item(
                "cluster.system.ip.voters: an even number of voters, 2, bears the loss of none:"
                " make it 3"
            ),
        )
        self.add_servers(4)
        self.ip["voters"] = list(self.servers)
        assert_that(
            self.warnings(),
            has_item(
                "cluster.system.ip.voters: an even number of voters, 4, bears no more losses than"
                " 3: make it 5"
            ),
        )

    def test_odd(self) -> None:
        """Three voters are fine."""
        place = "cluster.system.ip.voters"
        assert_that([one for one in self.warnings() if place in one], is_not(has_item(place)))
