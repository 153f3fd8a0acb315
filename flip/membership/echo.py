"""What a node asks of its witnesses: an echo, which proves that its own network works."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Answered = Callable[[str, int], None]


class Echo(Protocol):
    """Sends echo requests, and tells of the answers; `flip.membership.icmp` does it by ICMP.

    Only an answer that comes from the address that was asked, with the nonce of the
    question, is told of. Anything may be lost, and nothing is ever tried again here.
    """

    def start(self, answered: Answered) -> None:
        """Begin to listen; `answered` is called with the address and the nonce of each answer."""

    def ask(self, address: str, nonce: int) -> None:
        """Send one echo request with a nonce of 64 bits; never raises for want of a network."""

    def stop(self) -> None:
        """Listen no more; nothing is sent from now on."""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be sent or came back, as far as this host knows; None: nothing known."""
