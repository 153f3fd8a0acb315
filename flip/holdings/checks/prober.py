"""What looks whether this node can serve a system."""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import Deferred


class Prober(Protocol):
    """Carries out the checks that the configuration asks for."""

    def probe(self, system: str) -> Deferred[None]:
        """Look once, as `check` of this system says.

        It fails no later than a second or two after the check's `timeout`; only what
        cannot be ended (a process that is stuck in the kernel) leaves it waiting. To
        cancel the Deferred gives the check up: what runs is killed, connections are
        closed.

        :returns: fires when the node can serve the system; fails with `CheckFailed`, which
            says why not.
        """
