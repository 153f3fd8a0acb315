"""Three real nodes, each a ``twistd -n flip`` of its own, with relays between them."""

from __future__ import annotations

import os
import signal
import site
import socket
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure

import flip
from flip.control.client import request
from flip.demo.relay import HOST, Link
from flip.demo.story import IDS, Observation
from flip.demo.workplace import Workplace
from flip.errors import CannotListen, ControlUnavailable, DemoFailed

START_LIMIT = 30.0  # seconds from the start of a process to its first answer
STOP_LIMIT = 10.0  # seconds from SIGTERM to the end: what flip promises
ANSWER_LIMIT = 10.0  # seconds for one answer
PORT_TRIES = 5
POLL = 0.05  # seconds


class NodeProcess(ProcessProtocol):
    """One life of a node.

    :ivar began: when it was started, in nanoseconds of the wall clock.
    :ivar ended: fires, never fails, when the process has ended.
    :ivar end: how it ended, in words; empty while it runs.
    :ivar expected: the demo itself has ended it, or is about to.
    """

    transport: Any

    def __init__(self) -> None:
        self.began = time.time_ns()
        self.ended: Deferred[None] = Deferred()
        self.end = ""
        self.expected = False
        self.clean = False

    def processExited(self, reason: Failure) -> None:
        ended = reason.value
        if isinstance(ended, ProcessTerminated) and ended.signal is not None:
            self.end = f"killed by {signal.Signals(ended.signal).name}"
            # After a clean stop twistd lets the signal that asked for it end the process.
            self.clean = ended.signal == signal.SIGTERM
        else:
            self.end = f"exit status {getattr(ended, 'exitCode', '?')}"
            self.clean = isinstance(ended, ProcessDone)
        self.ended.callback(None)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended already."""
        with suppress(ProcessExitedAlready):
            self.transport.signalProcess(number)


class Cluster:
    """The nodes, and the links over which they reach each other.

    :param reactor: processes, threads, UDP, TCP and time.
    :ivar deaths: when nodes were killed, in nanoseconds of the wall clock.
    """

    def __init__(self, reactor: Any, workplace: Workplace) -> None:
        self.workplace = workplace
        self.deaths: dict[str, list[int]] = {id: [] for id in IDS}
        self.links = {(a, b): Link(reactor) for a in IDS for b in IDS if a != b}
        self._reactor = reactor
        self._ports: dict[str, int] = {}
        self._nodes: dict[str, NodeProcess] = {}

    def open(self) -> None:
        """Open the links."""
        for link in self.links.values():
            link.listen()

    def began(self, id: str) -> int:
        """When the node was started last, in nanoseconds of the wall clock."""
        return self._nodes[id].began

    async def start(self, ids: Iterable[str]) -> None:
        """Start nodes; returns when all of them answer.

        :raises DemoFailed: one does not.
        """
        await gatherResults(
            [Deferred.fromCoroutine(self._start(id)) for id in ids], consumeErrors=True
        ).addErrback(_only_the_cause)

    def kill(self, id: str) -> None:
        """SIGKILL: the node cannot do or say anything any more."""
        node = self._nodes[id]
        node.expected = True
        self.deaths[id].append(time.time_ns())
        node.send(signal.SIGKILL)

    async def stop(self, id: str) -> float:
        """SIGTERM; returns the seconds that the node took to leave.

        :raises DemoFailed: it took longer than it may, or ended in another way.
        """
        node = self._nodes[id]
        node.expected = True
        began = self._reactor.seconds()
        node.send(signal.SIGTERM)
        limit = self._reactor.callLater(STOP_LIMIT, node.send, signal.SIGKILL)
        try:
            await _shared(node.ended)
            late = not limit.active()
        finally:
            if limit.active():
                limit.cancel()
        if late:
            raise DemoFailed(f"{id} did not end within {STOP_LIMIT:.0f} s of SIGTERM.")
        if not node.clean:
            raise DemoFailed(f"{id} did not stop cleanly: {node.end}.")
        return float(self._reactor.seconds() - began)

    def cut(self) -> None:
        """Nobody can talk to anybody."""
        for link in self.links.values():
            link.cut()

    def heal(self) -> None:
        """Everybody can talk to everybody."""
        for link in self.links.values():
            link.heal()

    async def observe(self) -> Observation:
        """Ask all nodes, and look at their hooks' files.

        :raises DemoFailed: a node ended by itself.
        """
        for id, node in self._nodes.items():
            if node.end and not node.expected:
                raise DemoFailed(f"{id} ended by itself ({node.end}).")
        answers = await gatherResults([self._ask(id) for id in IDS], consumeErrors=True)
        files = {id: self.workplace.files(id) for id in IDS}
        return Observation(dict(zip(IDS, answers, strict=True)), files)

    async def close(self) -> None:
        """Kill what still runs, and close the links."""
        running = [node for node in self._nodes.values() if not node.end]
        for node in running:
            node.expected = True
            node.send(signal.SIGKILL)
        await gatherResults([_shared(node.ended) for node in running])
        await gatherResults([link.close() for link in self.links.values()])

    async def _start(self, id: str) -> None:
        for _ in range(PORT_TRIES):
            begin = self._log_size(id)
            self._choose_port(id)
            node = self._nodes[id] = self._spawn(id)
            node.expected = True  # until it answers, its end is looked at here
            limit = self._reactor.seconds() + START_LIMIT
            while not node.end and self._reactor.seconds() < limit:
                if await self._ask(id) is not None:
                    node.expected = False
                    return
                await deferLater(self._reactor, POLL)
            if not node.end:
                raise DemoFailed(f"{id} did not answer within {START_LIMIT:.0f} s of its start.")
            # Another program may have taken the port since it was chosen.
            if not self._could_not_listen(id, begin):
                break
        raise DemoFailed(f"{id} did not start ({node.end}).")

    def _choose_port(self, id: str) -> None:
        """A port for the node, the same as in its last life if that is still free."""
        port = self._ports[id] = _free_port(self._ports.get(id, 0))
        for (_, receiver), link in self.links.items():
            if receiver == id:
                link.destination = port
        finds = {other: self.links[id, other].port for other in IDS if other != id}
        self.workplace.configure(id, {id: port, **finds})

    def _spawn(self, id: str) -> NodeProcess:
        node = NodeProcess()
        directory = self.workplace.root / id
        # -P: what lies in the user's working directory must not be imported.
        arguments = ["-P", "-m", "flip.demo.leash"]
        arguments += ["-n", "--pidfile=", f"--rundir={directory}"]
        arguments += ["flip", "-c", str(directory / "flip.json"), "--id", id]
        log = os.open(self.workplace.log(id), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._reactor.spawnProcess(
                node,
                sys.executable,
                [sys.executable, *arguments],
                env=environment(os.environ),
                childFDs={0: "w", 1: log, 2: log},
            )
        finally:
            os.close(log)
        return node

    def _ask(self, id: str) -> Deferred[dict[str, Any] | None]:
        """A node's status; None if it does not answer."""
        node = self._nodes.get(id)
        answer: Deferred[dict[str, Any] | None] = deferToThreadPool(
            self._reactor,
            self._reactor.getThreadPool(),
            _status,
            self.workplace.control(id) if node is not None and not node.end else None,
        )
        return answer

    def _log_size(self, id: str) -> int:
        try:
            return self.workplace.log(id).stat().st_size
        except FileNotFoundError:
            return 0

    def _could_not_listen(self, id: str, since: int) -> bool:
        said = self.workplace.log(id).read_bytes()[since:].decode(errors="replace")
        return (CannotListen.__doc__ or "").strip() in said


