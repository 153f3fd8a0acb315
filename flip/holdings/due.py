"""Data points about which there is something to decide, a share of them per turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import islice

SHARE = 150  # a turn that decides about so many takes about 5 ms of CPU


class Due:
    """A queue in which each data point stands once.

    What happens to a server can concern thousands of data points. Deciding about all of
    them in one turn would keep the node from answering probes meanwhile.

    :param ask: called when there is something to `take`.
    """

    def __init__(self, ask: Callable[[], None]) -> None:
        self._ask = ask
        self._waiting: dict[str, None] = {}  # in order: equal histories run equal hooks

    def mark(self, data: Iterable[str]) -> None:
        """Something about these may have changed."""
        self._waiting.update(dict.fromkeys(data))
        self._ask()

    def take(self) -> list[str]:
        """The next ones, at most `SHARE`; it asks again for what is left."""
        share = list(islice(self._waiting, SHARE))
        for datum in share:
            del self._waiting[datum]
        if self._waiting:
            self._ask()
        return share
