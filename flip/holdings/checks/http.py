"""The check by HTTP: a GET has to be answered with a certain status.

In a module of its own, for Twisted's HTTP client takes megabytes that a node without such
a check does without.
"""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import IDelayedCall, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, BrowserLikePolicyForHTTPS, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

import flip
from flip.config import Check
from flip.errors import CheckFailed
from flip.holdings.checks.deadline import within
from flip.holdings.checks.tcp import described, endpoint

LONGEST_BODY = 65536  # bytes that are read, to leave the connection in good manners


class HttpProbe:
    """Sends a GET and looks at the status; redirections are not followed.

    :param reactor: for IReactorTCP, IReactorTime and name resolution.
    """

    def __init__(self, reactor: Any, check: Check) -> None:
        self._reactor = reactor
        self._check = check
        self._agent = Agent.usingEndpointFactory(reactor, _Endpoints(reactor))
        self._headers = Headers({"User-Agent": [f"flip/{flip.__version__}"]})

    def look(self) -> Deferred[None]:
        """Fails with `CheckFailed`: no connection, no answer, or another status."""
        url = self._check.target.encode("ascii")
        answered = self._agent.request(b"GET", url, self._headers, None)
        done = within(self._reactor, self._check.timeout, answered)
        return done.addCallbacks(self._judge, self._failed)

    def _judge(self, response: IResponse) -> None:
        response.deliverBody(_Ignored(self._reactor, self._check.timeout))
        if response.code != self._check.expect:
            answer = f"answered {response.code}, not {self._check.expect}"
            raise CheckFailed(f"{self._check.target}: {answer}")

    def _failed(self, failure: Failure) -> None:
        if failure.check(ResponseFailed):
            reasons = cast(ResponseFailed, failure.value).reasons
            reason = "; ".join(one.getErrorMessage().rstrip(".") for one in reasons)
        else:
            reason = described(failure)
        raise CheckFailed(f"{self._check.target}: {reason}")


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """Where to connect to for a URL; certificates are verified, as a browser does."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        target = endpoint(self._reactor, uri.host.decode("ascii").strip("[]"), uri.port)
        if uri.scheme == b"http":
            return target
        return wrapClientTLS(
            BrowserLikePolicyForHTTPS().creatorForNetloc(uri.host, uri.port), target
        )


class _Ignored(Protocol):
    """Reads a body away, but not for ever."""

    def __init__(self, clock: Any, seconds: float) -> None:
        self._left = LONGEST_BODY
        self._timer: IDelayedCall = clock.callLater(seconds, self._hang_up)

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._hang_up()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._timer.active():
            self._timer.cancel()

    def _hang_up(self) -> None:
        if self.transport is not None:
            cast(ITCPTransport, self.transport).loseConnection()
