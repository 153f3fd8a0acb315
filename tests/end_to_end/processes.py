"""Real nodes for tests and benchmarks: ``twistd`` children on loopback, always cleaned up.

Everything blocks: nothing here needs a reactor. The hooks are those of the demo,
which write down when they ran.
"""

from __future__ import annotations

import copy
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from flip.control.client import request
from flip.demo.cluster import environment
from flip.demo.records import HookRun
from flip.demo.story import CONFIGURATION, IDS, SYSTEM, Observation, Row
from flip.demo.workplace import Workplace
from flip.errors import ControlUnavailable

BIN = Path(sys.executable).parent  # where pip puts twistd and flip
LOOPBACK = "127.0.0.1"
FAST = {"gossip_interval": 100, "ping_timeout": 300}  # milliseconds
POLL = 0.02  # seconds
PR_SET_PDEATHSIG = 1

_prctl = getattr(ctypes.CDLL(None), "prctl", None)


class NotInTime(AssertionError):
    """What was waited for did not happen; says what the nodes logged."""


class NodeProcess:
    """One life of a node.

    :ivar log: the file that its output goes to.
    :ivar began: when it was started, in nanoseconds of the wall clock.
    """

    def __init__(
        self,
        words: Sequence[str],
        log: Path,
        *,
        environ: Mapping[str, str] | None = None,
        group: bool = False,
    ) -> None:
        """
        :param words: the command.
        :param group: start it in a process group of its own, as a shell does with a job.
        """
        self.log = log
        self.began = time.time_ns()
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=log.parent,
                env=environment(os.environ) | dict(environ or {}),
                preexec_fn=_die_with_parent,
                process_group=0 if group else None,
            )
        self.pid = self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def send(self, number: int) -> None:
        """Send a signal, unless it has ended already."""
        self.process.send_signal(number)

    def wait(self, limit: float) -> int:
        """Its exit status, negative for a signal, within `limit` seconds.

        :raises NotInTime: it runs on.
        """
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise NotInTime(f"no end within {limit} s\n{tail(self.log)}") from None

    def close(self) -> None:
        """End it, whatever state it is in."""
        self.process.kill()
        self.process.wait()


