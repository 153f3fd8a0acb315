"""Pings on the simulated network: `flip.membership.echo.Echo` for the witnesses of a machine.

A witness is an address that no machine has. It always answers; a cut between it and a machine,
or all of them, is what makes it unreachable, or dead.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from flip.membership.echo import Answered

if TYPE_CHECKING:
    from flip.simulation.network import Network
    from flip.simulation.reactor import VirtualReactor


class SimulatedEcho:
    """What one process asks, over a network that loses, delays and cuts as it does all packets."""

    def __init__(self, reactor: VirtualReactor, network: Network, rng: random.Random) -> None:
        self._reactor = reactor
        self._network = network
        self._rng = rng
        self._answered: Answered | None = None

    def start(self, answered: Answered) -> None:
        """Begin to listen."""
        self._answered = answered

    def ask(self, address: str, nonce: int) -> None:
        """Send one echo request."""
        here = self._reactor.address
        if self._answered is not None and not self._reactor.dead:
            back = partial(self._send, address, here, partial(self._arrive, address, nonce))
            self._send(here, address, back)

    def stop(self) -> None:
        """Listen no more."""
        self._answered = None

    @property
    def trouble(self) -> str | None:
        """A simulated network reports nothing."""
        return None

    def _send(self, source: str, target: str, arrival: Callable[[], object]) -> None:
        network = self._network
        lost = network.loss and self._rng.random() < network.loss
        if not lost and network.passes(source, target):
            network.schedule(network.latency.draw(self._rng), arrival)

    def _arrive(self, address: str, nonce: int) -> bool:
        """The answer reaches the host; False: it was not seen yet."""
        return self._reactor.receive(partial(self._hear, address, nonce))

    def _hear(self, address: str, nonce: int) -> None:
        if self._answered is not None:
            self._answered(address, nonce)
