"""Whether this node reaches a witness: something outside the cluster that answers pings.

Two nodes that lose each other cannot tell a death from a cut. A witness, the gateway say,
does not tell it either, but it tells a node whether its own network works: one that
reaches nobody at all must take nothing. docs/two-nodes.md says what that is worth.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime

from flip.config import Config
from flip.log import Logger
from flip.membership.echo import Echo
from flip.membership.repeat import repeating

NEVER = float("-inf")
PAUSE = 0.02  # seconds between two questions, however many ask for one

_log = Logger()


class Witness:
    """Asks all witnesses all the time; any of them will do.

    An answer counts from when its question was sent, as everywhere here: what waits in the
    socket of a process that stood still is as old as it is.

    :param echo: asks, and hears the answers.
    :param addresses: of the witnesses.
    :param interval: seconds between two questions to each of them.
    :param timeout: seconds for which a question that was answered counts.
    :param changed: called whenever `reached` may have changed.
    :ivar last: when the newest question that each one answered was sent.
    """

    def __init__(
        self,
        clock: IReactorTime,
        rng: random.Random,
        echo: Echo,
        addresses: Sequence[str],
        interval: float,
        timeout: float,
        changed: Callable[[], None],
    ) -> None:
        self.addresses = tuple(addresses)
        self.last: dict[str, float] = {}
        self._clock = clock
        self._rng = rng
        self._echo = echo
        self._timeout = timeout
        self._interval = interval
        self._changed = changed
        self._newest = NEVER
        self._asked = NEVER
        self._was_reached: bool | None = None  # None: too early to say
        self._started = NEVER
        self._questions: dict[tuple[str, int], float] = {}
        self._loop = repeating(clock, self._round, "asking the witnesses")

    @classmethod
    def of(
        cls,
        config: Config,
        clock: IReactorTime,
        rng: random.Random,
        echo: Echo | None,
        changed: Callable[[], None],
    ) -> Witness | None:
        """What a configuration says; None where it names no witness."""
        named = config.witness
        if named is None or echo is None:
            return None
        return cls(clock, rng, echo, named.addresses, named.interval, named.timeout, changed)

    def start(self) -> None:
        """Begin to ask."""
        self._started = self._clock.seconds()
        self._echo.start(self._answered)
        self._loop.start(self._interval)

    def stop(self) -> None:
        """Ask no more."""
        if self._loop.running:
            self._loop.stop()
            self._echo.stop()

    @property
    def trouble(self) -> str | None:
        """Why no answer comes, as far as this host knows."""
        return self._echo.trouble

    @property
    def missing(self) -> bool:
        """Whether it is known that none of them answers."""
        return self._was_reached is False

    def reached(self, since: float = NEVER) -> bool:
        """Whether one of them has answered what was asked since then, and not too long ago."""
        return self._newest >= max(since, self._clock.seconds() - self._timeout)

    def ask(self) -> None:
        """Ask all of them now, for somebody who is about to need the answer."""
        now = self._clock.seconds()
        if not self._loop.running or now - self._asked < PAUSE:
            return
        self._asked = now
        oldest = now - self._timeout
        # In the order in which they were asked, so that the old ones are at the front.
        while self._questions:
            question = next(iter(self._questions))
            if self._questions[question] > oldest:
                break
            del self._questions[question]
        for address in self.addresses:
            nonce = self._rng.getrandbits(64)
            self._questions[address, nonce] = now
            self._echo.ask(address, nonce)

    def _round(self) -> None:
        self.ask()
        self._look()

    def _answered(self, address: str, nonce: int) -> None:
        sent = self._questions.pop((address, nonce), None)
        if sent is None:
            return  # it came too late, or nobody asked for it
        self.last[address] = max(sent, self.last.get(address, sent))
        self._newest = max(sent, self._newest)
        self._look()

    def _look(self) -> None:
        reached = self.reached()
        early = self._clock.seconds() - self._started < self._timeout
        if reached is self._was_reached or (not reached and self._was_reached is None and early):
            return
        self._was_reached = reached
        if reached:
            nearest = max(self.last, key=self.last.__getitem__)
            _log.info("a witness answers: {address}", address=nearest)
        else:
            _log.warn(
                "no witness has answered for {timeout:g} s ({trouble})",
                timeout=self._timeout,
                trouble=self.trouble or "no error is known",
            )
        self._changed()
