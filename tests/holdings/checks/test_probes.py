"""Tests for the checks of a real node, over transports in memory."""

from __future__ import annotations

import math
from typing import Any

from hamcrest import assert_that, contains_string, equal_to, has_length, none
from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionDone, DNSLookupError, getConnectError
from twisted.internet.interfaces import IProtocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from flip.config import Check
from flip.errors import CheckFailed, HookFailed
from flip.holdings.call import Hook
from flip.holdings.checks.deadline import within
from flip.holdings.checks.http import LONGEST_BODY, HttpProbe
from flip.holdings.checks.probes import Probes
from flip.holdings.checks.tcp import TcpProbe
from tests.holdings.bed import HOOKS, Hooks, config, system

TIMEOUT = 0.5


def check(kind: str, target: str, expect: int = 200) -> Check:
    return Check(kind, target, expect, 1.0, TIMEOUT, 2, 3)


class ProbeCase(SynchronousTestCase):
    """A probe, the connection that it asks for, and how it ended."""

    def setUp(self) -> None:
        self.reactor: Any = MemoryReactorClock()

    def connect(self) -> StringTransport:
        """The connection that was asked for is made."""
        *_, (_, _, factory, *_) = self.reactor.tcpClients
        self.protocol: IProtocol = factory.buildProtocol(None)
        transport = StringTransport()
        self.protocol.makeConnection(transport)
        return transport

    def refuse(self, number: int = 111) -> None:
        """It is not made."""
        *_, (_, _, factory, *_) = self.reactor.tcpClients
        factory.clientConnectionFailed(None, Failure(getConnectError((number, "No"))))

    def reason(self, look: Deferred[None]) -> str:
        """Why it failed."""
        return str(self.failureResultOf(look, CheckFailed).value.details)


class TcpTests(ProbeCase):
    """The check by TCP."""

    def look(self, target: str = "127.0.0.1:5432") -> Deferred[None]:
        return TcpProbe(self.reactor, check("tcp", target)).look()

    def test_accepted(self) -> None:
        """Whoever accepts is well; the connection is closed with nothing said."""
        look = self.look()
        transport = self.connect()
        assert_that(self.successResultOf(look), none())
        assert_that([transport.value(), transport.disconnecting], equal_to([b"", True]))
        assert_that(self.reactor.getDelayedCalls(), equal_to([]))

    def test_refused(self) -> None:
        """The reason is the system's."""
        look = self.look()
        self.refuse()
        assert_that(self.reason(look), equal_to("127.0.0.1:5432: Connection refused"))

    def test_silent(self) -> None:
        """Nobody waits for ever."""
        look = self.look()
        self.reactor.advance(TIMEOUT)
        self.reactor.advance(0)
        assert_that(self.reason(look), equal_to("127.0.0.1:5432: no answer within 0.5 s"))

    def test_version_six(self) -> None:
        """An IPv6 address is in brackets."""
        self.look("[::1]:5432")
        assert_that(self.reactor.tcpClients[0][:2], equal_to(("::1", 5432)))

    def test_given_up(self) -> None:
        """To cancel it leaves nothing behind."""
        look = self.look()
        look.cancel()
        self.failureResultOf(look)
        assert_that(self.reactor.getDelayedCalls(), equal_to([]))


