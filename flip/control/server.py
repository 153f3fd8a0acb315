"""The UNIX socket on which a running node answers questions.

A connection carries one request and its answer, each one JSON object on a line:

    {"command": "status"}              {"ok": true, "result": {...}}
    {"command": "statsu"}              {"ok": false, "error": "..."}
"""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.unix import Port
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from flip.errors import BadRequest, CannotListen, FlipError
from flip.log import Logger

Command = Callable[[Mapping[str, Any]], Any]

PATIENCE = 10.0  # seconds for a client to send its request, and to read the answer
MAX_CONNECTIONS = 64

_log = Logger()


class ControlProtocol(LineOnlyReceiver, TimeoutMixin):
    """The server's side of one connection: one request and its answer."""

    delimiter = b"\n"
    MAX_LENGTH = 64 * 1024  # bytes of a request

    factory: ControlFactory
    transport: Any  # zope's interfaces mean nothing to mypy

    def __init__(self) -> None:
        self._asked = False

    def callLater(self, period: float, func: Callable[[], None]) -> Any:
        """Where `TimeoutMixin` takes its time from."""
        return self.factory.clock.callLater(period, func)

    def connectionMade(self) -> None:
        self.factory.connections.add(self)
        self.setTimeout(PATIENCE)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.connections.discard(self)
        self.setTimeout(None)

    def timeoutConnection(self) -> None:
        self.transport.abortConnection()

    def lineReceived(self, line: bytes) -> None:
        if self._asked:
            return
        self._asked = True
        self.setTimeout(None)  # a command may take its time
        answer = maybeDeferred(self.factory.run, line)
        answer.addCallback(lambda result: {"ok": True, "result": result})
        self._answer(answer)

    def lineLengthExceeded(self, line: bytes) -> None:
        if self._asked:
            self.transport.abortConnection()
            return
        self._asked = True
        error = BadRequest(f"It is longer than {self.MAX_LENGTH} bytes.")
        self._answer(fail(error))

    def _answer(self, answer: Deferred[dict[str, Any]]) -> None:
        answer.addCallback(_encode).addErrback(_excuse).addCallback(self._send)

    def _send(self, line: bytes) -> None:
        if self in self.factory.connections:
            self.setTimeout(PATIENCE)
            self.sendLine(line)
            self.transport.loseConnection()


def _encode(answer: dict[str, Any]) -> bytes:
    return json.dumps(answer, allow_nan=False).encode()


def _excuse(failure: Failure) -> bytes:
    if failure.check(FlipError):
        return _encode({"ok": False, "error": str(failure.value)})
    _log.failure("a control command failed", failure)
    return _encode({"ok": False, "error": "internal error, see the log"})


class ControlFactory(Factory):
    """Runs the commands that connections ask for.

    A command gets the rest of the request and returns what JSON can say, or a
    Deferred of it. A `FlipError` is the client's answer; anything else that it
    raises is a bug, which goes to the log.
    """

    noisy = False

    def __init__(self, commands: Mapping[str, Command], clock: IReactorTime) -> None:
        self.clock = clock
        self.connections: set[ControlProtocol] = set()
        self._commands = commands

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        if len(self.connections) >= MAX_CONNECTIONS:
            return None
        connection = ControlProtocol()
        connection.factory = self
        return connection

    def run(self, line: bytes) -> Any:
        """The result of the command that a request line names.

        :raises BadRequest: it names none.
        """
        try:
            request = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"It is not JSON: {error}") from error
        if not isinstance(request, dict):
            raise BadRequest('Expected an object like {"command": "status"}.')
        name = request.pop("command", None)
        if not isinstance(name, str) or name not in self._commands:
            known = ", ".join(sorted(self._commands))
            raise BadRequest(f"There is no command {name!r}; there are: {known}")
        return self._commands[name](request)


class ControlService(Service):
    """Listens for as long as the node runs, on a socket that only its user may use."""

    def __init__(self, reactor: Any, path: Path, commands: Mapping[str, Command]) -> None:
        """
        :param reactor: an `IReactorUNIX` and `IReactorTime`.
        :param path: of the socket; its directory is made when missing.
        """
        self._reactor = reactor
        self._path = path
        self._factory = ControlFactory(commands, reactor)
        self._port: Port | None = None

    def startService(self) -> None:
        """
        :raises CannotListen: somebody else answers there, or it cannot be made.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            _remove_stale(self._path)
            self._port = self._reactor.listenUNIX(str(self._path), self._factory, mode=0o600)
        except (OSError, CannotListenError) as error:
            reason = getattr(error, "socketError", error)
            raise CannotListen(
                f'{self._path}: {reason}. Set "control" in the configuration to a path of at most '
                "100 bytes in a directory that this user may write."
            ) from error
        super().startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        for connection in list(self._factory.connections):
            connection.transport.loseConnection()
        if self._port is None:
            return succeed(None)
        port, self._port = self._port, None
        return maybeDeferred(port.stopListening).addErrback(self._missed)

    def _missed(self, failure: Failure) -> None:
        failure.trap(FileNotFoundError)
        _log.warn("somebody removed the control socket {path}", path=self._path)


def _remove_stale(path: Path) -> None:
    """Remove the socket of a node that was killed.

    :raises CannotListen: it is not a socket, or somebody answers.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise CannotListen(f'{path} is in the way: not a socket. Move it, or set "control".')
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass  # its queue is full: somebody is there
    raise CannotListen(f"Somebody answers on {path}: this node runs already.")
