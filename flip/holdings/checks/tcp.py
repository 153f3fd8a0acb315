"""The check by TCP: somebody has to accept a connection."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from flip.config import Check
from flip.config.checks import host_and_port
from flip.errors import CheckFailed
from flip.holdings.checks.deadline import within

ATTEMPT_DELAY = 0.05  # seconds between attempts at two addresses of one name


class TcpProbe:
    """Connects, says nothing, and hangs up.

    :param reactor: for IReactorTCP, IReactorTime and name resolution.
    """

    def __init__(self, reactor: Any, check: Check) -> None:
        self._reactor = reactor
        self._target = check.target
        self._timeout = check.timeout
        host, port = host_and_port(check.target)
        self._endpoint = endpoint(reactor, host, port)

    def look(self) -> Deferred[None]:
        """Fails with `CheckFailed`: refused, unreachable, silent, or an unknown name."""
        connected = self._endpoint.connect(Factory.forProtocol(Protocol))
        done = within(self._reactor, self._timeout, connected)
        return done.addCallbacks(_hang_up, self._failed)

    def _failed(self, failure: Failure) -> None:
        raise CheckFailed(f"{self._target}: {described(failure)}")


def endpoint(reactor: Any, host: str, port: int) -> IStreamClientEndpoint:
    """Where to connect to.

    Twisted's endpoint for names tells a refusal only after the delay in which it might have
    tried another address: for an address there is none to wait for.
    """
    if isIPAddress(host):
        return TCP4ClientEndpoint(reactor, host, port)
    if isIPv6Address(host):
        return TCP6ClientEndpoint(reactor, host, port)
    return HostnameEndpoint(reactor, host.encode("idna"), port, attemptDelay=ATTEMPT_DELAY)


def described(failure: Failure) -> str:
    """Why there is no connection, in the system's words.

    Whatever else failed is raised again: a bug.
    """
    error = failure.value
    if isinstance(error, CheckFailed):
        return error.details
    failure.trap(ConnectError, OSError)  # of the latter kind are unknown names
    number = getattr(error, "osError", None)
    return os.strerror(number) if isinstance(number, int) else str(error).rstrip(".")


def _hang_up(protocol: Protocol) -> None:
    if protocol.transport is not None:
        protocol.transport.loseConnection()