def environment(outer: Mapping[str, str]) -> dict[str, str]:
    """What the nodes' processes need to find this very flip, installed or a checkout."""
    inner = {name: value for name, value in outer.items() if not name.startswith("FLIP_")}
    places = [
        os.path.abspath(place) for place in outer.get("PYTHONPATH", "").split(os.pathsep) if place
    ]
    home = str(Path(flip.__file__).resolve().parent.parent)
    # Site directories are searched last by themselves; before the standard
    # library, what lies there could hide parts of it.
    if home not in {*places, *site.getsitepackages(), site.getusersitepackages()}:
        places.append(home)
    if places:
        inner["PYTHONPATH"] = os.pathsep.join(places)
    return inner


def _status(control: Path | None) -> dict[str, Any] | None:
    if control is None:
        return None
    try:
        answer: dict[str, Any] = request(control, "status", timeout=ANSWER_LIMIT)
    except ControlUnavailable:
        return None
    return answer


def _free_port(wish: int) -> int:
    """A port number that UDP and TCP can have now, `wish` if possible."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tcp.bind((HOST, wish))
                port = int(tcp.getsockname()[1])
                udp.bind((HOST, port))
            except OSError:
                wish = 0
                continue
            return port


def _shared(event: Deferred[None]) -> Deferred[None]:
    """A Deferred of the caller's own for an event that others wait for too."""
    mine: Deferred[None] = Deferred()

    def fire(_: None) -> None:
        if not mine.called:
            mine.callback(None)

    event.addCallback(fire)
    return mine


def _only_the_cause(failure: Failure) -> Failure:
    """Of several coroutines, what went wrong first in one of them."""
    error = failure.value
    return error.subFailure if isinstance(error, FirstError) else failure
