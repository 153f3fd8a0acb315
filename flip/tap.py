"""``twistd flip``: options, and the service they make."""

from __future__ import annotations

import atexit
import os
import random
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning
from twisted.python import usage

from flip import log, realtime
from flip.addresses.kernel import Kernel
from flip.config import Config, load
from flip.control.commands import commands
from flip.control.server import ControlService
from flip.errors import FlipError
from flip.holdings.checks.probes import Probes
from flip.holdings.disk import StateDirectory
from flip.holdings.guard.daemon import RemoteGuard, longest_hook
from flip.holdings.hooks import Hook, find_hooks
from flip.holdings.journal import Journal
from flip.holdings.roll import Roll
from flip.holdings.runner import HookRunner
from flip.membership.echo import Echo
from flip.node import Node
from flip.wire.seal import stretch

BAD_CONFIGURATION = 2  # the exit code; two nodes with one id are one, too
TWISTD_PIDFILE = "twistd.pid"  # what twistd takes when nobody says otherwise

_log = log.Logger()


class Options(usage.Options):
    """``twistd flip``'s command line."""

    synopsis = "[-c FILE] [--id NODE]"
    optParameters = (
        ("config", "c", "flip.json", "The cluster's configuration file."),
        ("id", None, None, "Which of its servers this node is (default: FLIP_ID, then the file)."),
    )

    def postOptions(self) -> None:
        """Let several nodes run in one directory.

        twistd's one pidfile would refuse the second node. That no node runs twice
        is for the lock in the state directory to see, so a node in the foreground
        needs no such file, and a daemon takes its node's name for it.
        """
        twistd = self.parent
        if twistd is None or twistd["pidfile"] != TWISTD_PIDFILE:
            return
        node = self["id"] or os.environ.get("FLIP_ID")
        if twistd["nodaemon"]:
            twistd["pidfile"] = ""
        elif node:
            twistd["pidfile"] = f"flip-{node}.pid"


def makeService(options: Mapping[str, Any]) -> IService:
    """Read the configuration and build the node.

    A bad configuration prints its report and exits with `BAD_CONFIGURATION`:
    here, before twistd becomes a daemon, somebody still reads what is printed.
    """
    from twisted.internet import reactor

    use_monotonic_clock(reactor)
    try:
        config = load(options["config"], id=options["id"])
        hooks = find_hooks(config, os.environ.get("PATH", os.defpath))
    except FlipError as error:
        print(error, file=sys.stderr)
        raise SystemExit(BAD_CONFIGURATION) from None
    log.set_level(config.log_level)
    return Daemon(config, reactor, hooks)


def use_monotonic_clock(reactor: Any) -> None:
    """Make the reactor's time immune to steps of the wall clock, and count suspends.

    Twisted follows the wall clock by default: an NTP step of -5 s would delay
    every timer by 5 s. Nothing has been scheduled yet when twistd calls us.
    """
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    reactor.seconds = lambda: time.clock_gettime(clock)


class Daemon(MultiService):
    """The node and its control socket, with the process around them."""

    def __init__(
        self, config: Config, reactor: Any, hooks: Mapping[str, Mapping[str, Hook]]
    ) -> None:
        super().__init__()
        self._reactor = reactor
        self._not_realtime: str | None = None
        self._at_terminal = sys.stdin is not None and sys.stdin.isatty()
        runner = HookRunner(reactor, os.environ, roll=Roll(config.state_dir / "hooks"))
        self.node = Node(
            config,
            reactor,
            random.SystemRandom(),
            keys=tuple(stretch(key) for key in config.keys),
            wall=time.time,
            journal=Journal(StateDirectory(config.state_dir), now=time.time),
            runner=runner,
            hooks=hooks,
            failed=self._fail,
            guard=_guard(config, reactor),
            kernel=lambda: _kernel(reactor),
            echo=_echo(config, reactor),
            prober=Probes(config, reactor, runner, hooks),
        )
        self.control = ControlService(reactor, config.control, commands(lambda: self.node.parts))

    def privilegedStartService(self) -> None:
        """What may take root, before --uid gives that away, and after the fork of a daemon."""
        self._not_realtime = realtime.enter(self.node.config.realtime)
        super().privilegedStartService()

    def startService(self) -> None:
        """Start; what an operator can mend is one line, not a traceback."""
        signal.signal(signal.SIGHUP, self._hung_up)
        for doubt in self.node.config.warnings:  # Twisted has its own idea of a key "warning"
            _log.warn("doubtful configuration: {doubt}", doubt=doubt)
        try:
            self.node.setServiceParent(self)
            self.control.setServiceParent(self)
            super().startService()
        except FlipError as error:
            _log.critical("{error}", error=error)
            print(f"flip: {error}", file=sys.stderr)
            raise SystemExit(1) from None
        if self._not_realtime is not None:
            text = (
                f"this node is not real-time, and may be late on a busy host: {self._not_realtime}"
            )
            self.node.parts.chronicle.alarm("realtime", text)

    def stopService(self) -> Deferred[None]:
        """Leave in order; a second signal ends the process at once."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end_now)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        # The node leaves first, so that ``flip status`` can be asked meanwhile.
        await self.node.stopService()
        await self.control.stopService()

    def _hung_up(self, number: int, frame: object) -> None:
        # Python's own answer to SIGHUP is to die, and to leave everything behind.
        self._reactor.callFromThread(self._leave_terminal if self._at_terminal else self._go_on)

    def _leave_terminal(self) -> None:
        _log.info("the terminal was closed: leaving")
        with suppress(ReactorNotRunning):
            self._reactor.stop()

    def _go_on(self) -> None:
        _log.warn("SIGHUP is ignored: the configuration is read at start only, so restart the node")

    def _fail(self) -> None:
        # twistd itself ends with 0 whenever the reactor stops without a signal.
        atexit.register(os._exit, BAD_CONFIGURATION)
        with suppress(ReactorNotRunning):  # a signal was faster
            self._reactor.stop()


def _guard(config: Config, reactor: Any) -> RemoteGuard | None:
    """The guard of this server's exclusive systems; where it has none, nothing is spent on it."""
    longest = longest_hook(config)
    if longest is None:
        return None
    from flip.holdings.guard.link import ProcessLink

    words = [config.id, str(config.state_dir / "guard")]
    if config.realtime:
        words.append(str(config.realtime))
    return RemoteGuard(
        reactor,
        lambda received, lost: ProcessLink(reactor, words, os.environ, received, lost),
        longest,
    )


def _kernel(reactor: Any) -> Kernel:
    """The host's addresses; a node whose addresses are the work of hooks needs none of it."""
    from flip.addresses.linux import LinuxKernel

    return LinuxKernel(reactor)


def _echo(config: Config, reactor: Any) -> Echo | None:
    """What pings the witnesses, where there are some."""
    if config.witness is None:
        return None
    from flip.membership.ping import Ping

    return Ping(reactor, random.SystemRandom())


def _end_now(number: int, frame: object) -> None:
    os._exit(128 + number)