class Cluster:
    """The story's three nodes: a directory, a configuration, and processes; a context manager.

    :ivar configuration: the file's content; change it before `start`.
    :ivar workplace: the directory, with what the hooks wrote.
    :ivar nodes: the last life of each node.
    :ivar deaths: when nodes were killed, in nanoseconds of the wall clock.
    """

    def __init__(self, host: str = LOOPBACK, **settings: Any) -> None:
        """
        :param host: the address of all three.
        :param settings: of the configuration's top level, in place of the story's.
        """
        self.workplace = Workplace.make()
        self.root = self.workplace.root
        self.nodes: dict[str, NodeProcess] = {}
        self.deaths: dict[str, list[int]] = {id: [] for id in IDS}
        self._others: list[NodeProcess] = []
        self.configuration: dict[str, Any] = copy.deepcopy(CONFIGURATION) | settings
        self.configuration["state_dir"] = str(self.root / "{id}" / "state")
        self.configuration["control"] = str(self.root / "{id}" / "control")
        for server, port in zip(self.servers.values(), free_ports(host, len(IDS)), strict=True):
            server |= {"ip": host, "port": port}
        for event in ("alive", "down"):
            self.system[event] = str(self.root / "hooks" / self.system[event])

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def servers(self) -> dict[str, dict[str, Any]]:
        servers: dict[str, dict[str, Any]] = self.configuration["servers"]
        return servers

    @property
    def system(self) -> dict[str, Any]:
        """The system ``ip`` of the configuration."""
        system: dict[str, Any] = self.configuration["cluster"]["system"][SYSTEM]
        return system

    def write(self, name: str = "flip.json", **changes: Any) -> Path:
        """Write the configuration with some settings of its top level changed."""
        path = self.root / name
        path.write_text(json.dumps(self.configuration | changes))
        return path

    def hook(self, name: str, script: str) -> str:
        """Write an executable shell script; returns its path."""
        path = self.root / "hooks" / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o700)
        return str(path)

    def start(self, *ids: str, path: Path | None = None) -> None:
        """Start nodes, all of them when none is named."""
        path = path or self.write()
        for id in ids or IDS:
            words = self.command(id, path)
            self.nodes[id] = self.spawn(words, log=self.workplace.log(id))

    def command(self, id: str, path: Path, *options: str) -> list[str]:
        """The command line of a node; `options` are twistd's."""
        words = [str(BIN / "twistd"), "-n", "--pidfile=", *options, "flip"]
        return [*words, "-c", str(path), "--id", id]

    def spawn(self, words: Sequence[str], log: Path, **options: Any) -> NodeProcess:
        """Start any process; it ends with the cluster."""
        process = NodeProcess(words, log, **options)
        self._others.append(process)
        return process

    def flip(self, *words: str, limit: float = 20) -> subprocess.CompletedProcess[str]:
        """Run the command ``flip`` to its end."""
        return subprocess.run(
            [str(BIN / "flip"), *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=environment(os.environ),
            timeout=limit,
            check=False,
        )

    def kill(self, id: str) -> int:
        """SIGKILL; returns when, in nanoseconds of the wall clock."""
        at = time.time_ns()
        self.deaths[id].append(at)
        self.nodes[id].close()
        return at

    def status(self, id: str) -> dict[str, Any] | None:
        """What a node answers to ``flip status``; None if it does not."""
        node = self.nodes.get(id)
        if node is None or not node.running:
            return None
        try:
            answer: dict[str, Any] = request(self.workplace.control(id), "status")
        except ControlUnavailable:
            return None
        return answer

    def observe(self) -> Observation:
        """What all three show now."""
        return Observation(
            {id: self.status(id) for id in IDS}, {id: self.workplace.files(id) for id in IDS}
        )

    def await_row(self, row: Row, limit: float = 20) -> None:
        """Wait until everybody says, and every hook did, what a row of the story demands."""
        found: list[str] = []

        def fits() -> bool:
            found[:] = row.differences(self.observe())
            return not found

        self.wait(fits, limit, lambda: f"{row.name}: {'; '.join(found)}")

    def wait(
        self, condition: Callable[[], Any], limit: float, what: str | Callable[[], str]
    ) -> float:
        """Wait until `condition` holds; returns the seconds that took.

        :raises NotInTime: it did not.
        """
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > limit:
                text = what if isinstance(what, str) else what()
                logs = "\n".join(f"--- {id}\n{tail(self.workplace.log(id))}" for id in IDS)
                raise NotInTime(f"not within {limit} s: {text}\n{logs}")
            time.sleep(POLL)
        return time.monotonic() - began

    def logged(self, id: str) -> str:
        """All that a node has logged in all its lives."""
        try:
            return self.workplace.log(id).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def await_log(self, id: str, text: str, limit: float = 10) -> None:
        """Wait until a node has logged a text."""
        self.wait(lambda: text in self.logged(id), limit, f"{id} logs {text!r}")

    def runs(self) -> list[HookRun]:
        """All runs of hooks so far, in the order in which they ended."""
        return self.workplace.runs()

    def took(self, id: str, datum: str, since: int) -> float | None:
        """The seconds from `since` to the end of a node's first `alive` for a data point.

        :param since: nanoseconds of the wall clock.
        :returns: None: it has not taken it since.
        """
        for run in self.runs():
            if (run.node, run.event, run.datum) == (id, "alive", datum) and run.ended > since:
                return (run.ended - since) / 1e9
        return None

    def close(self) -> None:
        """Kill what still runs, and remove the directory."""
        for process in self._others:
            process.close()
        self.workplace.remove()


def free_ports(host: str, count: int) -> list[int]:
    """Port numbers that are free for UDP and TCP now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    held: list[socket.socket] = []
    ports: list[int] = []
    try:
        while len(ports) < count:
            udp = socket.socket(family, socket.SOCK_DGRAM)
            tcp = socket.socket(family, socket.SOCK_STREAM)
            held += [udp, tcp]
            udp.bind((host, 0))
            port = udp.getsockname()[1]
            with suppress(OSError):  # taken for TCP: try another one
                tcp.bind((host, port))
                ports.append(port)
    finally:
        for one in held:
            one.close()
    return ports


def tail(log: Path, lines: int = 25) -> str:
    """The end of a log."""
    with suppress(FileNotFoundError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return "(no log)"


def _die_with_parent() -> None:
    """Between fork and exec: no node outlives a test that was killed. Linux only."""
    if _prctl is not None and sys.platform == "linux":
        _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
