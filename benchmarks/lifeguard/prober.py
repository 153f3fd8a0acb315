"""SWIM's rotation: one member after the other is pinged, directly, then through others."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall

from benchmarks.lifeguard.awareness import Awareness
from benchmarks.lifeguard.settings import Settings
from benchmarks.lifeguard.view import Peer, Standing, View


class Questions(Protocol):
    """What a prober asks of the network."""

    def ping(self, peer: Peer, number: int) -> None:
        """Ping a member; its answer ends in `Prober.acked`."""

    def ask(self, helpers: Iterable[Peer], peer: Peer, number: int) -> None:
        """Ask others to ping a member; ends in `Prober.acked` or `Prober.nacked`."""

    def call(self, peer: Peer, seconds: float) -> Deferred[bool]:
        """Ping a member over TCP; fires with whether it answered in time."""


class Probe:
    """The probe that runs.

    :ivar sending: whether it waits until something may be sent.
    """

    def __init__(self, peer: Peer, number: int) -> None:
        self.peer = peer
        self.number = number
        self.expected_nacks = 0
        self.nacks = 0
        self.called_back = False
        self.sending = False
        self.expired = False
        self.deadline = 0.0
        self.timers: list[IDelayedCall] = []


class Prober:
    """Probes one member per interval, and accuses those that do not answer.

    A probe that takes longer than the interval delays the next one. While nothing
    can be sent the probe waits, but its deadline does not: that is memberlist's
    structure, whose probes wait in a thread of their own.

    :param free: calls something at once, or as soon as something can be sent.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rng: random.Random,
        settings: Settings,
        view: View,
        awareness: Awareness,
        questions: Questions,
        number: Callable[[], int],
        free: Callable[[Callable[[], None]], None],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._settings = settings
        self._view = view
        self._awareness = awareness
        self._questions = questions
        self._number = number
        self._free = free
        self._rotation: list[Peer] = []
        self._probe: Probe | None = None
        self._overdue = False
        self._loop = LoopingCall(self._tick)
        self._loop.clock = clock

    def start(self) -> None:
        """Begin, at a moment of one's own."""
        interval = self._settings.probe_interval
        self._clock.callLater(self._rng.uniform(0, interval), self._loop.start, interval)

    def acked(self, number: int) -> None:
        """The member answered, to this member or to a helper."""
        probe = self._probe
        if probe is not None and probe.number == number and not probe.expired:
            self._end(-1)

    def nacked(self, number: int) -> None:
        """A helper has no answer."""
        if self._probe is not None and self._probe.number == number:
            self._probe.nacks += 1

    def _tick(self) -> None:
        if self._probe is not None:
            self._overdue = True
        else:
            self._begin()

    def _begin(self) -> None:
        peer = self._next()
        if peer is None:
            return
        probe = self._probe = Probe(peer, self._number())
        deadline = self._awareness.scaled(self._settings.probe_interval)
        probe.timers.append(self._clock.callLater(deadline, self._expire, probe))
        probe.deadline = self._clock.seconds() + deadline
        probe.sending = True
        self._free(lambda: self._ask(probe))

    def _ask(self, probe: Probe) -> None:
        probe.sending = False
        self._questions.ping(probe.peer, probe.number)
        timeout = self._settings.probe_timeout
        if self._settings.scaled_timeout:
            timeout = self._awareness.scaled(timeout)
        if probe.expired:
            self._look_further(probe)
        else:
            probe.timers.append(self._clock.callLater(timeout, self._wait_to_look_further, probe))

    def _wait_to_look_further(self, probe: Probe) -> None:
        probe.sending = True
        self._free(lambda: self._look_further(probe))

    def _next(self) -> Peer | None:
        for _ in range(2):
            while self._rotation:
                peer = self._rotation.pop()
                if peer.standing is not Standing.DEAD:
                    return peer
            self._rotation = self._view.others
            self._rng.shuffle(self._rotation)
        return None

    def _look_further(self, probe: Probe) -> None:
        """Ask through others and over TCP; nothing was heard over UDP so far."""
        if self._probe is not probe:
            return  # answered while it waited to send
        probe.sending = False
        settings = self._settings
        able = [
            peer
            for peer in self._view.others
            if peer is not probe.peer and peer.standing is Standing.ALIVE
        ]
        helpers = self._rng.sample(able, min(settings.indirect_checks, len(able)))
        probe.expected_nacks = len(helpers) if settings.nacks else 0
        self._questions.ask(helpers, probe.peer, probe.number)
        if probe.expired:
            self._fail(probe)
            return

        def called(answered: bool) -> None:
            probe.called_back = answered

        left = probe.deadline - self._clock.seconds()
        self._questions.call(probe.peer, max(0.0, left)).addCallback(called)

    def _expire(self, probe: Probe) -> None:
        probe.expired = True
        if not probe.sending:
            self._fail(probe)

    def _fail(self, probe: Probe) -> None:
        if probe.called_back:
            self._end(-1)
            return
        # Helpers that are silent too point at this member itself.
        self._end(probe.expected_nacks - probe.nacks if probe.expected_nacks else 1)
        self._view.accuse(probe.peer)

    def _end(self, health: int) -> None:
        assert self._probe is not None
        for timer in self._probe.timers:
            if timer.active():
                timer.cancel()
        self._probe = None
        self._awareness.apply(health)
        if self._overdue:
            self._overdue = False
            self._clock.callLater(0, self._tick)
