"""Tests for `flip.config.checks`: the settings of health checks and failback."""

from __future__ import annotations

import math
from typing import Any

from hamcrest import assert_that, contains_inanyorder, empty, equal_to, none
from hypothesis import given, settings
from hypothesis import strategies as st

from flip.config import Check
from flip.config.checks import host_and_port
from tests.config.case import ConfigurationCase

PLACE = "cluster.system.ip.check"


class CheckTests(ConfigurationCase):
    """`check`."""

    def check(self, **settings: Any) -> None:
        self.systems["ip"]["check"] = settings

    def test_none(self) -> None:
        """Nobody has to have one."""
        assert_that(self.load().systems["ip"].check, none())

    def test_defaults(self) -> None:
        """Once a second, fit after two successes, unfit after three failures."""
        for kind, target in (
            ("run", "healthy"),
            ("tcp", "127.0.0.1:80"),
            ("http", "http://[::1]:8080/health"),
        ):
            self.check(**{kind: target})
            expected = Check(kind, target, 200, 1.0, 1.0, 2, 3)
            assert_that(self.load().systems["ip"].check, equal_to(expected))

    def test_given(self) -> None:
        """What is said stands."""
        self.check(http="https://a.example/", expect=204, interval=500, timeout=200, rise=1, fall=9)
        expected = Check("http", "https://a.example/", 204, 0.5, 0.2, 1, 9)
        assert_that(self.load().systems["ip"].check, equal_to(expected))

    def test_one_kind(self) -> None:
        """There is one way to look, not two, and not none."""
        self.check(interval=500)
        one = f"{PLACE}: expected one of run, tcp, http, not"
        assert_that(self.problems(), equal_to([f"{one} none"]))
        self.check(run="a", tcp="b:1")
        assert_that(self.problems(), equal_to([f"{one} run and tcp"]))

    def test_lost(self) -> None:
        """A target of the wrong kind is one fault, not two."""
        self.check(tcp=80)
        expected = f'{PLACE}.tcp: expected "host:port", an IPv6 address in brackets, not 80'
        assert_that(self.problems(), equal_to([expected]))

    def test_expect(self) -> None:
        """Only HTTP has a status."""
        self.check(tcp="a:1", expect=200)
        expected = f"{PLACE}.expect: only a check by http has a status to expect"
        assert_that(self.problems(), equal_to([expected]))

    def test_tcp(self) -> None:
        """A host and a port."""
        for good in ("localhost:1", "[::1]:65535", "a-b.example:5432", "10.0.0.1:80"):
            self.check(tcp=good)
            assert_that(self.problems(), empty())
        for bad in ("localhost", ":80", "::1:80", "a:0", "a:65536", "a b:1", "[::1]", "http://a:1"):
            self.check(tcp=bad)
            assert_that(
                [problem.split(": ")[0] for problem in self.problems()], equal_to([f"{PLACE}.tcp"])
            )

    def test_http(self) -> None:
        """A URL that names a host, and keeps no secret."""
        for bad, reason in (
            ("ftp://a/", "expected a URL"),
            ("http://", "expected a URL"),
            ("http:///path", "this URL names no host"),
            ("http://a:99999/", "Port out of range"),
            ("http://a:0/", "expected a port from 1"),
            ("http://me:secret@a/", "a URL with a password"),
            ("http://[::1/", "Invalid IPv6 URL"),
        ):
            self.check(http=bad)
            (problem,) = self.problems()
            assert_that(problem.startswith(f"{PLACE}.http: {reason}"), equal_to(True), problem)

    def test_unknown(self) -> None:
        """A setting in the wrong place is told where it belongs."""
        self.check(tcp="a:1", intervall=3)
        hint = 'there is no such setting; did you mean "interval"?'
        assert_that(self.problems(), equal_to([f"{PLACE}.intervall: {hint}"]))
        del self.systems["ip"]["check"]
        self.systems["ip"]["fall"] = 3
        hint = "there is no such setting; it belongs to cluster.system.NAME.check"
        assert_that(self.problems(), equal_to([f"cluster.system.ip.fall: {hint}"]))

    @settings(deadline=None)
    @given(st.ip_addresses(v=6), st.integers(1, 65535))
    def test_addresses(self, address: Any, port: int) -> None:
        """Every IPv6 address can be written."""
        assert_that(host_and_port(f"[{address}]:{port}"), equal_to((str(address), port)))


class FailbackTests(ConfigurationCase):
    """`failback`, `all_unfit`."""

    def test_failback(self) -> None:
        """At once, after a time, or when somebody says so."""
        for said, seconds in (("auto", 0.0), ("manual", math.inf), ({"after": 2500}, 2.5)):
            self.systems["ip"]["failback"] = said
            assert_that(self.load().systems["ip"].failback, equal_to(seconds))

    def test_nonsense(self) -> None:
        """Nothing else."""
        for said in ("never", {"after": "1"}, {"before": 1}, {}, 7, None):
            self.systems["ip"]["failback"] = said
            (problem,) = self.problems()
            expected = 'cluster.system.ip.failback: expected "auto", "manual" or {"after"'
            assert_that(problem.startswith(expected), equal_to(True), problem)

    def test_digest(self) -> None:
        """All nodes must divide alike; what only one node looks at is its own business."""
        before = self.load().digest
        self.systems["ip"] |= {"failback": "manual", "check": {"tcp": "a:1"}, "verify": "ip_up"}
        assert_that(self.load().digest, equal_to(before))
        self.systems["ip"]["all_unfit"] = "stay"
        assert_that(self.load().digest, equal_to(before))
        digests = []
        for all_unfit in ("divide", "release"):
            self.systems["ip"]["all_unfit"] = all_unfit
            digests.append(self.load().digest)
        assert_that(len({before, *digests}), equal_to(3))


class VerifyTests(ConfigurationCase):
    """`verify` and `check_interval`."""

    def test_verify(self) -> None:
        """Every 30 seconds, if nobody says otherwise."""
        self.systems["ip"]["verify"] = "there"
        system = self.load().systems["ip"]
        assert_that([system.verify, system.check_interval], equal_to(["there", 30.0]))

    def test_interval_of_nothing(self) -> None:
        """To look often with nothing is a mistake."""
        self.systems["ip"]["check_interval"] = 1000
        expected = "cluster.system.ip.check_interval: there is no `verify` to run that often"
        assert_that(self.problems(), contains_inanyorder(expected))
