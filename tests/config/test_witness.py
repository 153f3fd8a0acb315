"""Tests for `flip.config.witness` and `urgency`: the witness, and being real-time."""

from __future__ import annotations

from typing import Any

from hamcrest import assert_that, contains_exactly, equal_to, none

from flip.config.values import Witness
from tests.config.case import ConfigurationCase
from tests.matchers import has_item

GATEWAY = "10.0.0.254"


class WitnessTests(ConfigurationCase):
    """Settings of the witness."""

    def setUp(self) -> None:
        super().setUp()
        del self.servers["flip2"]
        self.witness: dict[str, Any] = {"ping": [GATEWAY]}
        self.description["witness"] = self.witness

    def test_none(self) -> None:
        """There is none where none is named."""
        del self.description["witness"]
        assert_that(self.load().witness, none())

    def test_defaults(self) -> None:
        """Three pings in a `ping_timeout`, and six may be lost but one."""
        assert_that(self.load().witness, equal_to(Witness((GATEWAY,), 0.5, 3.0)))

    def test_fast(self) -> None:
        """A gateway is not asked more often than every 50 ms, unless somebody says so."""
        self.description["ping_timeout"] = 100
        assert_that(self.load().witness, equal_to(Witness((GATEWAY,), 0.05, 0.2)))
        self.description["ping_timeout"] = 20
        assert_that(self.load().witness, equal_to(Witness((GATEWAY,), 0.05, 0.1)))

    def test_given(self) -> None:
        """What is said stands; addresses are in their normal form."""
        self.witness |= {"ping": ["FD00:0::1", GATEWAY], "interval": 1000, "timeout": 2000}
        expected = Witness(("fd00::1", GATEWAY), 1.0, 2.0)
        assert_that(self.load().witness, equal_to(expected))

    def test_short_timeout(self) -> None:
        """One lost packet must not be all."""
        self.witness |= {"interval": 1000, "timeout": 1999}
        expected = "witness.timeout: expected at least 2 times the interval, 1000, not 1999"
        assert_that(self.problems(), equal_to([expected]))

    def test_exclusive(self) -> None:
        """Both sides of a cut can reach it, which exclusive systems must not bear."""
        self.systems["ip"]["exclusive"] = True
        (problem,) = self.problems()
        expected = "witness: not with exclusive systems (ip): both sides of a cut can reach it"
        assert_that(problem.partition(";")[0], equal_to(expected))

    def test_member(self) -> None:
        """A member is no witness."""
        self.servers["flip"]["ip"] = self.servers["flip1"]["ip"] = "10.0.0.1"
        self.witness["ping"] = ["10.0.0.1"]
        expected = "is servers.flip.ip: a member is asked anyway, and is no witness"
        assert_that(self.problems(), has_item(f"witness.ping[0]: 10.0.0.1 {expected}"))

    def test_addresses(self) -> None:
        """It has to be the address of one other host."""
        for address, message in (
            ("224.0.0.1", "is no address of one host"),
            ("0.0.0.0", "is no address of one host"),
            ("255.255.255.255", "is no address of one host"),
            ("::1", "is this host itself, which always answers"),
            ("::ffff:10.0.0.1", 'is IPv4 inside IPv6; write "10.0.0.1"'),
            ("fe80::1", 'needs its link: write "fe80::1%eth0"'),
        ):
            self.witness["ping"] = [GATEWAY, address]
            expected = f'witness.ping[1]: "{address}" {message}'
            assert_that(self.problems(), contains_exactly(expected))
        self.witness["ping"] = ["fe80::1%eth0"]
        loaded = self.load().witness
        assert_that(loaded and loaded.addresses, equal_to(("fe80::1%eth0",)))

    def test_malformed(self) -> None:
        """Nothing, too much, and something else."""
        for ping in ([], [GATEWAY, GATEWAY], ["gateway"], [f"10.1.0.{n}" for n in range(9)], 7):
            self.witness["ping"] = ping
            assert_that(len(self.problems()), equal_to(1))
        self.description["witness"] = {}
        (problem,) = self.problems()
        assert_that(problem, equal_to(
            "witness.ping: missing; expected a list of 1 to 8 addresses, each once"
        ))  # fmt: skip

    def test_no_digest(self) -> None:
        """It changes nothing about the division: nodes may name different ones."""
        digest = self.load().digest
        self.witness["ping"] = ["10.0.0.253"]
        assert_that(self.load().digest, equal_to(digest))


class RealtimeTests(ConfigurationCase):
    """The priority that is asked for."""

    def test_values(self) -> None:
        """None by default, 10 for true, or what is said."""
        assert_that(self.load().realtime, equal_to(0))
        for given, priority in ((True, 10), (False, 0), (1, 1), (99, 99)):
            self.description["realtime"] = given
            assert_that(self.load().realtime, equal_to(priority))

    def test_malformed(self) -> None:
        """Anything else is an error."""
        for given in (0, 100, -1, 1.5, "yes", None):
            self.description["realtime"] = given
            (problem,) = self.problems()
            expected = "realtime: expected true, false, or a priority from 1 to 99"
            assert_that(problem.partition(", not")[0], equal_to(expected))