class HttpTests(ProbeCase):
    """The check by HTTP."""

    def look(self, expect: int = 200) -> Deferred[None]:
        target = "http://127.0.0.1:8080/health?a=b"
        return HttpProbe(self.reactor, check("http", target, expect)).look()

    def answer(self, status: bytes, body: bytes = b"ok") -> None:
        length = str(len(body)).encode()
        self.protocol.dataReceived(
            b"HTTP/1.1 " + status + b"\r\nContent-Length: " + length + b"\r\n\r\n" + body
        )

    def test_well(self) -> None:
        """The status that is expected is well."""
        look = self.look()
        transport = self.connect()
        assert_that(transport.value().decode(), contains_string("GET /health?a=b HTTP/1.1"))
        self.answer(b"200 OK")
        assert_that(self.successResultOf(look), none())
        assert_that(transport.disconnecting, equal_to(True))
        assert_that(self.reactor.getDelayedCalls(), equal_to([]))

    def test_other_status(self) -> None:
        """Another one is not; redirections are not followed."""
        for status in (b"503 Service Unavailable", b"302 Found\r\nLocation: http://other/"):
            look = self.look()
            self.connect()
            self.answer(status)
            assert_that(self.reason(look), contains_string(f"answered {int(status[:3])}, not 200"))
        assert_that(self.reactor.tcpClients, has_length(2))

    def test_expect(self) -> None:
        """What is expected is for the configuration to say."""
        look = self.look(expect=401)
        self.connect()
        self.answer(b"401 Unauthorized")
        assert_that(self.successResultOf(look), none())

    def test_refused(self) -> None:
        """No connection is no answer."""
        look = self.look()
        self.refuse()
        assert_that(self.reason(look), contains_string("Connection refused"))

    def test_silent(self) -> None:
        """Nor is a connection over which nothing comes, or half an answer."""
        for said in (b"", b"HTTP/1.1 200 OK\r\nContent-"):
            look = self.look()
            self.connect()
            self.protocol.dataReceived(said)
            self.reactor.advance(TIMEOUT)
            self.reactor.advance(0)
            assert_that(self.reason(look), contains_string("no answer within 0.5 s"))

    def test_nonsense(self) -> None:
        """Nor is what is no HTTP."""
        look = self.look()
        self.connect()
        self.protocol.dataReceived(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        self.protocol.connectionLost(Failure(ConnectionDone()))
        assert_that(self.reason(look), contains_string("http://127.0.0.1:8080/health?a=b: "))

    def test_endless_body(self) -> None:
        """A body is read for good manners only, and not for ever."""
        look = self.look()
        transport = self.connect()
        self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\n")
        assert_that(self.successResultOf(look), none())
        for _ in range(LONGEST_BODY // 10_000 + 1):
            assert_that(transport.disconnecting, equal_to(False))
            self.protocol.dataReceived(b"x" * 10_000)
        assert_that(transport.disconnecting, equal_to(True))

    def test_slow_body(self) -> None:
        """Nor for long."""
        self.look()
        transport = self.connect()
        self.protocol.dataReceived(b"HTTP/1.1 200 OK\r\n\r\nx")
        self.reactor.advance(TIMEOUT)
        assert_that(transport.disconnecting, equal_to(True))


class RunTests(SynchronousTestCase):
    """The check by a hook."""

    def setUp(self) -> None:
        self.hooks = Hooks()
        one = config(system(check=check("run", "healthy"), config={"interface": "eth0"}))
        found = {"ip": HOOKS | {"check": Hook("healthy", ("/hooks/healthy",))}}
        self.probes = Probes(one, Clock(), self.hooks, found)

    def test_call(self) -> None:
        """It is run for the system, with an empty argument in place of a data point."""
        look = self.probes.probe("ip")
        call = self.hooks.calls[0]
        assert_that(
            [call.event, call.system, call.datum, call.config, call.timeout, call.hook.name],
            equal_to(["check", "ip", "", '{"interface": "eth0"}', TIMEOUT, "healthy"]),
        )
        self.hooks.succeed("")
        assert_that(self.successResultOf(look), none())

    def test_fails(self) -> None:
        """Another exit status is a failure, for its own reason."""
        look = self.probes.probe("ip")
        self.hooks.fail("")
        error = self.failureResultOf(look, CheckFailed).value
        assert_that(str(error), contains_string("exit status 1"))

    def test_bug(self) -> None:
        """What is no failure of the hook stays what it is."""
        self.patch(self.hooks, "run", lambda call: fail(KeyError("a bug")))
        self.failureResultOf(self.probes.probe("ip"), KeyError)

    def test_cancelled(self) -> None:
        """To give it up ends the hook."""
        ended: list[Deferred[Any]] = []
        self.patch(self.hooks, "run", lambda call: Deferred(ended.append))
        look = self.probes.probe("ip")
        look.cancel()
        assert_that(ended, has_length(1))
        self.failureResultOf(look, CancelledError, HookFailed)


class Rounds(Clock):
    """A clock that, like a reactor, runs what is planned in one round of timers in the next."""

    def advance(self, amount: float) -> None:
        self.rightNow += amount
        for call in [call for call in self.calls if call.getTime() <= self.rightNow]:
            self.calls.remove(call)
            call.called = 1
            call.func(*call.args, **call.kw)


class DeadlineTests(SynchronousTestCase):
    """The time limit."""

    def setUp(self) -> None:
        self.clock = Rounds()

    def test_answered_meanwhile(self) -> None:
        """What arrived while the process stood still is read before it is judged."""
        deferred: Deferred[str] = Deferred()
        limited = within(self.clock, 1.0, deferred)
        self.clock.advance(8)
        deferred.callback("well")  # the sockets are read between two rounds of timers
        assert_that(self.successResultOf(limited), equal_to("well"))
        assert_that(self.clock.getDelayedCalls(), equal_to([]))

    def test_other_failures(self) -> None:
        """What fails by itself keeps its reason."""
        limited = within(self.clock, 1.0, fail(DNSLookupError("no such host")))
        self.failureResultOf(limited, DNSLookupError)
        assert_that(self.clock.getDelayedCalls(), equal_to([]))

    def test_never(self) -> None:
        """A limit far away is none."""
        deferred: Deferred[None] = Deferred()
        within(self.clock, math.inf, deferred)
        self.clock.advance(1e9)
        assert_that(deferred.called, equal_to(False))
